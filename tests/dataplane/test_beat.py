"""The beat, on a clock and a loop that are moved by hand."""

from proxy.dataplane.beat import EVERY_S, Beat


class Loop:
    """Keeps the one timer that is set, and the time."""

    def __init__(self):
        self.now = 100.0
        self.cancelled = False
        self._timer = None

    def call_later(self, delay, callback, *arguments):
        self._timer = (callback, arguments)
        return self

    def cancel(self):
        self.cancelled = True

    def strike(self, late_s):
        self.now += EVERY_S + late_s
        callback, arguments = self._timer
        callback(*arguments)


def test_the_longest_pause_is_told_once():
    loop = Loop()
    beat = Beat(lambda: loop.now)
    beat.begin(loop)
    for late_s in (0.0, 0.25, 0.002):
        loop.strike(late_s)
    assert beat.take_worst_ns() == 250_000_000
    assert beat.take_worst_ns() == 0
    loop.strike(0.003)
    loop.strike(-0.001)  # a timer may come a little early
    assert beat.take_worst_ns() == 3_000_000
    beat.end()
    assert loop.cancelled


def test_one_that_never_began_can_end():
    beat = Beat()
    beat.end()
    assert beat.take_worst_ns() == 0
