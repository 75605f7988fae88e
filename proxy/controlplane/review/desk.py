"""What a reviewer does over the admin port: looks at a call, and decides on it.

    GET   /api/reviews/<call>   {…, text, tools, prompt, kept, verdicts, history}
    POST  /api/reviews/<call>   {decision: pass | fail | unsure | approve | reject, note, by}

Both need the token, for a call's text is shown. A call that does not wait can be marked as well, and a second reviewer may decide otherwise:
the last decision counts, and all of them stay in the history.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from evaluators.verdict import PASS, Verdict
from proxy.controlplane.changes import ANYONE, check_text
from proxy.controlplane.desk import NOT_IN_HISTORY, Desk
from proxy.controlplane.door import Change, NotDone, read_body
from proxy.controlplane.reports import Query
from proxy.controlplane.review.queue import Gone, Kept, Queue, Waiting
from proxy.record import Sample as Sent

_STATES = {"pass": "pass", "fail": "fail", "unsure": "unsure", "approve": "approved", "reject": "rejected"}
_RULINGS = ("approve", "reject")  # on what is held
_NOT_HELD = "no answer is held under this id; mark it pass, fail or unsure"
_CALL = "SELECT agent, task, coalesce(model, model_asked) AS model, outcome, finish FROM calls WHERE id = ? LIMIT 1"
_CONTENT = "SELECT output, tools, prompt FROM content WHERE id = ? LIMIT 1"
_VERDICTS = "SELECT evaluator, label, severity, score, explanation FROM verdicts WHERE id = ? AND evaluator <> 'any' ORDER BY evaluator"
_HISTORY = 'SELECT at_ns, "by", state, reason, note FROM reviews WHERE id = ? ORDER BY at_ns'


class Decision(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    decision: Literal["pass", "fail", "unsure", "approve", "reject"]
    note: str | None = None
    by: str = ANYONE


class ReviewDesk:
    """`decide` belongs to the thread of the desk, `show` to any that may wait for the database."""

    def __init__(self, queue: Queue, desk: Desk, query: Query, judge: Callable[[Sent], list[Verdict]]) -> None:
        self._queue = queue
        self._desk = desk
        self._query = query
        self._judge = judge  # of what is held: the evaluators meet an answer only when it has been passed on

    @property
    def changes(self) -> list[Change]:
        """What must be done one at a time."""
        return [Change("POST", "/api/reviews/{id}", self.decide)]

    @property
    def looks(self) -> list[Change]:
        """What changes nothing, and needs the token nevertheless."""
        return [Change("GET", "/api/reviews/{id}", self.show)]

    def decide(self, target: str, body: bytes) -> dict[str, Any]:
        """Note a decision. Raises `BadQuestion`, `NotDone`."""
        given = read_body(body, Decision)
        check_text("by", given.by)
        if given.note is not None:
            check_text("note", given.note)
        one = self._queue.find(target)
        is_held, is_ruling = one is not None and one.kind == "held", given.decision in _RULINGS
        if is_held and not is_ruling:
            raise NotDone(409, "held", "it is held by a gate: approve or reject it")
        if is_ruling and not is_held:
            raise NotDone(409, "not_held", _NOT_HELD)
        if one is None:
            _, call = self._find(target)
            one = Waiting(target, "sampled", "chosen", 0, call["agent"], call["task"], call["model"])
        publish = (lambda event: not self._desk.rule(event).note) if is_held else None
        try:
            is_noted = self._queue.decide(one, _STATES[given.decision], given.by, given.note, publish)
        except Gone:
            raise NotDone(409, "not_held", _NOT_HELD) from None
        return {"id": target, "state": _STATES[given.decision], "agent": one.agent, "by": given.by, "note": "" if is_noted else NOT_IN_HISTORY}

    def show(self, target: str, _: bytes) -> dict[str, Any]:
        """All that is known of a call. Raises `NotDone`."""
        one = self._queue.find(target)
        known, call = self._find(target, is_waiting=one is not None)
        shown: dict[str, Any] = {"id": target, **call}
        if one is not None:
            shown |= {"agent": one.agent, "task": one.task, "model": one.model, "kind": one.kind, "reason": one.reason, "at_ns": one.at_ns}
        content = self._rows(_CONTENT, target)
        kept = None if one is None else self._queue.read(one)
        if kept is not None:
            shown |= {"text": kept.text, "tools": [list(tool) for tool in kept.tools], "prompt": kept.prompt, "kept": "memory"}
        elif content:
            shown |= {"text": content[0]["output"], "tools": msgspec.json.decode(content[0]["tools"]), "prompt": content[0]["prompt"]}
            shown["kept"] = "database"
        else:
            shown["kept"] = "no"
        found = self._judge_held(one, kept) if one is not None and one.kind == "held" else self._rows(_VERDICTS, target)
        return {**shown, "recorded": known, "verdicts": found, "history": self._rows(_HISTORY, target)}

    def _judge_held(self, one: Waiting, kept: Kept | None) -> list[dict[str, Any]]:
        """What the evaluators object to in an answer that is held."""
        if kept is None:
            return []
        sent = Sent(
            id=one.id, agent=one.agent or "", task=one.task, model=one.model, format="", usage_source="none", finish=kept.finish, text=kept.text,
            tools=kept.tools, request=kept.prompt.encode(),
        )  # fmt: skip
        names = ("label", "severity", "score", "explanation")
        objections = [verdict for verdict in self._judge(sent) if verdict.label != PASS]
        return [{"evaluator": verdict.name, **{name: getattr(verdict, name) for name in names}} for verdict in objections]

    def _find(self, target: str, *, is_waiting: bool = False) -> tuple[bool, dict[str, Any]]:
        """Whether a call is recorded, and what its record says. Raises `NotDone` for one that nobody knows."""
        rows = self._rows(_CALL, target)
        if not rows and not is_waiting:
            message = "there is no record of this call; `weighbridge review list` shows those that wait, `weighbridge calls` the newest of all"
            raise NotDone(404, "call_unknown", message)
        return (True, rows[0]) if rows else (False, {})

    def _rows(self, sql: str, target: str) -> list[dict[str, Any]]:
        columns, rows = self._query(sql, [target])
        return [dict(zip(columns, row, strict=True)) for row in rows]
