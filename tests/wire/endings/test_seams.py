"""Seams: the place behind the last whole event, however the bytes are split, and what is written there."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.endings.seams import Seam, open_seam
from proxy.wire.eventstream import EventStreamParser
from proxy.wire.jsonarray import ArrayParser
from proxy.wire.ndjson import LineParser
from proxy.wire.sse import EVENT_LIMIT, SseParser

OURS = [(b"", b'{"last":true}')]


def feed(parser: object, pieces: list[bytes]) -> Seam:
    seam = open_seam(parser)
    for piece in pieces:
        parser.feed(piece)
        seam.pass_by(piece)
    return seam


def close(make, pieces: list[bytes]) -> bytes | None:
    """All that is passed on, and what follows; None where no event ends in the last piece."""
    seam = feed(make(), pieces)
    end = seam.find_end(pieces[-1])
    if end is None:
        return None
    last = seam.write(pieces[-1][:end], OURS)
    return None if last is None else b"".join(pieces[:-1]) + pieces[-1][:end] + last


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
@given(st.data())
def test_events_of_any_line_end(line_end: bytes, data: st.DataObject) -> None:
    event = b"event: x" + line_end + b"data: {}" + 2 * line_end
    body = event * 3
    at = data.draw(st.integers(1, len(body)))
    before = data.draw(st.integers(0, at - 1))
    closed = close(SseParser, [body[:before], body[before:at]])
    ends = [number * len(event) for number in range(1, 4) if before <= number * len(event) <= at]
    if line_end == b"\r\n" and body[:at].endswith(b"\r\n\r"):
        ends.append(at)  # the empty line has begun, which is enough
    if not ends:
        assert closed is None
    else:
        events = SseParser().feed(closed)
        assert events[-1] == OURS[0]
        assert events[:-1] == [(b"x", b"{}")] * len(events[:-1])
        assert closed.startswith(body[: ends[-1]])
        assert len(events) - 1 == round(ends[-1] / len(event))


def test_a_torn_crlf_is_mended() -> None:
    assert close(SseParser, [b"data: 1\r\n\r"]) == b"data: 1\r\n\r\n" + b'data: {"last":true}\n\n'
    assert close(SseParser, [b"data: 1\r\n\r", b"\ndata: 2"]) == b"data: 1\r\n\r\n" + b'data: {"last":true}\n\n'


def test_named_events_are_written_with_their_names() -> None:
    assert feed(SseParser(), [b"data: 1\n\n"]).write(b"data: 1\n\n", [(b"done", b"{}")]) == b"event: done\ndata: {}\n\n"


@pytest.mark.parametrize(
    ("pieces", "want"),
    [
        ([b'{"a":1}\n{"a"'], b'{"a":1}\n{"last":true}\n'),
        ([b'{"a":1}\n', b'{"a"'], b'{"a":1}\n{"last":true}\n'),
        ([b'{"a":1}\n', b"", b'{"a"'], b'{"a":1}\n{"last":true}\n'),
        ([b'{"a"', b":1"], None),
    ],
)
def test_lines(pieces: list[bytes], want: bytes | None) -> None:
    assert close(LineParser, pieces) == want


@given(st.data())
def test_arrays(data: st.DataObject) -> None:
    elements = [{"a": ']}\\"[{'}, {"b": [1, {"c": 2}]}, {"d": "é"}]
    body = data.draw(st.sampled_from([b"", b" "])) + json.dumps(elements, indent=data.draw(st.sampled_from([None, 1]))).encode()
    body = body.rstrip()[:-1]
    at = data.draw(st.integers(1, len(body)))
    before = data.draw(st.integers(0, at - 1))
    closed = close(ArrayParser, [body[:before], body[before:at]])
    if closed is not None:
        *whole, last = json.loads(closed)
        assert last == {"last": True}
        assert whole == elements[: len(whole)]


def test_a_finished_array_cannot_go_on() -> None:
    assert close(ArrayParser, [b'[{"a":1}]']) is None
    assert close(ArrayParser, [b'[{"a":1},\n', b" " * 40]) == b'[{"a":1},\n' + b" " * 40 + b'{"last":true}]'


def test_frames() -> None:
    seam = open_seam(EventStreamParser())
    frame = seam.write(b"", [(b"messageStop", b'{"stopReason":"max_tokens"}')])
    assert EventStreamParser().feed(frame) == [(b"messageStop", b'{"stopReason":"max_tokens"}')]
    parser = EventStreamParser()
    seam = feed(parser, [frame + frame[:9]])
    assert seam.find_end(frame + frame[:9]) == len(frame)
    parser.feed(frame[9:12])
    assert seam.find_end(frame[9:12]) is None


def test_an_event_over_the_limit_has_no_end_that_is_known() -> None:
    array = ArrayParser(limit=64)
    piece = b'[{"a":"' + b"x" * 200_000
    assert feed(array, [piece]).find_end(piece) is None
    frames = EventStreamParser()
    big = open_seam(frames).write(b"", [(b"x", b"y" * (EVENT_LIMIT + 1))])[:2000]
    assert feed(frames, [big]).find_end(big) is None
    assert feed(EventStreamParser(), [b"garbage, no frame"]).find_end(b"garbage, no frame") is None
