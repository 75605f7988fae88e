"""Asking: through a real data plane to a scripted provider, as an agent of its own; and what keeps an answer from coming."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from evaluators.sample import Sample
from evaluators.verdict import Verdict
from proxy.config import Config
from proxy.controlplane.inspection.inspector import Inspector
from proxy.controlplane.judges.asking import NotAsked, ask
from proxy.controlplane.judges.bench import Bench
from proxy.inspecting import Evaluators
from proxy.judging import Judge
from proxy.record import Sample as Sent
from proxy.rules import Budget
from tests.dataplane.conftest import run as run  # the fixture
from tests.dataplane.paying import answer
from tests.dataplane.routing import BUSY, Upstreams, down
from tests.dataplane.test_carrier import hold

BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 10}).encode()


def test_a_judge_is_an_agent_whose_calls_are_recorded_and_priced(run, tmp_path: Path) -> None:
    ruling = json.dumps(json.dumps({"score": 0.2, "label": "curt", "explanation": ""}))
    up = Upstreams(answer(40, 60).replace(b'"hi"', ruling.encode()))
    inspector = Inspector(Evaluators())

    async def script(site) -> None:
        config = Config(judges=[Judge("tone", "up", "m", "be kind")])
        bench = Bench(config, f"http://127.0.0.1:{site.port}", inspector, str, draw=lambda: 0.0)
        sent = Sent(id="c", agent="a", format="f", usage_source="none")
        bench.hear(sent, Sample(text="No."), [Verdict("empty")])
        await asyncio.to_thread(bench.judge, *bench._waiting.get_nowait())
        record = await site.record()
        assert (record["agent"], record["rung"], record["outcome"]) == ("judge-tone", "path", "ok") and record["cost_nano_usd"] > 0

    hold(run, tmp_path, {"up": up}, {}, script)
    assert up.asked[0][1]["response_format"] == {"type": "json_object"}
    assert inspector.rows[-1][:1] + inspector.rows[-1][2:5] == ("c", "tone", "curt", "warning")


def test_its_budget_holds(run, tmp_path: Path) -> None:
    async def script(site) -> None:
        url = f"http://127.0.0.1:{site.port}/a/judge-tone/up/v1/chat/completions"
        assert await asyncio.to_thread(ask, url, BODY, {}, 60.0)
        with pytest.raises(NotAsked, match="refused"):
            await asyncio.to_thread(ask, url, BODY, {}, 60.0)

    budget = Budget(name="judges", calls=1, match={"agent": "judge-*"})
    hold(run, tmp_path, {"up": Upstreams(answer(40, 60))}, {}, script, budgets=[budget])


def test_what_keeps_an_answer_from_coming(run, tmp_path: Path) -> None:
    async def script(site) -> None:
        for name, reason, timeout_s in (("up", "status", 60.0), ("long", "too_long", 60.0), ("up", "timeout", 1e-6)):
            with pytest.raises(NotAsked, match=reason):
                url = f"http://127.0.0.1:{site.port}/a/j/{name}/v1/chat/completions"
                await asyncio.to_thread(ask, url, BODY, {"Authorization": "Bearer sk-x"}, timeout_s)

    hold(run, tmp_path, {"up": Upstreams((BUSY, b"")), "long": Upstreams(b"x" * 1_100_000)}, {}, script)
    with pytest.raises(NotAsked, match="unreachable"):
        ask(down(), BODY, {}, 60.0)
