"""Lines of JSON: any chunking the same, blank lines passed by, bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.ndjson import LineParser
from proxy.wire.sse import KEPT


def parse(pieces: list[bytes], limit: int = 1 << 20) -> list[tuple[bytes, bytes]]:
    parser = LineParser(limit)
    events = [event for piece in pieces for event in parser.feed(piece)]
    return events + parser.end()


def test_lines() -> None:
    assert parse([b'{"a":1}\r\n\n {"b":2} \n{"c"']) == [(b"", b'{"a":1}'), (b"", b'{"b":2}'), (b"", b'{"c"')]


@given(st.lists(st.sampled_from([b"\n", b"a", b"{}", b" ", b"\r\n", b"longer"]), max_size=40).map(b"".join), st.integers(1, 9))
def test_any_chunking_reads_the_same(body: bytes, size: int) -> None:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    assert parse(pieces) == parse([body])
    assert parse(pieces, limit=8) == parse([body], limit=8)


def test_a_line_over_the_limit_is_let_go_but_for_its_ends() -> None:
    body = b"1\n" + b"x" * (8 * KEPT) + b"end\n2\n"
    for size in (1, 5000, len(body)):
        parser = LineParser(4 * KEPT)
        events = []
        for at in range(0, len(body), size):
            events += parser.feed(body[at : at + size])
            assert len(parser._buffer) <= 4 * KEPT + size
        assert events == [(b"", b"1"), (b"", b"2")]
        assert [len(kept) for kept in parser.cut] == [2 * KEPT + 1]
        assert parser.cut[0].endswith(b"xend")
