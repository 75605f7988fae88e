"""What is held for review: which calls a gate concerns, and the answers that wait for a decision.

A gated agent's answers leave whole and approved, or not at all. So it may ask for no stream and open no WebSocket, and whatever is answered to it
is held but for what holds no output of a model. The control plane is told of a held answer over the sample socket, again and again until
there is a decision, since datagrams may be lost; decisions come back in the orders. All that is held has a bound.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from proxy.call import Call, Hold
from proxy.dataplane.admission import make_subject
from proxy.dataplane.words import hide
from proxy.errors import Refusal
from proxy.orders import Ruling
from proxy.reviewed import Held
from proxy.reviewing import Review
from proxy.toll.subject import make_picker

_FREE = frozenset({"embeddings", "rerank", "moderation", "count_tokens", "models"})  # operations whose answers hold no output of a model
_KEEPING = frozenset({"files", "batches"})  # what is posted to these is answered by a receipt
_MOST_BYTES = 64 * 1024 * 1024  # of all answers that are held
_TELL_AGAIN_S = 2.0
_MOST_TEXT_BYTES, _MOST_TOOLS_BYTES, _MOST_REQUEST_BYTES = 72 * 1024, 24 * 1024, 40 * 1024  # together they fit into one datagram


class Answer(Protocol):
    """An answer that is held, as far as it is known here."""

    call: Call
    size: int
    body: bytes

    def rule(self, ruling: Ruling) -> None: ...


class Holding:
    """The gates, and what they hold. Belongs to the event loop."""

    def __init__(self, review: Review, tell: Callable[[Held], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.bytes = 0
        self._tell = tell
        self._clock = clock
        self._whole: dict[str, Answer] = {}  # call → its answer, when it is whole and waits for a decision
        self._told: dict[str, float] = {}  # when the control plane was told last
        self._facts: dict[str, Held] = {}
        self.configure(review)

    def configure(self, review: Review) -> None:
        """Take other gates, from the next call on."""
        self._gates = [(Hold(gate.name, gate.wait_s, gate.otherwise == "release"), make_picker([], gate.match)) for gate in review.gates]

    @property
    def is_idle(self) -> bool:
        """Whether there is no gate."""
        return not self._gates

    def meet(self, call: Call, *, is_socket: bool) -> None:
        """Note on a call which gate its answer is held by, if any. Raises `Refusal` policy_review_stream."""
        kind = call.kind
        if kind.operation in _FREE or call.method in ("HEAD", "OPTIONS") or (kind.operation in _KEEPING and call.method in ("POST", "DELETE")):
            return
        subject = make_subject(call)
        hold = next((hold for hold, pick in self._gates if pick(subject) is not None), None)
        if hold is None:
            return
        if is_socket or call.ask.stream or kind.stream:
            how = "over plain HTTP, not over a WebSocket" if is_socket else "without `stream`"
            text = f"Answers to this agent are reviewed before they leave (gate {hold.gate}), so that it must ask {how}."
            raise Refusal("policy_review_stream", text, {"gate": hold.gate})
        call.hold = hold

    # --- what is held ---------------------------------------------------------------------------------------------

    def has_room(self, size: int) -> bool:
        """Hold so many bytes more; False where that is too much."""
        if self.bytes + size > _MOST_BYTES:
            return False
        self.bytes += size
        return True

    def enter(self, answer: Answer, wait_s: float) -> None:
        """An answer is whole, and waits so long."""
        call = answer.call
        self._whole[call.id] = answer
        self._facts[call.id] = describe(answer, time.time_ns(), wait_s)
        self._send(call.id, self._clock())

    def leave(self, answer: Answer) -> None:
        """Nothing is held of it any more, however that came about."""
        self.bytes -= answer.size
        if self._whole.get(answer.call.id) is answer:
            for known in (self._whole, self._told, self._facts):
                del known[answer.call.id]

    def rule(self, rulings: Mapping[str, Ruling]) -> None:
        """Take the decisions that the orders hold."""
        for id in [id for id in self._whole if id in rulings] if rulings else ():
            self._whole[id].rule(rulings[id])

    def tick(self) -> None:
        """Once a second: tell the control plane again of what it may have missed."""
        now = self._clock()
        for id, told in list(self._told.items()):
            if now - told >= _TELL_AGAIN_S:
                self._send(id, now)

    def _send(self, id: str, now: float) -> None:
        self._told[id] = now
        self._tell(self._facts[id])


def describe(answer: Answer, at_ns: int, wait_s: float) -> Held:
    """What a reviewer is told of an answer: without the credentials that were presented, and cut to what a datagram takes."""
    call, reading = answer.call, answer.call.reading
    who, hold, keys = call.identity, call.hold, call.presented
    assert who is not None and hold is not None, "a call is identified before a gate concerns it"
    text = reading.text if reading.text or reading.tools else answer.body[:_MOST_TEXT_BYTES].decode("utf-8", "replace")
    tools, left = [], _MOST_TOOLS_BYTES
    for name, arguments in reading.tools:
        arguments = _cut(hide(arguments, keys), left)
        left -= len(arguments.encode("utf-8", "replace")) + len(name)
        if left < 0:
            break
        tools.append((name, arguments))
    request = hide((call.body or b"")[:_MOST_REQUEST_BYTES].decode("utf-8", "replace"), keys)
    return Held(
        id=call.id, gate=hold.gate, agent=who.agent, task=who.task, model=reading.model or call.kind.model or call.ask.model, at_ns=at_ns,
        until_ns=at_ns + int(wait_s * 1e9), finish=reading.finish, text=_cut(hide(text, keys), _MOST_TEXT_BYTES), tools=tools,
        request=_cut(request, _MOST_REQUEST_BYTES), is_cut=answer.size > _MOST_TEXT_BYTES,
    )  # fmt: skip


def _cut(text: str, most_bytes: int) -> str:
    return text.encode("utf-8", "replace")[: max(0, most_bytes)].decode("utf-8", "ignore")
