"""The queue of calls that wait for a reviewer: fed by the evaluators' verdicts and by gates, bounded, and the same after a restart.

Every step is a line of the journal first; the table `reviews` is made of these, and from it the queue is taken up again at the start.
No text of an answer is among them: what a reviewer is shown is kept in memory, as far as there is room, and gone with the process. Secrets
are taken out of it when it is shown, for few of those that wait are ever looked at.

Where the queue is full, what was only sampled leaves first, the oldest before all; then what was flagged. What a gate holds stays.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator

import msgspec
from prometheus_client.core import Metric

from evaluators import catalog
from evaluators.sample import Sample
from evaluators.verdict import Verdict
from proxy.controlplane.events import Weighed
from proxy.controlplane.journal_writer import JournalWriter
from proxy.controlplane.reports import Query
from proxy.controlplane.review.counts import KINDS, Counts
from proxy.controlplane.review.strata import Strata
from proxy.record import Sample as Sent
from proxy.reviewed import Held, ReviewEvent
from proxy.reviewing import Review

OURSELVES = "weighbridge"
OPEN = ("queued", "held")
Write = Callable[[ReviewEvent], bool]
_PATIENCE_S = 0.5  # of the thread, until it looks whether it is to end
_MOST_TEXT = 65536  # characters of an answer, and of its request
_MOST_KEPT = 64 * 1024 * 1024  # characters of all of them
_MOST_DECIDED = 10_000  # that are remembered, so that a late verdict does not queue them again
_WAITING = (
    "SELECT r.*, c.outcome FROM (SELECT id, arg_max(state, at_ns) AS state, min(at_ns) AS since_ns, arg_max(reason, at_ns), arg_max(agent, at_ns), "
    "arg_max(task, at_ns), arg_max(model, at_ns) FROM reviews GROUP BY id) r LEFT JOIN calls c USING (id) "
    "WHERE r.state IN ('queued', 'held') ORDER BY since_ns"
)


class Gone(Exception):
    """The answer was held when it was looked for, and its call has ended since."""


class Kept(msgspec.Struct, frozen=True):
    """What is kept of a call: as it came, and not yet as a reviewer is shown it."""

    text: str
    tools: list[tuple[str, str]]
    prompt: str
    finish: str | None = None

    @property
    def size(self) -> int:
        return len(self.text) + len(self.prompt) + sum(len(name) + len(arguments) for name, arguments in self.tools)


class Waiting(msgspec.Struct):
    """A call that waits."""

    id: str
    kind: str  # of KINDS
    reason: str
    at_ns: int  # since when
    agent: str | None = None
    task: str | None = None
    model: str | None = None
    kept: Kept | None = None


class Queue:
    """For any thread. `listen` is told of verdicts, `observe` of records, `restore` once of what the database holds."""

    def __init__(
        self, review: Review, journal: JournalWriter, redact: Callable[[str], str], strata: Strata | None = None,
        clock_ns: Callable[[], int] = time.time_ns, decided: Iterable[str] = (),
    ) -> None:  # fmt: skip
        self.counts = Counts()
        self._review = review
        self._journal = journal
        self._redact = redact
        self._strata = strata or Strata()
        self._clock_ns = clock_ns
        self._turn = threading.RLock()
        self._waiting: dict[str, OrderedDict[str, Waiting]] = {kind: OrderedDict() for kind in KINDS}
        self._decided: OrderedDict[str, None] = OrderedDict.fromkeys(decided)
        self._kept = 0  # characters
        self._keeping: OrderedDict[str, Waiting] = OrderedDict()  # those with a text, the oldest first

    def configure(self, review: Review, redact: Callable[[str], str]) -> None:
        """Take other settings, from the next call on."""
        self._review, self._redact = review, redact

    # --- what comes in --------------------------------------------------------------------------------------------

    def listen(self, sent: Sent, sample: Sample, verdicts: list[Verdict]) -> None:
        """Queue a call that an evaluator failed, and a share of the others."""
        is_flagged = self._review.flagged and any(verdict.failed for verdict in verdicts)
        is_late = bool(verdicts) and verdicts[0].name not in catalog.BUILT_IN  # of somebody else's evaluators: the call was met before
        with self._turn:
            if is_flagged:
                self._add(sent, "flagged", 1.0)
            elif not is_late and (share := self._strata.choose(sent.agent, sent.task, self._review.share)):
                self._add(sent, "sampled", share)

    def _add(self, sent: Sent, kind: str, share: float) -> None:
        if sent.id in self._decided or sent.id in self._waiting["held"] or sent.id in self._waiting["flagged"]:
            return
        one = self._waiting["sampled"].pop(sent.id, None)  # it was drawn, and is flagged now as well
        now_ns = self._clock_ns()
        if one is None:
            one = Waiting(sent.id, kind, kind, now_ns, sent.agent, sent.task, sent.model)
            prompt = (sent.request or b"").decode("utf-8", "replace")
            self._keep(one, _cut(sent.text, sent.tools, prompt, sent.finish))
        one.kind = one.reason = kind
        self._note(one, "queued", now_ns, share=share)
        self._waiting[kind][one.id] = one
        self._make_room()

    def run(self, held: queue.Queue[Held], stopping: threading.Event) -> None:
        """Take in what gates hold, until told to stop."""
        while not stopping.is_set():
            try:
                self.hold(held.get(timeout=_PATIENCE_S))
            except queue.Empty:
                continue

    def hold(self, held: Held) -> None:
        """An answer is held, and waits for a decision; this is told again and again."""
        with self._turn:
            there = self._waiting["held"].get(held.id)
            if held.id in self._decided or (there is not None and there.kept is not None):
                return
            kept = _cut(held.text, held.tools, held.request, held.finish)
            if there is not None:  # an earlier process had its text
                self._keep(there, kept)
                return
            one = Waiting(held.id, "held", f"gate {held.gate}", held.at_ns, held.agent, held.task, held.model)
            self._note(one, "held", self._clock_ns())
            self._waiting["held"][one.id] = one
            self._keep(one, kept)
            self._make_room()

    def _keep(self, one: Waiting, kept: Kept) -> None:
        one.kept = kept
        self._kept += kept.size
        self._keeping[one.id] = one
        while self._kept > _MOST_KEPT:
            self._let_go(next(iter(self._keeping.values())))
            self.counts.unkept += 1

    def _let_go(self, one: Waiting) -> None:
        if one.kept is not None:
            self._kept -= one.kept.size
            one.kept = None
            del self._keeping[one.id]

    def _make_room(self) -> None:
        while sum(map(len, self._waiting.values())) > self._review.most:
            leaving = self._waiting["sampled"] or self._waiting["flagged"]
            if not leaving:
                return
            self._end(next(iter(leaving.values())), "dropped", OURSELVES)

    def restore(self, query: Query) -> None:
        """Take up what waited when an earlier process ended."""
        _, rows = query(_WAITING, [])
        with self._turn:
            found = []
            for id, state, at_ns, reason, agent, task, model, outcome in rows:
                if id not in self._decided and self._find(id) is None:
                    kind = "held" if state == "held" else reason if reason in KINDS else "flagged"
                    one = Waiting(id, kind, reason or kind, at_ns, agent, task, model)
                    if kind == "held" and outcome is not None:  # it has ended meanwhile
                        self._end(one, _name_ending(outcome), OURSELVES)
                    else:
                        found.append(one)
            for kind, there in self._waiting.items():
                self._waiting[kind] = OrderedDict([(one.id, one) for one in found if one.kind == kind] + list(there.items()))
            self._make_room()

    # --- what is decided ------------------------------------------------------------------------------------------

    def find(self, id: str) -> Waiting | None:
        """The call, if it waits."""
        with self._turn:
            return self._find(id)

    def _find(self, id: str) -> Waiting | None:
        return next((calls[id] for calls in self._waiting.values() if id in calls), None)

    def read(self, one: Waiting) -> Kept | None:
        """What a reviewer is shown of a call that waits, without secrets; None where nothing is kept of it."""
        kept, redact = one.kept, self._redact
        if kept is None:
            return None
        return Kept(redact(kept.text), [(name, redact(arguments)) for name, arguments in kept.tools], redact(kept.prompt), kept.finish)

    def decide(self, one: Waiting, state: str, by: str, note: str | None = None, write: Write | None = None) -> bool:
        """Note a decision on a call, which need not wait any more; by `write` in the place of the journal. Whether it is noted.

        Raises `Gone` for an answer that was held and is not any more.
        """
        with self._turn:
            there = self._find(one.id)
            if there is None and one.kind == "held":
                raise Gone(one.id)
            return self._end(there or one, state, by, note, write)

    def _end(self, one: Waiting, state: str, by: str, note: str | None = None, write: Write | None = None) -> bool:
        now_ns = self._clock_ns()
        is_noted = (write or self._journal.write)(self._describe(one, state, now_ns, by, note=note))
        is_waiting = self._waiting[one.kind].pop(one.id, None) is not None
        self._let_go(one)
        self._decided[one.id] = None
        if len(self._decided) > _MOST_DECIDED:
            self._decided.popitem(last=False)
        self.counts.end(state, now_ns - one.at_ns if is_waiting else None)
        return is_noted

    def observe(self, weighed: list[Weighed]) -> None:
        """A call whose answer was held has ended, and nobody has decided on it."""
        with self._turn:
            held = self._waiting["held"]
            for call in weighed if held else ():
                if (one := held.get(call.id)) is not None:
                    self._end(one, _name_ending(call.outcome), OURSELVES)

    def _note(self, one: Waiting, state: str, at_ns: int, share: float | None = None) -> None:
        self._journal.write(self._describe(one, state, at_ns, OURSELVES, share=share))

    def _describe(self, one: Waiting, state: str, at_ns: int, by: str, share: float | None = None, note: str | None = None) -> ReviewEvent:
        reason = one.reason if state in OPEN else None
        return ReviewEvent(
            id=one.id, at_ns=at_ns, by=by, state=state, reason=reason, share=share, note=note, agent=one.agent, task=one.task, model=one.model
        )

    # --- what is told ---------------------------------------------------------------------------------------------

    def collect(self) -> Iterator[Metric]:
        """The metrics."""
        with self._turn:
            waiting = {kind: len(calls) for kind, calls in self._waiting.items()}
            since_ns = min((one.at_ns for calls in self._waiting.values() for one in calls.values()), default=None)
        yield from self.counts.collect(waiting, 0 if since_ns is None else max(0, self._clock_ns() - since_ns))


def _cut(text: str, tools: list[tuple[str, str]], prompt: str, finish: str | None) -> Kept:
    return Kept(text[:_MOST_TEXT], [(name, arguments[:_MOST_TEXT]) for name, arguments in tools], prompt[:_MOST_TEXT], finish)


def _name_ending(outcome: str) -> str:
    """What became of a held answer on which nobody decided, by how its call ended."""
    return "timed_out" if outcome == "policy_review_timeout" else "released"
