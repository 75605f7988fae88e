"""The words of `weighbridge review`, and what it prints."""

from __future__ import annotations

import pytest

from proxy.cli import build_parser
from proxy.commands.review import describe
from tests.commands.conftest import Office


def test_while_nothing_runs_it_says_so(office: Office, capsys: pytest.CaptureFixture) -> None:
    for words in (["show", "c1"], ["pass", "c1", "--note", "good"]):
        assert office.run("review", *words) == 1
        assert "no weighbridge runs" in capsys.readouterr().err


def test_a_reviewer_signs_with_the_name_of_the_user() -> None:
    options = build_parser().parse_args(["review", "reject", "c1", "--note", "no"])
    assert (options.verb, options.call, options.note) == ("reject", "c1", "no") and options.by


def test_a_call_is_shown_with_its_verdicts_and_decisions_and_cannot_steer_a_terminal() -> None:
    verdict = {"evaluator": "repetition", "label": "loop", "severity": "error", "explanation": "the end repeats itself"}
    event = {"at_ns": 0, "by": "jo", "state": "fail", "reason": None, "note": "no \x1b[2J"}
    shown = {"id": "c1", "agent": "a", "task": None, "verdicts": [verdict], "history": [event], "kept": "memory"}
    text = describe({**shown, "prompt": "ask\ning", "text": "answer\x1b]0;x", "tools": [["send", "{}"]]})
    assert "\x1b" not in text
    for part in ("agent     a", "repetition: loop (error)", "fail by jo: no", "ask\ning", "answer", "tool call send {}"):
        assert part in text
    assert "capture.content: true" in describe({**shown, "kept": "no"})
