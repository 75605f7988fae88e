"""Typed decoding that survives wrong types."""

from __future__ import annotations

import tracemalloc

import msgspec
import pytest

from proxy.wire.loose import MOST_BUILT, Loose, count, is_set


class Inner(msgspec.Struct):
    size: int | None = None


class Outer(msgspec.Struct, rename="camel"):
    first_name: str | None = None
    inner: Inner | None = None
    items: list[Inner] | str | None = None
    raw: msgspec.Raw = msgspec.Raw()


OUTER = Loose(Outer)


def test_right_types_are_read() -> None:
    outer = OUTER.decode(b'{"firstName":"a","inner":{"size":1},"items":[{"size":2}],"raw":[1, 2]}')
    assert (outer.first_name, outer.inner, outer.items, bytes(outer.raw)) == ("a", Inner(1), [Inner(2)], b"[1, 2]")


def test_wrong_types_are_absent_and_the_rest_is_read() -> None:
    outer = OUTER.decode(b'{"firstName":7,"inner":{"size":"x"},"items":[{"size":2.0},5,{"size":true}],"raw":[1, 2]}')
    assert (outer.first_name, outer.inner, outer.items, bytes(outer.raw)) == (None, Inner(), [Inner(2), Inner()], b"[1,2]")


@pytest.mark.parametrize(("written", "size"), [('"8"', 8), ('" 8.0 "', 8), ('"1e1"', 10), ('"-3"', -3), ('"8.5"', None), ('"8 of"', None)])
def test_a_number_may_be_written_as_a_text(written: str, size: int | None) -> None:
    assert OUTER.decode(b'{"inner":{"size":%s}}' % written.encode()).inner == Inner(size)


def test_a_dict_keeps_what_fits_of_it() -> None:
    class Named(msgspec.Struct):
        names: dict[str, int] | None = None
        raws: list[dict[str, msgspec.Raw]] | None = None

    named = Loose(Named).decode(b'{"names":{"a":1,"b":"x"},"raws":[{"a":[1]},5]}')
    assert named.names == {"a": 1}
    assert named.raws is not None
    assert [{name: bytes(raw) for name, raw in each.items()} for each in named.raws] == [{"a": b"[1]"}]
    assert Loose(Named).decode(b'{"names":5}').names is None


def test_text_that_is_not_unicode_is_replaced() -> None:
    assert OUTER.decode(b'{"firstName":"a\xff"}').first_name == "a\ufffd"


@pytest.mark.parametrize("data", [b"5", b"[]", b"null", b'"x"'])
def test_what_is_no_object_is_empty(data: bytes) -> None:
    assert OUTER.decode(data).first_name is None


BULK = b"[" + b"[]," * (MOST_BUILT // 2) + b"[]]"


def measure_peak(data: bytes) -> tuple[Outer, float]:
    """What is read, and the most memory that reading took, in parts of the data."""
    tracemalloc.start()
    outer = OUTER.decode(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return outer, peak / len(data)


@pytest.mark.parametrize(
    "wrong", [b'"firstName":7,"bulk":%s', b'"firstName":%s', b'"firstName":"a","items":%s', b'"items":"x","inner":%s,"firstName":7']
)
def test_of_a_large_value_what_does_not_fit_is_not_built(wrong: bytes) -> None:
    outer, parts = measure_peak(b'{"raw":[1],' + wrong % BULK + b"}")
    assert (bytes(outer.raw), outer.inner) == (b"[1]", None)
    assert parts < 8  # thirty times of it, if it were


def test_the_rest_of_a_large_value_is_read_all_the_same() -> None:
    text = "x" * MOST_BUILT
    items = [{"size": "2"}, 5, {"size": 3, "note": text}]
    written = msgspec.json.encode({"firstName": text, "inner": {"size": "x", "note": text}, "items": items, "raw": 1})
    outer = OUTER.decode(written)
    assert (outer.first_name, outer.inner, outer.items, bytes(outer.raw)) == (text, Inner(), [Inner(2), Inner(3)], b"1")


def test_of_a_large_list_so_much_is_mended() -> None:
    outer = OUTER.decode(msgspec.json.encode({"items": [{"size": "2", "note": "x" * 1000}] * 1000}))
    assert isinstance(outer.items, list) and 100 < outer.items.count(Inner(2)) < 1000
    assert OUTER.decode(b'{"firstName":7,"inner":' + b'"x"' * 1 + b',"raw":' + BULK + b"}").raw == msgspec.Raw(BULK)


def test_what_is_no_json_raises() -> None:
    with pytest.raises(msgspec.DecodeError):
        OUTER.decode(b'{"firstName":7,')


def test_counts() -> None:
    assert [count(None), count(None, 3), count(-1), count(10**30), count(2.9), count(0, 5)] == [0, 3, 0, 2**53, 2, 0]


def test_is_set() -> None:
    assert [is_set(msgspec.Raw(raw)) for raw in (b"", b"null", b"0", b"{}")] == [False, False, True, True]
