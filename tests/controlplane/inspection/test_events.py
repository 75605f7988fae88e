"""Verdicts and alarms as events of the traces."""

from __future__ import annotations

from evaluators.sample import Sample
from evaluators.verdict import Verdict
from proxy.controlplane.inspection.events import Events
from proxy.record import AlarmEvent
from proxy.record import Sample as Sent

SENT = Sent(id="c1", agent="a", format="f", usage_source="reported", trace_id="t1")


def test_what_was_found_is_sent_and_what_failed_is_flagged() -> None:
    events: list[tuple] = []
    told = [Verdict("empty"), Verdict("json", "cut", 0.1, "error", "begun"), Verdict("truncated", "mid_sentence", 0.6, "info", "open")]
    Events(lambda *facts, **more: events.append((facts, more))).tell_verdicts(SENT, Sample(), told)
    assert events == [
        (("c1", "json"), {"score": 0.1, "label": "cut", "explanation": "begun", "trace_id": "t1", "flagged": True}),
        (("c1", "truncated"), {"score": 0.6, "label": "mid_sentence", "explanation": "open", "trace_id": "t1", "flagged": False}),
    ]


def test_an_alarm_is_an_event_of_the_call_it_was_raised_at() -> None:
    events: list[tuple] = []
    alarm = AlarmEvent(
        at_ns=5, call="c1", agent="a", severity="certain", kind="output", answer=400, began=390, evidence=2e4, alpha=1e-4, baseline=1, cause="why"
    )
    Events(lambda *facts, **more: events.append((facts, more))).tell_alarm(alarm, SENT)
    assert events == [(("c1", "drift"), {"label": "certain", "explanation": "why", "trace_id": "t1", "flagged": True, "at_ns": 5})]
