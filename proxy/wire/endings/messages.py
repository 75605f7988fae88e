"""The ending of Anthropic's Messages: the open block is closed, `message_delta` says `max_tokens`, and `message_stop`.

`message_delta` must count the output, so an estimate stands there.
"""

from __future__ import annotations

import msgspec

from proxy.call import Ask
from proxy.wire.loose import FAULTS, Loose
from proxy.wire.sse import Event


class _Delta(msgspec.Struct, gc=False):
    stop_reason: str | None = None


class _Event(msgspec.Struct, gc=False):
    type: str | None = None
    index: int | None = None
    delta: _Delta | None = None


_EVENT = Loose(_Event)


class MessagesEnding:
    """Follows `anthropic.messages`."""

    formats = ("anthropic.messages",)
    __slots__ = ("is_over", "_begun", "_open")

    def __init__(self, ask: Ask) -> None:
        self.is_over = False
        self._begun = False
        self._open: list[int] = []

    def take(self, events: list[Event]) -> None:
        for name, data in events:
            if name == b"content_block_delta":  # nearly all of them, and none changes what is open
                continue
            try:
                event = _EVENT.decode(data)
            except FAULTS:
                continue
            kind, index = event.type or name.decode("latin-1"), event.index or 0
            if kind == "message_start":
                self._begun = True
            elif kind == "content_block_start":
                self._open.append(index)
            elif kind == "content_block_stop" and index in self._open:
                self._open.remove(index)
            elif kind == "message_stop" or (kind == "message_delta" and event.delta is not None and event.delta.stop_reason):
                self.is_over = True

    def close(self, output_tokens: int) -> list[Event] | None:
        if not self._begun:
            return None
        events: list[dict] = [{"type": "content_block_stop", "index": index} for index in self._open]
        delta = {"stop_reason": "max_tokens", "stop_sequence": None}
        events += [{"type": "message_delta", "delta": delta, "usage": {"output_tokens": output_tokens}}, {"type": "message_stop"}]
        return [(event["type"].encode(), msgspec.json.encode(event)) for event in events]
