"""The members of a JSON object as places in its bytes, so that one number can be changed and every other byte stays.

Values are measured by the JSON decoder itself, at its speed: it hands out each member's own bytes, and as members follow each
other without gaps the places follow from the lengths. Only where a key stands twice (the decoder keeps the last) is a value
skipped bracket by bracket.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

from proxy.wire.loose import FAULTS
from proxy.wire.maxima import HOLDERS

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_OPENED = re.compile(rb"[ \t\r\n]*\{[ \t\r\n]*")
_KEY = re.compile(rb'("[^"\\]*+(?:\\.[^"\\]*+)*+")[ \t\r\n]*:[ \t\r\n]*')
_NEXT = re.compile(rb"[ \t\r\n]*(?:,[ \t\r\n]*|(\}))")
_BRACKET = re.compile(rb'[^"{}\[\]]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"{}\[\]]*+)*+([{}\[\]])')
_SCALAR = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[^\s,{}\[\]"]+')


class Member(NamedTuple):
    """A key, unescaped, and where its value stands: `body[start:end]`."""

    key: str
    start: int
    end: int


def find_members(body: bytes, start: int = 0, end: int | None = None) -> list[Member] | None:
    """The members of the object `body[start:end]`, in order and also those whose key stands twice; None if it is no JSON object."""
    part = body if start == 0 and end is None else body[start:end]
    try:
        values = _MEMBERS.decode(part)
        return _place(part, values, start)
    except FAULTS:
        return None


def repeats_keys(body: bytes) -> bool:
    """Whether a key stands more than once, there or where a maximum is kept: then a provider may read another request than we do.

    Servers in Go (Ollama) read keys without regard to case.
    """
    members = find_members(body) or ()
    if len({member.key.lower() for member in members}) < len(members):
        return True
    return any(repeats_keys(body[member.start : member.end]) for member in members if member.key in HOLDERS)


def after_bracket(body: bytes, start: int = 0) -> int:
    """The place right behind the opening bracket of the object at `start`, where a member may be put in."""
    return body.index(b"{", start) + 1


def _place(part: bytes, values: dict[str, msgspec.Raw], offset: int) -> list[Member] | None:
    members: list[Member] = []
    opened = _OPENED.match(part)
    if opened is None:
        return None
    place = opened.end()
    while values:
        name = _KEY.match(part, place)
        if name is None:
            return None
        key = msgspec.json.decode(name[1], type=str)
        start, value = name.end(), bytes(values[key])
        end = start + len(value)
        after = _NEXT.match(part, end) if part.startswith(value, start) else None
        if after is None:  # the value of a later member of this name
            end = _skip(part, start)
            after = _NEXT.match(part, end)
            if after is None:
                return None
        members.append(Member(key, offset + start, offset + end))
        place = after.end()
        if after[1]:
            break
    return members


def _skip(part: bytes, start: int) -> int:
    """Where the value at `start` ends."""
    if part[start] not in b"{[":
        scalar = _SCALAR.match(part, start)
        return scalar.end() if scalar else start
    depth, place = 0, start
    while bracket := _BRACKET.match(part, place):
        depth += 1 if bracket[1] in b"{[" else -1
        place = bracket.end()
        if depth == 0:
            break
    return place
