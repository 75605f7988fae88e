"""Typed JSON decoding that survives fields of a wrong type: such a field is absent, the rest is read.

The fast way decodes straight into a struct that declares only the fields read; everything else is skipped without
being built. Only where a declared field has another type than expected (or text is not UTF-8) is the value built and fitted field by field:
a small one as a whole, of a large one what does not fit, and no more of it than MOST_BUILT; the rest of that is absent.
"""

from __future__ import annotations

import contextlib
import re
import types
import typing
from functools import lru_cache
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")
FAULTS = (msgspec.DecodeError, RecursionError, UnicodeError)  # all that decoding foreign bytes raises
MOST_BUILT = 256 * 1024  # bytes: they take some 30 ms, and thirty times as many bytes of memory
_MOST_COMMAS = 50_000  # in a list that is taken apart
_MOST = 2**53  # counts above this are noise; they would not fit the columns of any store
_ABSENT = object()
_TRUE = ("true", "t", "yes", "y", "on", "1")
_NUMBER = re.compile(r"\s*[+-]?[0-9]{1,15}(?:\.0{1,9})?(?:[eE][+-]?[0-9]{1,2})?\s*")


class Loose(Generic[T]):
    """A decoder of one struct type. `decode` raises only `FAULTS`, and only if the bytes are no JSON, or nested too deeply."""

    __slots__ = ("_kind", "_fast")

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        self._fast = msgspec.json.Decoder(kind)

    def decode(self, data: bytes) -> T:
        try:
            return self._fast.decode(data)
        except (msgspec.ValidationError, UnicodeError):
            readable = bytes(data).decode("utf-8", "replace").encode()
            fitted = _Mender().mend(readable, self._kind)
            return self._kind() if fitted is _ABSENT else fitted


def count(*numbers: float | None) -> int:
    """The first number given, as a count: never negative, never absurd; 0 where there is none."""
    for number in numbers:
        if number is not None:
            return int(min(number, _MOST)) if number > 0 else 0
    return 0


def is_set(raw: msgspec.Raw) -> bool:
    """Whether an optional raw field stood in the JSON with a value other than null."""
    return bytes(raw) not in (b"", b"null")


class _Mender:
    """Makes one value of JSON that does not fit; `room` is how much of it may still be built."""

    def __init__(self) -> None:
        self.room = MOST_BUILT

    def mend(self, data: bytes, kind: Any) -> Any:
        """`data` as a `kind`, without what does not fit; `_ABSENT` if nothing of it does."""
        for option in _options(kind):
            with contextlib.suppress(msgspec.ValidationError):
                return _decoder(option).decode(data)
        if len(data) <= self.room:
            self.room -= len(data)
            return _fit(msgspec.json.decode(data), kind)
        for option in _options(kind):
            if isinstance(option, type) and issubclass(option, msgspec.Struct) and data.lstrip()[:1] == b"{":
                return self._mend_struct(data, option)
            if typing.get_origin(option) is list and data.lstrip()[:1] == b"[" and data.count(b",") < _MOST_COMMAS:
                items = [self.mend(bytes(item), typing.get_args(option)[0]) for item in _decoder(list[msgspec.Raw]).decode(data)]
                return [item for item in items if item is not _ABSENT]
        return _ABSENT

    def _mend_struct(self, data: bytes, kind: type[msgspec.Struct]) -> Any:
        pieces = _decoder(_apart(kind)).decode(data)
        fitted = {}
        for name, _, field_kind in _fields(kind):
            piece = bytes(getattr(pieces, name))
            field = self.mend(piece, field_kind) if piece else _ABSENT
            if field is not _ABSENT:
                fitted[name] = field
        return kind(**fitted)


@lru_cache(maxsize=256)
def _decoder(kind: Any) -> msgspec.json.Decoder:
    return msgspec.json.Decoder(kind)


@lru_cache(maxsize=256)
def _apart(kind: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """A struct with the same fields, none of which is looked into."""
    fields = _fields(kind)
    return msgspec.defstruct(kind.__name__, [(name, msgspec.Raw, msgspec.Raw()) for name, _, _ in fields], rename={one[0]: one[1] for one in fields})


def _options(kind: Any) -> tuple[Any, ...]:
    return typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)


def _fit(value: Any, kind: Any) -> Any:
    """`value` as a `kind`, without what does not fit; `_ABSENT` if nothing of it does."""
    for option in _options(kind):
        fitted = _fit_one(value, option)
        if fitted is not _ABSENT:
            return fitted
    return _ABSENT


def _fit_one(value: Any, kind: Any) -> Any:
    if kind is msgspec.Raw:
        return msgspec.Raw(msgspec.json.encode(value))
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _fit_struct(value, kind) if isinstance(value, dict) else _ABSENT
    if typing.get_origin(kind) is list:
        if not isinstance(value, list):
            return _ABSENT
        items = [_fit(item, typing.get_args(kind)[0]) for item in value]
        return [item for item in items if item is not _ABSENT]
    if typing.get_origin(kind) is dict:
        if not isinstance(value, dict):
            return _ABSENT
        values = {name: _fit(item, typing.get_args(kind)[1]) for name, item in value.items()}
        return {name: item for name, item in values.items() if item is not _ABSENT}
    if kind is bool and isinstance(value, (str, int, float)):  # as servers in Python take it
        return str(value).lower() in _TRUE if value not in (0, 1) else bool(value)
    if kind is int and isinstance(value, str) and _NUMBER.fullmatch(value):  # as protobuf's JSON may write it, and many a server takes it
        value = float(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return _ABSENT


def _fit_struct(value: dict[str, Any], kind: type[msgspec.Struct]) -> Any:
    fitted = {}
    for name, encoded_name, field_kind in _fields(kind):
        if encoded_name in value:
            field = _fit(value[encoded_name], field_kind)
            if field is not _ABSENT:
                fitted[name] = field
    return kind(**fitted)


@lru_cache(maxsize=256)
def _fields(kind: type[msgspec.Struct]) -> list[tuple[str, str, Any]]:
    hints = typing.get_type_hints(kind)
    return [(field.name, field.encode_name, hints[field.name]) for field in msgspec.structs.fields(kind)]
