"""One decision that is asked of the arbiter: claims as it reads them, and what becomes of the answer, also where it comes too late.

A decision waits until nothing at all was answered for `timeout_s`: while answers come, its own is on the way, behind those of other calls.
What is granted after that, or to a caller that has left, is given back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from proxy.toll.account import Slot, Standing
from proxy.toll.cells import Cells
from proxy.toll.terms import UNITS

Claims = list[tuple[Slot, int]]
_GRACE_S = 0.002  # an answer may be there already, unread
_MOST_TIMEOUTS = 20  # that a decision waits for behind others


def write_claims(claims: Claims, past: frozenset[str], cells: Cells, now_ns: int) -> str:
    """The claims as the script reads them. Budgets that may not refuse, and those in `past`, have no limit in it."""
    lines = []
    for slot, amount in claims:
        rule, cell = slot.rule, slot.cell
        limit = str(slot.limit) if rule.may_refuse and rule.name not in past else "-"
        line = f"{cell.id} {amount} {limit} {cells.write_kept(cell.id)}"
        if cell.series is not None:
            windows = rule.windows
            _, mark, scope = cell.id.partition("?")
            last = now_ns // windows.bucket_ns + 1  # another plane may be in the next one
            line += f" {rule.name}.{UNITS[slot.unit]}@{windows.per} {windows.first_live(now_ns)} {last} {mark}{scope}"
        lines.append(line + "\n")
    return "".join(lines)


def stand(claims: Claims, standing: list[Standing]) -> Claims:
    """The claims against other sums than those of the ledger that made them."""
    found = []
    for (slot, amount), total in zip(claims, standing, strict=True):
        copy = Slot(slot.rule, slot.names, slot.unit, slot.limit, slot.cell)
        copy.total = total
        found.append((copy, amount))
    return found


class Question:
    """One that is waiting for its answer. Belongs to one event loop."""

    def __init__(self, decide: Callable[[str, list[Standing]], Any], give_back: Callable[[], None]) -> None:
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.in_time = True
        self.was_answered = False
        self._decide = decide  # turns an answer (`ok` or `short`, and the sums) into a decision, in the turn in which it came
        self._give_back = give_back

    @property
    def result(self) -> Any:
        """The decision, also where nobody waits for it any more; None where there is none."""
        return self.future.result() if self.future.done() and not self.future.cancelled() else None

    async def wait(self, timeout_s: float, quiet_s: Callable[[], float]) -> Any:
        """The decision; None where there is none in time. `quiet_s` tells how long ago anything was answered."""
        loop = self.future.get_loop()
        ends_s = loop.time() + timeout_s * _MOST_TIMEOUTS

        def expire() -> None:
            rest_s = min(timeout_s - quiet_s(), ends_s - loop.time())
            self._timer = loop.call_later(rest_s + _GRACE_S, expire) if rest_s > 0 else loop.call_later(_GRACE_S, self._end)

        self._timer = loop.call_later(timeout_s, expire)
        try:
            return await self.future
        finally:
            self._timer.cancel()

    def _end(self) -> None:
        if not self.future.done():
            self.in_time = False
            self.future.set_result(None)

    def hear(self, answer: list[Any] | None) -> bool:
        """Take the arbiter's answer. Whether somebody was still waiting for one."""
        if self.future.done():
            if answer is not None and answer[0] == "ok":
                self._give_back()
            return False
        if answer is None or answer[0] == "closed":
            self.future.set_result(None)
        else:
            self.was_answered = True
            self.future.set_result(self._decide(answer[0], [Standing(*each) for each in answer[2]]))
        return answer is not None
