"""What drift watches of a call."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from evaluators.sample import Sample, Tool, ToolCall
from evaluators.verdict import Verdict
from proxy.controlplane.streams.facts import find_type, name_stream, tell
from proxy.controlplane.streams.stream import Stream
from proxy.controlplane.streams.streams import Streams
from proxy.inspecting import Drift
from tests.controlplane.streams.conftest import WARMUP, send


@pytest.mark.parametrize(
    ("task", "kind"),
    [
        (None, ""),
        ("report", "report"),
        ("report-2026-11-03", "report"),
        ("monthly_report/eu:17", "monthly-report-eu"),
        ("task-9f8a12c04e55b1d7", "task"),
        ("3f2a9c1e-77aa-4bcd-8eef-0123456789ab", ""),
        ("v2-extract", ""),
        ("-7-", ""),
        ("x" * 99, "x" * 64),
    ],
)
def test_tasks_of_one_type_have_one_name(task: str | None, kind: str) -> None:
    assert find_type(task) == kind


def test_a_stream_is_named_by_the_model_that_was_asked_for() -> None:
    assert name_stream(send(1)[0], ["agent", "task", "model"]) == ("a", "report", "m")
    assert name_stream(send(1, model="m-2")[0], ["agent", "task", "model"]) == ("a", "report", "m")
    assert name_stream(send(1, model_asked=None)[0], ["model", "agent"]) == ("m-1", "a")
    assert name_stream(send(1, model_asked=None, model=None, upstream=None)[0], ["agent", "model", "upstream"]) == ("a", "", "")


def test_a_detector_is_told_of_figures_in_seconds_and_of_what_failed() -> None:
    figures = {"reasoning_tokens": 3, "input_tokens": 20, "output_tokens": 9}
    sent, _, _ = send(7, system_fingerprint="fp_1", **figures, duration_ns=1_500_000_000, first_token_ns=250_000_000)
    sample = Sample(calls=[ToolCall("look")], offered=[Tool("write"), Tool("look")], prompt_digest="d", prompt="Where is it?")
    verdicts = [Verdict("empty"), Verdict("json", "cut", 0.1, "error"), Verdict("truncated", "mid_sentence", 0.6, "info")]
    told = tell(sent, sample, verdicts, with_times=True)
    assert told == {
        "id": "c7", "prompt": "Where is it?", "finish_reason": "stop", "verdicts": ["json"], "latency_s": 1.5, "first_chunk_s": 0.25,
        "input_tokens": 20, "output_tokens": 9, "reasoning_tokens": 3, "tools": ["look"], "model_asked": "m", "model_answered": "m-1",
        "system_fingerprint": "fp_1", "prompt_digest": "d", "upstream": "u", "tool_set": "look, write",
    }  # fmt: skip


def test_what_is_not_known_is_none() -> None:
    sent, sample, _ = send(1)
    told = tell(sent, sample, [])
    assert (told["latency_s"], told["first_chunk_s"], told["tool_set"]) == (None, None, None)
    assert tell(sent, Sample(offered=[]), [])["tool_set"] == "none"


def test_times_are_told_only_where_they_are_wanted(make: Callable[..., Streams], monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    monkeypatch.setattr(Stream, "take", lambda self, text, facts, at_ns: told.append((facts["latency_s"], facts["first_chunk_s"])))
    slow = send(1, duration_ns=1_500_000_000, first_token_ns=250_000_000)
    for times in (False, True):
        make(Drift(warmup=WARMUP, times=times)).watch(*slow)
    assert told == [(None, None), (1.5, 0.25)]


def test_many_tools_are_told_apart_by_a_digest_whatever_their_order() -> None:
    sent, _, _ = send(1)
    tools = [Tool(f"tool_number_{number}") for number in range(40)]
    name = tell(sent, Sample(offered=tools), [])["tool_set"]
    assert name.startswith("40 tools, ") and len(name) < 30
    assert tell(sent, Sample(offered=tools[::-1]), [])["tool_set"] == name
    assert tell(sent, Sample(offered=[*tools[1:], Tool("other\ud800")]), [])["tool_set"] != name
