"""The sample socket's receiving end."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.controlplane.samples import SampleReceiver
from proxy.pulse import Pulse
from proxy.record import Sample
from proxy.samplesocket import bind

ENCODE = msgspec.msgpack.Encoder().encode
SAMPLE = Sample(id="call-1", agent="a", format="openai_chat", usage_source="estimated", text="hello")
PULSE = Pulse(**{field.name: 7 for field in msgspec.structs.fields(Pulse) if field.required})


def test_samples_and_pulses_arrive(tmp_path: Path) -> None:
    path = tmp_path / "samples.sock"
    bind(path).close()  # left behind by a dead process
    receiver, stopping = SampleReceiver(bind(path)), threading.Event()
    thread = threading.Thread(target=receiver.run, args=(stopping,), daemon=True)
    thread.start()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        for datagram in (b"P" + ENCODE(PULSE), b"nonsense", b"S" + ENCODE([SAMPLE])):
            sender.sendto(datagram, str(path))
    assert receiver.samples.get(timeout=10) == [SAMPLE]
    stopping.set()
    thread.join()
    assert (receiver.pulse, receiver.received, receiver.malformed, receiver.dropped) == (PULSE, 1, 1, 0)


def test_what_is_sent_before_anybody_listens_waits(tmp_path: Path) -> None:
    bound = bind(tmp_path / "samples.sock")  # by whoever starts the planes
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sender.sendto(b"S" + ENCODE([SAMPLE]), str(tmp_path / "samples.sock"))
    receiver, stopping = SampleReceiver(bound.dup()), threading.Event()
    thread = threading.Thread(target=receiver.run, args=(stopping,), daemon=True)
    thread.start()
    assert receiver.samples.get(timeout=10) == [SAMPLE]
    stopping.set()
    thread.join()
    bound.close()


@pytest.fixture
def receiver() -> SampleReceiver:
    with socket.socket() as unused:
        return SampleReceiver(unused, most=2, clock=iter([100.0, 103.0]).__next__)


def test_what_is_not_taken_in_time_is_dropped_and_counted(receiver: SampleReceiver) -> None:
    for _ in range(5):
        receiver.take(b"S" + ENCODE([SAMPLE]))
    assert (receiver.received, receiver.dropped, receiver.samples.qsize()) == (5, 3, 2)


def test_what_is_to_be_inspected_goes_two_ways(receiver: SampleReceiver) -> None:
    chosen = msgspec.structs.replace(SAMPLE, is_inspected=True)
    for _ in range(3):
        receiver.take(b"S" + ENCODE([SAMPLE, chosen]))
    assert receiver.inspected.get_nowait() == [chosen]
    assert (receiver.inspected.qsize(), receiver.uninspected, receiver.dropped) == (1, 1, 2)


def test_a_pulse_grows_old(receiver: SampleReceiver) -> None:
    assert receiver.pulse_age_s is None
    receiver.take(b"P" + ENCODE(PULSE))
    assert receiver.pulse_age_s == 3.0


def test_the_longest_pause_of_a_minute_is_kept_for_whoever_asks_seldom(tmp_path) -> None:
    with socket.socket() as unused:
        one = SampleReceiver(unused)
    assert one.worst_lag_ns == 0
    for lag_ns in (5, 90, *[3] * 59):
        one.take(b"P" + ENCODE(msgspec.structs.replace(PULSE, loop_lag_ns=lag_ns)))
    assert one.worst_lag_ns == 90
    one.take(b"P" + ENCODE(PULSE))
    assert one.worst_lag_ns == 7


@given(st.binary())
def test_no_datagram_raises(datagram: bytes) -> None:
    with socket.socket() as unused:
        one = SampleReceiver(unused)
    for kind in (b"", b"S", b"P"):
        one.take(kind + datagram)
    assert one.malformed + one.received + (one.pulse is not None) >= 1
