"""The two changes that a budget may make in a request: a maximum of output tokens, and a cheaper model.

Only that number or that name changes, or one member is put in; every other byte of the body stays as the caller wrote it, so that
what a provider caches or signs by its bytes is hurt no further. Where a key stands more than once, each is changed: which one counts
is the provider's to decide.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import quote

from proxy.call import Kind
from proxy.wire.maxima import find_maker, find_maximum
from proxy.wire.members import Member, after_bracket, find_members

_GEMINI_MODEL = re.compile(r"(/models/)([^/:]+)(:[A-Za-z-]+/?)\Z")
_BEDROCK_MODEL = re.compile(r"(/model/)([^/]+)(/[a-z-]+/?)\Z")
_DEPLOYMENT = re.compile(r"(/deployments/)([^/]+)(/)")
_PATHS = (("gemini.", _GEMINI_MODEL), ("anthropic.", _GEMINI_MODEL), ("bedrock.", _BEDROCK_MODEL), ("openai.", _DEPLOYMENT))
_NAMED_IN_BODY = ("openai.", "anthropic.", "cohere.", "ollama.", "gemini.interactions")


def cap_output(kind: Kind, body: bytes, tokens: int, provider: str | None) -> bytes | None:
    """`body` with `tokens` as its maximum of output tokens; None where the format has none, or the body is not as it should be.

    Each maximum that stands is set, be it higher, lower or no number; where none stands one is put in. `provider` is that of the price
    book (`openai`, `azure`, …): it decides which name is put into a chat.
    """
    maximum = find_maximum(kind, provider)
    members = find_members(body) if maximum is not None else None
    if maximum is None or members is None:
        return None
    number = b"%d" % tokens
    changes = [change for aside in maximum.asides for change in _set_aside(body, members, *aside, number)]
    if not maximum.holders:
        return _apply(body, changes + _set(body, 0, members, maximum.names, number))
    holders = [member for member in members if member.key in maximum.holders]
    if not holders:
        changes.append(_put_in(body, 0, members, maximum.holders[0], b'{"%s":%s}' % (maximum.names[0].encode(), number)))
    for holder in holders:
        inner = find_members(body, holder.start, holder.end)
        if inner is not None:
            changes += _set(body, holder.start, inner, maximum.names, number)
        elif body[holder.start : holder.end] == b"null":
            changes.append((holder.start, holder.end, b'{"%s":%s}' % (maximum.names[0].encode(), number)))
        else:
            return None
    return _apply(body, changes)


def change_model(kind: Kind, body: bytes, path: str, model: str) -> tuple[bytes, str] | None:
    """(body, path) that ask for `model`; None where neither names a model, or it cannot be changed there.

    `path` is percent-encoded, with or without its query. Where the path decides, it is changed, and a model that an OpenAI body
    names beside it too. OpenRouter's `models` become this one.
    """
    if kind.format == "bedrock.invoke" and find_maker(kind.model) != find_maker(model):
        return None  # another maker's body
    if kind.model is not None:
        changed = _change_path(kind, path, model)
        if changed is None or not kind.format.startswith("openai."):
            return None if changed is None else (body, changed)
        members = find_members(body)
        return None if members is None else (_apply(body, _name(members, model)), changed)
    members = find_members(body) if kind.format.startswith(_NAMED_IN_BODY) and kind.format != "openai.realtime" else None
    if members is None or (kind.format == "gemini.interactions" and any(member.key == "agent" for member in members)):
        return None
    changes = _name(members, model) or [_put_in(body, 0, members, "model", _quote(model))]
    return _apply(body, changes), path


_Change = tuple[int, int, bytes]  # body[start:end] becomes these bytes


def _set(body: bytes, start: int, members: list[Member], names: tuple[str, ...], value: bytes) -> list[_Change]:
    """The changes that set every one of `names` in the object at `start`, or put the first in."""
    standing: list[_Change] = [(member.start, member.end, value) for member in members if member.key in names]
    return standing or [_put_in(body, start, members, names[0], value)]


def _set_aside(body: bytes, members: list[Member], aside: str, name: str, value: bytes) -> Iterator[_Change]:
    for holder in members:
        inner = find_members(body, holder.start, holder.end) if holder.key == aside else None
        yield from ((member.start, member.end, value) for member in inner or () if member.key == name)


def _put_in(body: bytes, start: int, members: list[Member], name: str, value: bytes) -> _Change:
    place = after_bracket(body, start)
    return place, place, b'"%s":%s%s' % (name.encode(), value, b"," if members else b"")


def _name(members: list[Member], model: str) -> list[_Change]:
    quoted = {"model": _quote(model), "models": b"[" + _quote(model) + b"]"}
    return [(member.start, member.end, quoted[member.key]) for member in members if member.key in quoted]


def _quote(text: str) -> bytes:
    return json.dumps(text).encode()


def _change_path(kind: Kind, path: str, model: str) -> str | None:
    bare, mark, query = path.partition("?")
    pattern = next((pattern for start, pattern in _PATHS if kind.format.startswith(start)), None)
    found = pattern.search(bare) if pattern is not None else None
    if found is None:
        return None
    return bare[: found.start(2)] + quote(model, safe="") + bare[found.end(2) :] + mark + query


def _apply(body: bytes, changes: list[_Change]) -> bytes:
    pieces, place = [], 0
    for start, end, value in sorted(changes):
        pieces += [body[place:start], value]
        place = end
    return b"".join((*pieces, body[place:]))
