"""The notifier as a whole, look by look with a clock that the test moves: real receivers on loopback, restarts, other configs, dead ends."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from prometheus_client.core import Metric

from proxy.controlplane.notices.notifier import Notifier
from proxy.notify import Channel, Notify
from tests.controlplane.notices.channels.conftest import Receiver, run_receiver
from tests.controlplane.notices.conftest import START_S, Shown, make_families
from tests.test_supervise import wait_until

SEEN, LIMIT = "weighbridge_agent_last_seen_timestamp_seconds", "weighbridge_agent_silence_limit_seconds"
PULSE = {"weighbridge_pulse_age_seconds": {(): 0.1}}


class Place:
    """A notifier, its state folder, its figures and its clock."""

    def __init__(self, folder: Path, *channels: Channel) -> None:
        self.now_s = START_S
        self.folder = folder
        self.notify = Notify(list(channels))
        self.shown: Shown = PULSE
        self.notifiers: list[Notifier] = []
        self.start()

    def start(self) -> Notifier:
        """A new process, as it were."""
        self.notifier = Notifier(self.notify, self.folder / "notices.json", "here:1", self.look_up, {"SECRET": "hush"}, lambda: self.now_s)
        self.notifiers.append(self.notifier)
        return self.notifier

    def look_up(self) -> Iterator[Metric]:
        yield from make_families(self.shown)

    def silence(self, *agents: str) -> None:
        """From now on these agents are silent."""
        self.shown = PULSE | {SEEN: {(agent, ""): START_S - 9999 for agent in agents}, LIMIT: {(agent, ""): 60 for agent in agents}}

    def look(self, seconds: float, times: int = 1) -> None:
        for _ in range(times):
            self.notifier.look()
            self.now_s += seconds

    def count(self) -> dict[str, float]:
        """The notifier's own figures, by name and labels."""
        return {
            " ".join((sample.name, *sample.labels.values())): sample.value
            for family in self.notifier.collect()
            for sample in family.samples
            if sample.name.endswith("_total")
        }

    def firing(self) -> list[str]:
        report = self.notifier.list_alerts()
        return [row[report.columns.index("labels")].get("agent", "") for row in report.rows if row[report.columns.index("state")] == "firing"]


@pytest.fixture
def place(tmp_path: Path, receiver: Receiver) -> Iterator[Place]:
    made = Place(tmp_path, Channel("ops", "webhook", url=receiver.url))
    yield made
    for notifier in made.notifiers:
        notifier.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with run_receiver() as one:
        yield one


def heard(receiver: Receiver) -> list[tuple[str, list[str]]]:
    """(status, agents) of every notice that came."""
    bodies = [json.loads(body) for _, body in receiver.got]
    return [(body["status"], [alert["labels"]["agent"] for alert in body["alerts"]]) for body in bodies]


def test_an_alert_is_told_once_then_its_end(place: Place, receiver: Receiver) -> None:
    place.silence("a")
    place.look(30, times=2)
    assert place.firing() == [] and place.notifier.list_alerts().rows[0][:3] == ["WeighbridgeAgentSilent", "critical", "pending"]
    place.look(30)
    assert place.firing() == ["a"]
    wait_until(lambda: place.count()["weighbridge_notices_sent_total ops"] == 1)
    place.look(30, times=10)
    place.shown = PULSE
    place.look(30, times=3)
    wait_until(lambda: place.count()["weighbridge_notices_sent_total ops"] == 2)
    assert heard(receiver) == [("firing", ["a"]), ("resolved", ["a"])]


def test_a_restart_repeats_nothing_and_tells_what_ended_meanwhile(place: Place, receiver: Receiver) -> None:
    place.silence("a", "b")
    place.look(30, times=3)
    wait_until(lambda: place.count()["weighbridge_notices_sent_total ops"] == 1)
    place.notifier.close()
    place.start()
    assert place.firing() == ["a", "b"]
    place.look(30, times=5)
    place.notifier.close()
    place.silence("b")
    place.start()
    place.look(30, times=4)
    wait_until(lambda: place.count()["weighbridge_notices_sent_total ops"] == 1)
    place.notifier.close()
    bodies = [json.loads(body) for _, body in receiver.got]
    assert [[(one["status"], one["labels"]["agent"]) for one in body["alerts"]] for body in bodies] == [
        [("firing", "a"), ("firing", "b")],
        [("firing", "b"), ("resolved", "a")],
    ]


