"""Mending: which bad answers of a call are followed by another attempt because a control says so, beside what its upstream's section says."""

from __future__ import annotations

import msgspec

from proxy.controls import Control
from proxy.toll.subject import Picker, Subject, make_picker


class Mend(msgspec.Struct, frozen=True):
    """Words of `proxy.routes.JUDGED`, for one call that does not stream."""

    again: frozenset[str] = frozenset()  # one more attempt at the same upstream
    elsewhere: frozenset[str] = frozenset()  # a fallback

    @property
    def words(self) -> frozenset[str]:
        """All that an answer is looked at for."""
        return self.again | self.elsewhere


NOTHING_MENDED = Mend()


class Mending:
    """The controls that act before an answer is passed on, compiled."""

    def __init__(self, controls: list[Control]) -> None:
        self._rules: list[tuple[Control, Picker]] = [(one, make_picker([], one.match)) for one in controls if one.is_inline]

    @property
    def is_idle(self) -> bool:
        """Whether there is none."""
        return not self._rules

    def find(self, subject: Subject) -> Mend:
        """What is done for a call: all that any control says that concerns it."""
        again: set[str] = set()
        elsewhere: set[str] = set()
        for control, pick in self._rules:
            if pick(subject) is not None:
                (again if control.do == "retry" else elsewhere).update(control.when)
        return Mend(frozenset(again), frozenset(elsewhere)) if again or elsewhere else NOTHING_MENDED
