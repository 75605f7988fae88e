"""A shelf forgets what is idle, and only that."""

from __future__ import annotations

from proxy.toll.shelf import Shelf

S = 1_000_000_000


class Thing:
    def __init__(self, busy: bool = False) -> None:
        self.busy = busy

    def is_busy(self, now_ns: int) -> bool:
        return self.busy


def sweep_through(shelf: Shelf[str, Thing], seconds: range) -> None:
    for second in seconds:
        shelf.sweep(second * S)


def test_what_is_used_stays_and_what_is_not_goes() -> None:
    shelf: Shelf[str, Thing] = Shelf()
    used = Thing()
    shelf.put("used", used)
    shelf.put("unused", Thing())
    for second in range(1000, 1300):
        shelf.sweep(second * S)
        assert shelf.get("used") is used
    assert shelf.get("unused") is None and len(shelf) == 1 and list(shelf.values()) == [used]


def test_what_was_used_within_a_minute_stays() -> None:
    shelf: Shelf[str, Thing] = Shelf()
    sweep_through(shelf, range(1000, 1100))
    shelf.put("one", Thing())
    sweep_through(shelf, range(1100, 1159))
    assert shelf.get("one") is not None


def test_the_busy_stay_until_they_are_not() -> None:
    shelf: Shelf[str, Thing] = Shelf()
    thing = Thing(busy=True)
    shelf.put("one", thing)
    sweep_through(shelf, range(1000, 1500))
    assert len(shelf) == 1
    thing.busy = False
    sweep_through(shelf, range(1500, 1800))
    assert len(shelf) == 0


def test_no_moment_is_long() -> None:
    shelf: Shelf[int, Thing] = Shelf()
    for number in range(10_000):
        shelf.put(number, Thing())
    shelf.sweep(1000 * S)
    shelf.sweep(1100 * S)
    assert len(shelf) == 8000
    sweep_through(shelf, range(1101, 1106))
    assert len(shelf) == 0
