"""The outline of a request that is too long to be kept: what it asks of its answer, without the conversation.

It is a request of the same format with the members that say in which form the answer is wanted, the tools, the rules that a template gives to
every call, and what the user said last; so whoever reads whole requests reads it likewise. Members are copied as they stand: nothing else is built.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from proxy.wire.loose import FAULTS

FORMAT, TOOLS, RULES, TURN, ALL = "format", "tools", "rules", "turn", "all"
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TURNS = msgspec.json.Decoder(list[msgspec.Raw])
_PARTS = {
    FORMAT: ("response_format", "text", "output_config", "output_format", "format", "generationConfig", "generation_config"),
    TOOLS: ("tools", "functions", "toolConfig", "mcp_servers", "prompt"),  # a stored prompt has tools of its own
    RULES: ("system", "instructions", "systemInstruction", "system_instruction"),
}
_TALK = ("messages", "input", "contents", "prompt")
_FIRST, _LAST = 64, 256  # turns that are looked at for rules, and for what the user said
_MOST_BODY = 4 * 1024 * 1024  # to be looked through in a few milliseconds
_MOST_TEXT = 4_096  # characters of the end of what the user said, where it is one text


class _Turn(msgspec.Struct):
    role: str = "user"
    content: msgspec.Raw = msgspec.Raw()
    parts: msgspec.Raw = msgspec.Raw()


_TURN = msgspec.json.Decoder(_Turn)


class Outline(NamedTuple):
    """A request's outline, None where there is none; and what of it did not fit: names of the above."""

    body: bytes | None
    left_out: list[str]


class _Talk(NamedTuple):
    """What is taken out of a conversation: the member that holds it, the turns that are rules, and what the user said last."""

    name: str = ""
    rules: tuple[bytes, ...] = ()
    said: bytes = b""
    is_list: bool = False


def make_outline(body: bytes, most: int) -> Outline:
    """The outline of a request body, of at most `most` bytes; what comes first above is put in first."""
    if len(body) > _MOST_BODY:
        return Outline(None, [ALL])
    try:
        members = _MEMBERS.decode(body)
        talk = _read_talk(members)
    except FAULTS:
        return Outline(None, [ALL])
    members = {name: raw for name, raw in members.items() if name != "prompt" or bytes(memoryview(raw)[:1]) == b"{"}
    pieces = {part: [b'"%b":%b' % (name.encode(), bytes(members[name])) for name in names if name in members] for part, names in _PARTS.items()}
    sizes = {part: sum(map(len, found)) for part, found in pieces.items()}
    sizes[RULES] += sum(map(len, talk.rules))
    sizes[TURN] = len(talk.said)
    left_out, room = [], most
    for part, size in sizes.items():
        if size > room:
            left_out.append(part)
        else:
            room -= size
    kept = [piece for part, found in pieces.items() if part not in left_out for piece in found]
    turns = [*(talk.rules if RULES not in left_out else ()), *([talk.said] if talk.said and TURN not in left_out else [])]
    if turns:
        kept.append(b'"%b":%b' % (talk.name.encode(), b"[%b]" % b",".join(turns) if talk.is_list else turns[0]))
    return Outline(b"{%b}" % b",".join(kept), left_out)


def _read_talk(members: dict[str, msgspec.Raw]) -> _Talk:
    """Of the member that holds the conversation. Raises `FAULTS`."""
    for name in _TALK:
        raw = members.get(name)
        first = b"" if raw is None else bytes(memoryview(raw)[:1])
        if first == b'"':
            text = msgspec.json.decode(raw, type=str)
            return _Talk(name, said=bytes(raw) if len(text) <= _MOST_TEXT else msgspec.json.encode(text[-_MOST_TEXT:]))
        if first == b"[" and name != "prompt":
            turns = _TURNS.decode(raw)
            rules = tuple(bytes(turn) for turn in turns[:_FIRST] if _read_turn(turn).role in ("system", "developer"))
            return _Talk(name, rules, next((bytes(turn) for turn in turns[: -_LAST - 1 : -1] if _speaks(_read_turn(turn))), b""), is_list=True)
    return _Talk()


def _read_turn(turn: msgspec.Raw) -> _Turn:
    try:
        return _TURN.decode(turn)
    except FAULTS:
        return _Turn(role="")


def _speaks(turn: _Turn) -> bool:
    """Whether a turn is the user's and has a text in it; results of tools stand under the same role."""
    said = bytes(turn.content) or bytes(turn.parts)
    return turn.role == "user" and ((said.startswith(b'"') and said != b'""') or b'"text"' in said)