def test_what_was_not_delivered_before_a_crash_is_delivered_after_it(place: Place, receiver: Receiver) -> None:
    receiver.status = 503
    place.silence("a")
    place.look(30, times=3)
    wait_until(lambda: receiver.got)
    place.notifier.close()
    receiver.status = 200
    place.start()
    place.look(30)
    wait_until(lambda: place.count()["weighbridge_notices_sent_total ops"] == 1)


def test_a_receiver_that_is_dead_or_slow_holds_up_no_other(tmp_path: Path, receiver: Receiver) -> None:
    leave = threading.Event()
    with run_receiver() as slow, socket.create_server(("127.0.0.1", 0)) as listener:
        dead = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        listener.close()
        slow.behave = lambda _: leave.wait(20)
        channels = [Channel("slow", "webhook", url=slow.url), Channel("dead", "webhook", url=dead), Channel("ops", "webhook", url=receiver.url)]
        place = Place(tmp_path, *channels)
        place.silence("a")
        place.look(30, times=3)
        wait_until(lambda: place.count()["weighbridge_notices_sent_total ops"] == 1)
        place.look(30, times=5)  # looks go on, and offer nobody a second one
        counts = place.count()
        assert (counts["weighbridge_notices_sent_total slow"], counts["weighbridge_notices_sent_total dead"]) == (0, 0)
        leave.set()
        place.notifier.close()
    assert len(receiver.got) == 1


def test_what_is_refused_is_counted_as_dropped(place: Place, receiver: Receiver) -> None:
    receiver.status = 404
    place.silence("a")
    place.look(30, times=3)
    wait_until(lambda: place.count()["weighbridge_dropped_total notices refused"] == 1)


def test_another_config_opens_and_closes_channels_and_counts_stay(place: Place, receiver: Receiver) -> None:
    place.silence("a")
    place.look(30, times=3)
    wait_until(lambda: place.count()["weighbridge_notices_sent_total ops"] == 1)
    with run_receiver() as other:
        ops, chat = place.notify.channels[0], Channel("more", "webhook", url=other.url)
        place.notifier.configure(Notify([ops, chat]))
        place.look(30)
        wait_until(lambda: place.count().get("weighbridge_notices_sent_total more") == 1)
        moved = msgspec.structs.replace(ops, url=other.url)
        place.notifier.configure(Notify([moved]))
        place.look(30)
        assert place.count()["weighbridge_notices_sent_total ops"] == 1 and len(receiver.got) == 1
        place.notifier.configure(Notify())
        assert place.count()["weighbridge_notices_sent_total more"] == 1 and len(other.got) == 1


def test_a_test_notice_goes_to_every_channel_and_says_what_came_of_it(tmp_path: Path, receiver: Receiver) -> None:
    with run_receiver() as refusing:
        refusing.status = 403
        place = Place(tmp_path, Channel("ops", "webhook", url=receiver.url), Channel("no", "webhook", url=refusing.url))
        assert place.notifier.test("jo") == [
            {"channel": "ops", "kind": "webhook", "sent": True, "message": "its receiver took it"},
            {"channel": "no", "kind": "webhook", "sent": False, "message": "it answered with status 403"},
        ]
        place.notifier.close()
    assert "jo asked for it" in receiver.got[0][1].decode()
    empty = Place(tmp_path)
    assert empty.notifier.test("jo") == []


def test_a_look_that_fails_is_counted_and_the_next_one_is_made(place: Place) -> None:
    place.shown = {"weighbridge_pulse_age_seconds": None}  # what cannot be collected
    place.look(30)
    assert place.count()["weighbridge_notices_failures_total"] == 1
    place.silence("a")
    place.look(30, times=4)
    assert place.firing() == ["a"]


def test_a_state_that_cannot_be_written_is_said_and_nothing_else(place: Place, receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    (place.folder / "notices.draft").mkdir()
    place.silence("a")
    place.look(30, times=3)
    wait_until(lambda: receiver.got)
    assert "notices.json cannot be written" in caplog.text and place.count()["weighbridge_notices_failures_total"] == 0


def test_it_looks_at_once_and_ends_when_told(place: Place) -> None:
    stopping = threading.Event()
    stopping.set()
    place.silence("a")
    place.notifier.run(stopping)
    assert place.notifier.list_alerts().rows
