"""Controls and judges in a running Weighbridge: from answers to an order that ends by itself, and from a judge's word to its own record."""

from __future__ import annotations

import json
import urllib.error
from pathlib import Path

from tests.test_supervise import Bridge, serve, wait_until

CONTROLS = [{"name": "stop", "when": ["empty"], "do": "pause", "at_least": 3, "of": 3, "for_s": 1.0}]
CONTROLS += [{"name": "mark", "when": ["empty"], "do": "quarantine", "at_least": 3, "of": 3, "for_s": 1.0}]
JUDGES = [{"name": "tone", "upstream": "demo", "model": "gpt-4o-mini", "rubric": "be kind", "share": 1.0, "per_minute": 600.0}]
BUDGETS = [{"name": "judges", "usd": 1, "match": {"agent": "judge-*"}}]


def ask(bridge: Bridge, agent: str, model: str) -> dict | None:
    """What a call was refused with, if it was."""
    try:
        bridge.post(f"/a/{agent}/demo/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": "hi"}]})
    except urllib.error.HTTPError as error:
        with error:
            return json.load(error)
    return None


def test_an_agent_that_says_nothing_is_paused_and_let_go_and_one_that_speaks_is_judged(tmp_path: Path) -> None:
    with serve(tmp_path, controls=CONTROLS, judges=JUDGES, budgets=BUDGETS, evaluators={"per_second": 1000}) as bridge:
        bridge.wait_for_both_planes()
        refused: list[dict] = []
        wait_until(lambda: refused.append(ask(bridge, "mute", "gpt-4o-mini-empty") or {}) or refused[-1])
        assert "control stop" in str(refused[-1]) and "inspected calls were bad: empty/empty" in str(refused[-1])
        assert ask(bridge, "speaker", "gpt-4o-mini") is None
        wait_until(lambda: ask(bridge, "mute", "gpt-4o-mini") is None)
        wait_until(lambda: bridge.look("/api/orders")["rows"] == [])
        wait_until(lambda: any(call["agent"] == "judge-tone" for call in bridge.look("/api/calls?last=1000")["rows"]))
        (mark,) = bridge.look("/api/quarantines")["rows"]
        assert (mark["agent"], mark["by"]) == ("mute", "control mark") and mark["until_ns"] > mark["since_ns"]
        orders = bridge.journal("order")
        assert [(one["verb"], one["by"], one["value"]) for one in orders[:2]] == [(verb, "control stop", "mute") for verb in ("pause", "resume")]
