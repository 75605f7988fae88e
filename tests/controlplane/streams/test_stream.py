"""A stream: its state as bytes, and what is refused of them."""

from __future__ import annotations

import math

import msgspec
import pytest

from evaluators.drift import state
from proxy.controlplane.streams.stream import Stream, _bound, make_settings, read_stream
from proxy.controlplane.streams.told import StreamUnreadable, read_head
from proxy.inspecting import Drift
from tests.controlplane.streams.conftest import SMALL, WARMUP, say

KEY = ("a", "report", "")


def play(stream: Stream, numbers: range) -> Stream:
    for number in numbers:
        stream.take(say(number), {"id": f"c{number}"}, number)
    return stream


def test_a_stream_is_the_same_after_a_dump_and_holds_no_text() -> None:
    stream = play(Stream(KEY, "a", "t", SMALL), range(WARMUP + 3))
    data = stream.dump()
    again = read_stream(data, SMALL)
    assert again.describe() == stream.describe() == read_head(data)
    assert play(again, range(70, 90)).describe() == play(stream, range(70, 90)).describe()
    assert say(1)[:20].encode() not in data


def test_it_says_what_it_is_told_apart_by() -> None:
    told = play(Stream(KEY, "a", None, SMALL), range(4)).describe()
    assert (told.name("agent"), told.name("task"), told.name("model"), told.name("upstream")) == ("a", "report", None, None)
    assert told.last_ns == 3


@pytest.mark.parametrize("change", [{"version": 0}, {"key": ["a"]}, {"by": ["agent"]}])
def test_a_head_of_another_program_is_refused(change: dict) -> None:
    head, _, rest = play(Stream(KEY, "a", "t", SMALL), range(3)).dump().partition(b"\n")
    data = msgspec.json.encode({**msgspec.json.decode(head), **change}) + b"\n" + rest
    with pytest.raises(StreamUnreadable):
        read_stream(data, SMALL)


def test_a_detector_that_measured_other_things_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = play(Stream(KEY, "a", "t", SMALL), range(3)).dump()
    monkeypatch.setattr(state, "LAYOUT", "another")
    with pytest.raises(StreamUnreadable, match="measures other features"):
        read_stream(data, SMALL)


def test_streams_told_apart_otherwise_are_refused() -> None:
    data = play(Stream(KEY, "a", "t", SMALL), range(3)).dump()
    with pytest.raises(StreamUnreadable, match="told apart"):
        read_stream(data, Drift(warmup=WARMUP, by=["agent", "model", "task"]))


@pytest.mark.parametrize(("warmup", "first"), [(50, 50), (60, 50), (240, 80), (300, 100), (1000, 100)])
def test_a_short_warm_up_sets_its_cells_early(warmup: int, first: int) -> None:
    assert make_settings(Drift(warmup=warmup)).first == first


def test_figures_are_such_as_json_can_hold() -> None:
    assert [_bound(value) for value in (1.5, math.inf, -math.inf, math.nan)] == [1.5, 1e300, -1e300, 0.0]
