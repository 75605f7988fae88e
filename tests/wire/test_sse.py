"""The SSE parser: the standard's rules, any chunking the same, bounded."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from proxy.wire.sse import KEPT, MOST_LINES, SseParser


def parse(pieces: list[bytes], limit: int = 1 << 20) -> list[tuple[bytes, bytes]]:
    parser = SseParser(limit)
    events = [event for piece in pieces for event in parser.feed(piece)]
    return events + parser.end()


def test_plain_events() -> None:
    assert parse([b"data: 1\n\ndata: 2\n\ndata: [DONE]\n\n"]) == [(b"", b"1"), (b"", b"2"), (b"", b"[DONE]")]


def test_names_line_ends_comments_and_many_lines() -> None:
    body = b": hello\r\n\r\nevent: a\r\ndata: 1\r\n\r\nid: 7\rdata:2\rdata: 3\revent:b\rretry: 9\r\rdata\n\n"
    assert parse([body]) == [(b"a", b"1"), (b"b", b"2\n3"), (b"", b"")]


def test_a_mark_of_byte_order_opens_the_stream_only() -> None:
    assert parse([b"\xef\xbb\xbfdata: 1\n\n\xef\xbb\xbfdata: 2\n\n"]) == [(b"", b"1")]


def test_only_one_blank_is_taken_off() -> None:
    assert parse([b"data:  1 \n\n"]) == [(b"", b" 1 ")]


def test_the_end_gives_what_the_stream_ended_in() -> None:
    assert parse([b"data: 1\n\ndata: 2"]) == [(b"", b"1"), (b"", b"2")]
    assert parse([b"data: 1\n\ndata: 2\n"]) == [(b"", b"1"), (b"", b"2")]


def test_an_event_over_the_limit_is_let_go_but_for_its_ends() -> None:
    body = b"data: 1\n\ndata: " + b"x" * (8 * KEPT) + b"usage\n\ndata: 2\n\n"
    for size in (1, 1000, KEPT, len(body)):
        parser = SseParser(4 * KEPT)
        events = []
        for at in range(0, len(body), size):
            events += parser.feed(body[at : at + size])
            assert len(parser._buffer) <= 4 * KEPT + 1 + size
        assert events == [(b"", b"1"), (b"", b"2")]
        assert len(parser.cut) == 1
        assert len(parser.cut[0]) == 2 * KEPT + 1
        assert parser.cut[0].endswith(b"xusage")


def test_an_event_of_more_lines_than_anybody_writes_is_let_go_but_for_its_ends() -> None:
    parser = SseParser()
    body = b"data: 1\n\n" + b"data: x\n" * (MOST_LINES + 2) + b"data: usage\n\ndata: 2\n\n"
    assert parser.feed(body) == [(b"", b"1"), (b"", b"2")]
    assert len(parser.cut) == 1 and parser.cut[0].endswith(b"usage")


def test_empty_lines_are_passed_over_and_still_end_what_is_over_the_limit() -> None:
    assert parse([b"\n" * 9 + b"data: 1\n\n\n\n\n\ndata: 2\n\n\n\n"]) == [(b"", b"1"), (b"", b"2")]
    parser = SseParser(4 * KEPT)
    assert parser.feed(b"data: " + b"x" * (5 * KEPT)) == [] and parser.feed(b"\n\n\n\ndata: 2\n\n") == [(b"", b"2")]
    assert len(parser.cut) == 1


alphabet = st.sampled_from([b"data: ", b"data:", b"event: ", b"\n", b"\n\n", b"\r", b"\r\n", b": c", b"x", b"{}", b"id: 1", b"\xef\xbb\xbf", b" "])


@given(st.lists(alphabet, max_size=40).map(b"".join), st.lists(st.integers(0, 200), max_size=12))
def test_any_chunking_reads_the_same(body: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(body)]
    pieces = [body[start:end] for start, end in zip(places, places[1:], strict=False)]
    assert parse(pieces) == parse([body]) == parse([body[at : at + 1] for at in range(len(body))])


@example(b"data:\n: c\n\ndata: ", 1)  # the empty line comes where the limit is passed
@given(st.lists(alphabet, max_size=60).map(b"".join), st.integers(1, 9))
def test_any_chunking_lets_the_same_go(body: bytes, size: int) -> None:
    assert parse([body[at : at + size] for at in range(0, len(body), size)], limit=8) == parse([body], limit=8)
