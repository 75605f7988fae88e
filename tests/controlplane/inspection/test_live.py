"""Through the running program: an agent whose answers are empty, beside one whose answers are sound."""

from __future__ import annotations

from pathlib import Path

from tests.test_supervise import serve, wait_until


def test_an_agent_with_empty_answers_is_found_out(tmp_path: Path) -> None:
    with serve(tmp_path) as bridge:
        bridge.wait_for_both_planes()
        for agent, model in (("sound", "gpt-4o"), ("hollow", "gpt-4o-empty")):
            for _ in range(3):
                body = {"model": model, "messages": [{"role": "user", "content": "How long is the river?"}]}
                bridge.post(f"/a/{agent}/demo/v1/chat/completions", body)
        wait_until(lambda: sum(row["inspected"] for row in bridge.look("/api/verdicts")["rows"] if row["evaluator"] in ("empty", None)) >= 6)
        rows = {(row["agent"], row["evaluator"]): row for row in bridge.look("/api/verdicts")["rows"]}
        assert rows["hollow", "empty"]["calls"] == rows["hollow", "empty"]["inspected"] == 3
        assert ("sound", "empty") not in rows
        content = bridge.look("/api/report")  # nothing else has changed
        assert sum(row["calls"] for row in content["rows"]) == 6
