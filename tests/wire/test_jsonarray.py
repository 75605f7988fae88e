"""The elements of a JSON array: any chunking the same, strings and escapes respected, bounded."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.jsonarray import ArrayParser
from proxy.wire.sse import KEPT


def parse(pieces: list[bytes], limit: int = 1 << 20) -> list[bytes]:
    parser = ArrayParser(limit)
    return [data for piece in pieces for _, data in parser.feed(piece)] + [data for _, data in parser.end()]


def test_elements() -> None:
    body = b'[{"a":"]},{\\"[\\\\"},\n{"b":[1,{"c":2}]},3,"x}",[4]]'
    assert parse([body]) == [b'{"a":"]},{\\"[\\\\"}', b'{"b":[1,{"c":2}]}', b"[4]"]


def test_an_object_alone_is_one_element() -> None:
    assert parse([b' {"error":{"code":429}}\n']) == [b'{"error":{"code":429}}']


values = st.recursive(
    st.none() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.text(max_size=5), values, max_size=3), max_size=5), st.integers(1, 9), st.booleans())
def test_any_chunking_gives_the_elements(elements: list[dict], size: int, ascii_only: bool) -> None:
    body = json.dumps(elements, indent=1, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert [json.loads(one) for one in parse([body])] == elements
    assert parse([body[at : at + size] for at in range(0, len(body), size)]) == parse([body])


@given(st.lists(st.sampled_from([b"[", b"]", b"{", b"}", b'"', b"\\", b",", b"1"]), max_size=40).map(b"".join), st.integers(1, 5))
def test_garbage_reads_the_same_too(body: bytes, size: int) -> None:
    assert parse([body[at : at + size] for at in range(0, len(body), size)]) == parse([body])


def test_memory_is_bounded() -> None:
    body = b'[{"a":1},{"b":"' + b"x" * (8 * KEPT) + b'","usage":2}' + b",{}" * 3 + b"," * 200_000 + b"]"
    for size in (1000, len(body)):
        parser = ArrayParser(4 * KEPT)
        events = []
        for at in range(0, len(body), size):
            events += parser.feed(body[at : at + size])
            assert len(parser._buffer) <= 5 * KEPT + size
        assert [data for _, data in events] == [b'{"a":1}', b"{}", b"{}", b"{}"]
        assert len(parser.cut) == 1
        assert parser.cut[0].endswith(b'x","usage":2}')
