"""The meter: an answer under a budget, weighed as it flows, for which more is reserved, or which is cut at a whole event with a proper end.

`Meter` knows how many output tokens a call's reservation covers and asks for more before they are used up. `MeteredRelay` reads
each piece as it comes, passes it on only when it is covered, holds the upstream while the answer of a shared ledger is out, and,
where no more can be had, ends the stream as the dialect ends one at its maximum (see `proxy.wire.endings`). An event whose beginning
has been sent is sent whole. An answer that cannot be ended so (compressed, of a length announced, of a format without an ending) is broken
off, visibly. Answers that are no streams are never cut: they are paid for when they come.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from proxy.call import Call, Usage
from proxy.dataplane.edge import Edge
from proxy.dataplane.headers import ResponseHead
from proxy.dataplane.relay import Relay
from proxy.dataplane.upstream import Connection
from proxy.errors import Refusal
from proxy.wire import WatchedReader

log = logging.getLogger("weighbridge.meter")
_EARLY = 0.9  # of what is covered: then more is asked for
_TRUST = 1.5  # an estimate may be that much over the maximum that the provider itself keeps to
_LEAST_TOKENS = 16

Extend = Callable[[Call, int], bool | Awaitable[bool]]


class Meter:
    """Weighs the output of one call.

    `extend(call, seen_tokens)` reserves more than `seen_tokens` of output, sets `call.toll.reserved_output_tokens` to the new whole,
    and says whether it could, at once or by an awaitable; it must not raise. `tokens(output_bytes)` estimates.
    """

    __slots__ = ("seen_tokens", "_call", "_extend", "_tokens", "_mark", "_exact_mark", "_reported", "_reported_bytes", "_is_trusted")

    def __init__(self, call: Call, extend: Extend, tokens: Callable[[int], int]) -> None:
        self.seen_tokens = 0
        self._call = call
        self._extend = extend
        self._tokens = tokens
        self._reported = self._reported_bytes = 0
        self._is_trusted = True  # the provider has not passed its maximum
        self._set_marks()

    def weigh(self, output_bytes: int, usage: Usage | None) -> bool | Awaitable[bool]:
        """Whether the answer may go on, `output_bytes` into its output; an awaitable's result is to be given to `hear`.

        `usage` is what the provider has said of it so far. Where it is a running count it is believed, and only what came since is
        estimated; a count far below what has been seen is one of the beginning.
        """
        tokens = self._tokens
        if usage is not None and usage.output_tokens != self._reported and usage.output_tokens * 2 >= tokens(output_bytes):
            self._reported, self._reported_bytes = usage.output_tokens, output_bytes
        self.seen_tokens = self._reported + tokens(output_bytes - self._reported_bytes)
        if self.seen_tokens <= self._mark and self._reported <= self._exact_mark:
            return True
        answer = self._extend(self._call, self.seen_tokens)
        return self.hear(answer) if isinstance(answer, bool) else answer

    def hear(self, granted: bool) -> bool:
        """Take the answer to the question for more; it again."""
        if granted:
            self._is_trusted = False
            self._set_marks()
        return granted

    def _set_marks(self) -> None:
        """From where on more is asked for: `_mark` of the estimate, `_exact_mark` of what the provider itself has counted."""
        call, seen = self._call, self.seen_tokens
        covered = call.toll.reserved_output_tokens
        most = call.toll.capped_tokens or call.ask.max_output_tokens
        if covered is None:
            self._mark = self._exact_mark = float("inf")
        elif covered <= seen and not self._is_trusted:  # granted without becoming more: not to be asked for at every piece
            self._mark = self._exact_mark = seen + max(seen // 10, _LEAST_TOKENS)
        elif self._is_trusted and most is not None and most * call.ask.choices <= covered:  # the provider stops there by itself
            self._mark, self._exact_mark = covered * _TRUST + _LEAST_TOKENS, covered
        else:
            self._mark = self._exact_mark = max(covered * _EARLY, (seen + covered) / 2)


class MeteredRelay(Relay):
    """Passes one answer on as far as it is covered."""

    __slots__ = ("_meter", "_watched", "_asked", "_question", "_held", "_client_full")

    def __init__(
        self, call: Call, edge: Edge, connection: Connection, settle: Callable[[Call], None], meter: Meter, *, keep_alive: bool, http_1_0: bool
    ) -> None:
        super().__init__(call, edge, connection, settle, keep_alive=keep_alive, http_1_0=http_1_0)
        self._meter = meter
        self._watched: WatchedReader | None = None
        self._asked = False  # an answer of the ledger is out
        self._question: asyncio.Task[None] | None = None
        self._held: list[bytes] = []  # what came meanwhile; the first piece has been read
        self._client_full = False

    # --- from the upstream ----------------------------------------------------------------------------------------

    def head_came(self, head: ResponseHead) -> None:
        super().head_came(head)
        if isinstance(self._reader, WatchedReader):
            self._watched = self._reader

    def body_came(self, data: bytes) -> None:
        if self._asked:
            self._held.append(data)
        elif self._watched is None or self._reader is not self._watched:  # nothing to cut, or nothing to read
            super().body_came(data)
        else:
            self._weigh(data)

    def message_ended(self) -> None:
        self._stop_asking()  # the answer is whole and will be billed as it is
        super().message_ended()

    def broken(self, name: str, message: str) -> None:
        self._stop_asking()
        super().broken(name, message)

    def abandon(self) -> None:
        self._stop_asking()
        super().abandon()

    def end_in_band(self, refusal: Refusal) -> bool:
        return not self._asked and super().end_in_band(refusal)

    def client_paused(self, paused: bool) -> None:
        self._client_full = paused
        if not self._asked:
            super().client_paused(paused)

    # --- weighing -------------------------------------------------------------------------------------------------

    def _weigh(self, data: bytes) -> None:
        answer, reader = self._call.answer, self._watched
        answer.chunks += 1
        answer.response_bytes += len(data)
        try:
            reader.feed(self._decoder.feed(data) if self._decoder is not None else data)
            if answer.first_token_ns is None and reader.first_token:
                answer.first_token_ns = time.time_ns()
            is_over, output_bytes, usage = reader.is_over, reader.output_bytes, reader.usage
        except Exception:  # reading never touches traffic
            self._go_blind()
            is_over, output_bytes, usage = True, 0, None
        if is_over:
            self._pass(data)
            return
        may = self._meter.weigh(output_bytes, usage)
        if may is True:
            self._pass(data)
        elif may is False:
            self._cut(data)
        else:
            self._asked = True
            self._held.append(data)
            self._connection.hold(True)
            self._question = asyncio.get_running_loop().create_task(self._hear(may), name=f"more for {self._call.id}")

    async def _hear(self, question: Awaitable[bool]) -> None:
        try:
            granted = await question
        except Exception:  # whatever went wrong, nothing was granted
            log.exception("asking for more failed; the answer is cut")
            granted = False
        if self._asked:
            self._go_on(granted)

    def _go_on(self, granted: bool) -> None:
        held = self._end_question()
        if self._meter.hear(granted):
            self._pass(held[0])
            for data in held[1:]:  # another question may come up
                self.body_came(data)
        else:
            self._cut(held[0])
        if not self._asked and not self.done.done():
            self._connection.hold(self._client_full)
        self.batch_ended()

    def _stop_asking(self) -> None:
        """The call ends while an answer of the ledger is out: it makes no difference any more."""
        if self._asked:
            held = self._end_question()
            self._connection.hold(False)
            self._pass(held[0])
            for data in held[1:]:
                super().body_came(data)

    def _end_question(self) -> list[bytes]:
        self._asked = False
        held, self._held = self._held, []
        return held

    def _pass(self, data: bytes) -> None:
        if data:
            self._out.append(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def _cut(self, data: bytes) -> None:
        """End the answer behind the last whole event of `data`: there is one, for only whole events have been weighed."""
        last, end = None, None
        if self._decoder is None and (self._chunked or not self._framed):  # else bytes of ours would not belong there
            end = self._watched.find_end(data)
            last = self._watched.close(data[:end], self._meter.seen_tokens) if end is not None else None
        self._call.toll.act = "cut"
        self._connection.cancel(self)
        if last is None:
            super().broken("policy_budget_cut", "The budget is used up.")
            return
        self._pass(data[:end])
        self._pass(last)
        if self._chunked:
            self._out.append(b"0\r\n\r\n")
        self._end("policy_budget_cut")
