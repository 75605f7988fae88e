"""A window: what was found in the last inspected calls of one name, and whether that is enough to act on."""

from __future__ import annotations

from collections import Counter, OrderedDict

from proxy.controls import Control

_MOST_NAMED = 3  # sorts of findings in a reason


class Window:
    """Counts for one control and one name. Times are seconds of any clock."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._calls: OrderedDict[str, tuple[float, str | None]] = OrderedDict()  # id → when, and what was bad in it

    def note(self, id: str, found: str | None, now_s: float) -> None:
        """Count an inspected call. One that is told of again, by another evaluator, is bad if it was once."""
        before = self._calls.get(id)
        if before is not None:
            self._calls[id] = (before[0], before[1] or found)
            return
        self._calls[id] = (now_s, found)
        if len(self._calls) > self._control.of:
            self._calls.popitem(last=False)

    def find_start(self, now_s: float) -> float:
        """When the oldest of the calls was counted."""
        return next(iter(self._calls.values()))[0] if self._calls else now_s

    def judge(self, now_s: float) -> str | None:
        """Why to act, in words without anything of an answer; None: there is no reason, or too little is known."""
        while self._calls and now_s - next(iter(self._calls.values()))[0] > self._control.within_s:
            self._calls.popitem(last=False)
        found = [one for _, one in self._calls.values() if one is not None]
        if len(self._calls) < self._control.of or len(found) < self._control.at_least:
            return None
        sorts = ", ".join(f"{sort} {count}" for sort, count in Counter(found).most_common(_MOST_NAMED))
        return f"{len(found)} of the last {len(self._calls)} inspected calls were bad: {sorts}"
