"""The arbiter: a Redis or Valkey that decides over reservations of several data planes, and how this plane keeps in touch with it.

Redis is never the only ledger. Every plane has its own journal and its own ledger, and Redis holds, of each plane apart, what that plane
says: single-writer amounts, whose sum over all planes is what limits are held against. Within one conversation they are changed in
order and exactly once. After anything went wrong (no answer, an error, a new connection) nobody knows what was done; so the plane
begins a new conversation, with a token that shuts out whatever is still on its way from the old one, and says all of its amounts anew.
Where Redis has lost its memory, wholly or back to an older state, nothing is reserved for `CLOSED_S`, while all planes do this.

    connect → begin (a token) → put, put, … (everything, and what was last seen of other planes) → join → take, move, beat, …
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
import time
import uuid
from collections.abc import Callable, Iterator

from proxy.toll.others import Others
from proxy.toll.talk import ENDINGS, Answer, Broken, Heard, Talk, Telephone, line_of

log = logging.getLogger("weighbridge.ledger")
CLOSED_S = 1.0  # every plane notices a loss of memory at its next beat, well within this
BEAT_S = 0.25
DEAD_S = 1.0  # a connection on which nothing was answered for so long is given up
_RETRY_S = 0.25
_CELLS_A_PUT = 500
_CHANGES_A_BEAT = "500"
_MOST_LATE = 3  # decisions in a row; then nobody waits until a beat is answered in time
_SWEEP_BEATS = 240

Everything = Callable[[], Iterator[str]]  # the lines of all cells of this plane's ledger


class Arbiter:
    """This plane's line to Redis, kept up in the background. Belongs to one event loop."""

    def __init__(self, telephone: Telephone, plane: str, timeout_s: float, everything: Everything, clock: Callable[[], int]) -> None:
        self.others = Others()
        self.timeouts = self.conversations = self.fenced = self.defects = 0
        self.recalled: Callable[[list[tuple[str, int, int]]], None] | None = None  # told once what Redis knew of this plane
        self._telephone = telephone
        self._plane = plane
        self._timeout_s = timeout_s
        self._everything = everything
        self._clock = clock
        self._offset_ns: int | None = None  # Redis's clock less ours
        self._talk: Talk | None = None  # joined
        self._epoch = ""
        self._opens_s = 0.0  # by the monotonic clock
        self._opens_us = 0  # the same by Redis's clock
        self._late = 0
        self._last_change = "0"
        self._beats = 0
        self._is_noted = False  # in the log, that it is away
        self._joined = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    # --- what the ledger asks ---------------------------------------------------------------------------------------

    @property
    def is_joined(self) -> bool:
        """Whether Redis knows what this plane has, and hears of every change."""
        return self._talk is not None

    @property
    def is_open(self) -> bool:
        """Whether it can be asked for a decision now."""
        return self._talk is not None and self._late < _MOST_LATE and time.monotonic() >= self._opens_s

    @property
    def quiet_s(self) -> float:
        """How long ago the last answer to anything came."""
        return math.inf if self._talk is None else time.monotonic() - self._talk.heard_s

    @property
    def reason(self) -> str:
        """Why it cannot be asked, or has not answered: `proxy.toll.terms.Away`."""
        return "disconnected" if self._talk is None else "closed" if time.monotonic() < self._opens_s else "silent"

    @property
    def retry_after_s(self) -> float:
        """How long to wait before it is of use to ask again."""
        return max(1.0, self._opens_s - time.monotonic())

    def now_ns(self, otherwise_ns: int) -> int:
        """The time by Redis's clock, as far as it is known: it decides which window a call falls into, on all planes alike."""
        return otherwise_ns if self._offset_ns is None else self._clock() + self._offset_ns

    async def wait_joined(self) -> bool:
        """Wait while a new conversation begins, `timeout_s` at most. Whether it has; where not, the next ones do not wait."""
        if self._talk is None and self._late < _MOST_LATE:
            try:
                async with asyncio.timeout(self._timeout_s):
                    await self._joined.wait()
            except TimeoutError:
                self.note_late()
        return self.is_open

    def note_late(self) -> None:
        """A decision did not come in time."""
        self.timeouts += 1
        self._late += 1
        if self._late == _MOST_LATE:
            log.warning("Redis does not answer within %g s; it is not asked until it does", self._timeout_s)

    def take(self, claims: str, heard: Heard, is_look: bool = False) -> None:
        """Ask for a reservation, or only what there is. `heard` is told the answer, or None where there will be none."""
        if self._talk is None:
            heard(None)
        else:
            self._talk.say(heard, "take", claims, "look" if is_look else "")

    def note_in_time(self, answer: Answer) -> None:
        """A decision came in time."""
        self._late = 0
        if answer[0] == "closed":
            self._close_until(answer[2], answer[1])

    def move(self, cell: str, spent: int, reserved: int, kept: str) -> None:
        """Tell of a change in this plane's ledger. While there is no conversation nothing is lost: the next begins with everything."""
        if self._talk is not None:
            self._talk.move(cell, spent, reserved, kept)

    # --- its life ---------------------------------------------------------------------------------------------------

    async def start(self, wait_s: float) -> None:
        """Begin to keep in touch; returns when it can be asked, or after `wait_s` when it cannot yet."""
        self._task = asyncio.create_task(self._run(), name="arbiter")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while not self.is_open:
                    await self._joined.wait()
                    await asyncio.sleep(max(0.001, self._opens_s - time.monotonic()))

    async def stop(self, wait_s: float) -> None:
        """Say what is still to be said, `wait_s` at most, and hang up."""
        if self._task is None:
            return
        if self._talk is not None:
            answered = asyncio.Event()  # this one last, for answers come in order
            self._talk.say(lambda answer: answered.set(), "move", "")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await answered.wait()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._task = None

    async def _run(self) -> None:
        while True:
            began_s = time.monotonic()
            try:
                await self._hold_talk()
            except ENDINGS as error:
                self._note_end(error)
            except Exception:  # the talk's: a defect costs one conversation; without any, what others know of this plane would stay for ever
                self.defects += 1
                began_s = time.monotonic()  # however long it lasted, a pause comes first
                log.exception("a defect ended a conversation with Redis; the next one begins with everything")
            has_lasted = time.monotonic() - began_s > 2 * _RETRY_S
            await asyncio.sleep(0 if has_lasted else _RETRY_S * random.uniform(0.5, 1))

    async def _hold_talk(self) -> None:
        """One conversation from its beginning to its end."""
        talk = self._telephone.call()
        try:
            await talk.open()
            await self._join(talk)
            await self._converse(talk)
        finally:
            self._talk = None
            self._joined.clear()
            await talk.close()

    def _note_end(self, error: BaseException) -> None:
        if isinstance(error, Broken) and str(error) == "fenced":
            self.fenced += 1
            log.error("another data plane speaks to Redis as %s; give each its own ledger.plane", self._plane)
        elif not self._is_noted:
            self._is_noted = True
            log.warning("Redis is not to be spoken to (%s: %s); trying on", type(error).__name__, error)

    async def _join(self, talk: Talk) -> None:
        answer = await talk.begin(uuid.uuid4().hex, CLOSED_S)
        self._learn_time(answer[1], 0.0)
        self._close_until(answer[3], answer[1])
        if talk.evicts:
            log.error("this Redis throws data away when it is full; set its maxmemory-policy to noeviction, or budgets are lost")
        if self.recalled is not None:
            answer = await talk.recall()
            if answer[0] != "ok":
                raise Broken(answer[0])
            self.recalled(answer[2])
            self.recalled = None
        epoch = talk.token.rpartition(".")[0]
        for part in _split(self._everything()):  # all at once with what follows: no change may come between
            talk.say(None, "put", self._plane, part)
        if epoch != self._epoch:
            self._epoch, self._last_change = epoch, "0"
            for plane, known in self.others.list_planes():
                for part in _split(line_of(cell, *amounts, self.others.cells.write_kept(cell)) for cell, amounts in known.items()):
                    talk.say(None, "put", plane, part)
        talk.say(None, "join")
        if self._is_noted:
            self._is_noted = False
            log.warning("Redis is spoken to again")
        self.conversations += 1
        self._late = 0
        self._talk = talk
        self._joined.set()

    async def _converse(self, talk: Talk) -> None:
        tasks = [asyncio.create_task(work, name="arbiter") for work in (talk.read(), talk.write(), self._beat(talk))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            left = set(tasks)
            while left:  # sending swallows a cancellation that comes in the very turn in which it ends
                for task in left:
                    task.cancel()
                _, left = await asyncio.wait(left, timeout=0.05)
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _beat(self, talk: Talk) -> None:
        """Ask for news of the other planes, and see that there are answers at all."""
        self._ask_news(talk)
        while True:
            await asyncio.sleep(BEAT_S)
            if talk.silent_s > DEAD_S:
                await asyncio.sleep(0.01)  # what came while this process itself stood still is read first
                if talk.silent_s > DEAD_S:
                    raise Broken("silent")
            if talk.silent_s < BEAT_S:
                self._ask_news(talk)
            self._beats += 1
            if self._beats % _SWEEP_BEATS == 0:
                self.others.sweep(self.now_ns(time.time_ns()))

    def _ask_news(self, talk: Talk) -> None:
        asked_s = time.monotonic()

        def hear(answer: Answer | None) -> None:
            if answer is None:
                return
            waited_s = time.monotonic() - asked_s
            self._learn_time(answer[1], waited_s)
            self._close_until(answer[2], answer[1])
            if waited_s <= self._timeout_s:
                self._late = 0
            _, _, _, self._last_change, told, is_more = answer[:6]
            for plane, cell, spent, reserved in told:
                with contextlib.suppress(ValueError):
                    self.others.hear(plane, cell, spent, reserved)
            if is_more:
                self._ask_news(talk)

        talk.say(hear, "beat", str(self._last_change), _CHANGES_A_BEAT)

    def _learn_time(self, redis_us: int, waited_s: float) -> None:
        self._offset_ns = redis_us * 1000 + int(waited_s * 5e8) - self._clock()

    def _close_until(self, opens_us: int, redis_us: int) -> None:
        opens_s = time.monotonic() + (opens_us - redis_us) / 1e6
        self._opens_s = min(opens_s, self._opens_s) if opens_us == self._opens_us else opens_s  # an answer may have been long on its way
        self._opens_us = opens_us


def _split(lines: Iterator[str]) -> Iterator[str]:
    """Parts of a message that is not too long for one command."""
    part: list[str] = []
    for line in lines:
        part.append(line)
        if len(part) == _CELLS_A_PUT:
            yield "".join(part)
            part = []
    if part:
        yield "".join(part)
