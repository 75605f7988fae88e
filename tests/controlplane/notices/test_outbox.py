"""One channel's way: tried again later and later, given up, told anew, and nothing held up by a receiver that is slow."""

from __future__ import annotations

import threading

from proxy.controlplane.notices.outbox import REST_S, NotDelivered, Outbox
from proxy.controlplane.notices.told import Notice
from tests.controlplane.notices.conftest import make_alert, make_notice

A, AB = make_notice([make_alert("a")]), make_notice([make_alert("a"), make_alert("b")])
OTHER = make_notice([make_alert("c", "WeighbridgeAgentRefused")])


class Way:
    """An outbox whose receiver does what the test says, with the test's clock."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.error: NotDelivered | None = None
        self.tried: list[float] = []
        self.delivered: list[Notice] = []
        self.outbox = Outbox("ops", self.send, self.delivered.append, lambda: self.now_s)

    def send(self, _: Notice) -> None:
        self.tried.append(self.now_s)
        if self.error is not None:
            raise self.error

    def go(self, seconds: float) -> None:
        """Let time pass, in which the outbox waits as long as it says."""
        until = self.now_s + seconds
        while (wait_s := self.outbox.step()) is not None and self.now_s + wait_s <= until:
            self.now_s += wait_s
        self.now_s = until


def test_what_is_taken_is_delivered_once() -> None:
    way = Way()
    way.outbox.offer(A)
    way.outbox.offer(OTHER)
    way.go(100)
    assert way.delivered == [A, OTHER] and way.outbox.sent == 2 and sum(way.outbox.dropped.values()) == 0


def test_the_newest_of_a_name_is_what_waits() -> None:
    way = Way()
    way.outbox.offer(A)
    way.outbox.offer(AB)
    way.go(10)
    assert way.delivered == [AB]


def test_what_fails_is_tried_later_and_later_then_given_up_and_rests() -> None:
    way = Way()
    way.error = NotDelivered("away")
    way.outbox.offer(A)
    way.go(2000)
    pauses = [round(after - before) for before, after in zip(way.tried, way.tried[1:], strict=False)]
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256]
    assert way.outbox.dropped == {"unreachable": 1, "refused": 0, "outdated": 0, "failed": 0} and way.delivered == []
    way.error, way.now_s = None, way.tried[-1] + REST_S - 1
    way.outbox.offer(A)
    way.go(0)
    assert way.delivered == []
    way.now_s += 2
    way.outbox.offer(A)
    way.go(0)
    assert way.delivered == [A]


def test_a_newer_notice_does_not_hurry_a_receiver_that_is_away() -> None:
    way = Way()
    way.error = NotDelivered("away")
    way.outbox.offer(A)
    way.go(8)
    tried = len(way.tried)
    way.outbox.offer(AB)
    way.go(1)
    assert len(way.tried) == tried
    way.error = None
    way.go(10)
    assert way.delivered == [AB]


def test_what_is_refused_is_given_up_at_once() -> None:
    way = Way()
    way.error = NotDelivered("no", "refused")
    way.outbox.offer(A)
    way.go(1000)
    assert len(way.tried) == 1 and way.outbox.dropped["refused"] == 1


def test_a_receiver_may_say_when() -> None:
    way = Way()
    way.error = NotDelivered("busy", wait_s=77)
    way.outbox.offer(A)
    way.go(80)
    assert way.tried == [1000, 1077]


def test_what_was_over_before_it_could_be_told_is_withdrawn_and_counted() -> None:
    way = Way()
    way.error = NotDelivered("away")
    way.outbox.offer(A)
    way.outbox.offer(OTHER)
    way.go(1)
    way.outbox.withdraw({OTHER.name})
    way.error = None
    way.go(100)
    assert way.delivered == [OTHER] and way.outbox.dropped["outdated"] == 1


def test_while_one_is_on_its_way_none_of_its_name_is_taken_and_nobody_waits() -> None:
    entered, leave, done, sent = threading.Event(), threading.Event(), threading.Event(), []

    def send(notice: Notice) -> None:
        entered.set()
        assert leave.wait(20)
        sent.append(notice)

    outbox = Outbox("slow", send, lambda notice: done.set() if notice == OTHER else None)
    thread = threading.Thread(target=outbox.run)
    thread.start()
    outbox.offer(A)
    assert entered.wait(20)
    outbox.offer(AB)  # of the same name
    outbox.offer(OTHER)
    leave.set()
    assert done.wait(20)
    outbox.close()
    thread.join(20)
    assert sent == [A, OTHER] and not thread.is_alive()


def test_a_defect_of_a_channel_costs_that_notice_and_is_counted() -> None:
    way = Way()
    way.outbox = Outbox("broken", lambda notice: None if notice == OTHER else 1 / 0, way.delivered.append, lambda: way.now_s)
    way.outbox.offer(A)
    way.outbox.offer(OTHER)
    way.go(10)
    assert way.outbox.dropped["failed"] == 1 and way.delivered == [OTHER]
