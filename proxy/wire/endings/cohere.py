"""The ending of Cohere's v2 chat: what is open of the text is closed, and `message-end` says `MAX_TOKENS`."""

from __future__ import annotations

import msgspec

from proxy.call import Ask
from proxy.wire.loose import FAULTS, Loose
from proxy.wire.sse import Event


class _Event(msgspec.Struct, gc=False):
    type: str | None = None
    index: int | None = None


_EVENT = Loose(_Event)
_OPENING = {"content-start": "content-end", "citation-start": "citation-end"}  # and what closes it


class CohereEnding:
    """Follows `cohere.chat`."""

    formats = ("cohere.chat",)
    __slots__ = ("is_over", "_begun", "_open")

    def __init__(self, ask: Ask) -> None:
        self.is_over = False
        self._begun = False
        self._open: list[tuple[str, int]] = []  # (the event that closes it, index)

    def take(self, events: list[Event]) -> None:
        for name, data in events:
            try:
                event = _EVENT.decode(data)
            except FAULTS:
                continue
            kind, index = event.type or name.decode("latin-1"), event.index or 0
            self._begun |= kind == "message-start"
            self.is_over |= kind == "message-end"
            if kind in _OPENING:
                self._open.append((_OPENING[kind], index))
            elif (kind, index) in self._open:
                self._open.remove((kind, index))

    def close(self, output_tokens: int) -> list[Event] | None:
        if not self._begun:
            return None
        events: list[dict] = [{"type": kind, "index": index} for kind, index in self._open]
        events.append({"type": "message-end", "delta": {"finish_reason": "MAX_TOKENS"}})
        return [(event["type"].encode(), msgspec.json.encode(event)) for event in events]
