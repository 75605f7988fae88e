"""What was found in answers, as events of the traces: one for each verdict that says something, and for each drift alarm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from evaluators.sample import Sample
from evaluators.verdict import PASS, Verdict
from proxy.record import AlarmEvent
from proxy.record import Sample as Sent

DRIFT = "drift"


class Events:
    """Hands on to `send`, which is `Exporter.evaluation`."""

    def __init__(self, send: Callable[..., Any]) -> None:
        self._send = send

    def tell_verdicts(self, sent: Sent, _: Sample, verdicts: Sequence[Verdict]) -> None:
        """The verdicts on one call. That an evaluator found nothing is most of them, and no event."""
        for one in verdicts:
            if one.label != PASS:
                self._send(
                    sent.id, one.name, score=one.score, label=one.label, explanation=one.explanation, trace_id=sent.trace_id, flagged=one.failed
                )

    def tell_alarm(self, event: AlarmEvent, sent: Sent) -> None:
        """An alarm, on the call that it was raised at."""
        self._send(sent.id, DRIFT, label=event.severity, explanation=event.cause, trace_id=sent.trace_id, flagged=True, at_ns=event.at_ns)
