"""The ending of Bedrock's ConverseStream: the open block is closed, and `messageStop` says `max_tokens`."""

from __future__ import annotations

import msgspec

from proxy.call import Ask
from proxy.wire.loose import FAULTS, Loose
from proxy.wire.sse import Event


class _Event(msgspec.Struct, rename="camel", gc=False):
    content_block_index: int | None = None


_EVENT = Loose(_Event)


class ConverseEnding:
    """Follows `bedrock.converse`."""

    formats = ("bedrock.converse",)
    __slots__ = ("is_over", "_begun", "_open")

    def __init__(self, ask: Ask) -> None:
        self.is_over = False
        self._begun = False
        self._open: set[int] = set()

    def take(self, events: list[Event]) -> None:
        for name, data in events:
            if name == b"messageStart":
                self._begun = True
            elif name == b"messageStop":
                self.is_over = True
            elif name.startswith(b"contentBlock"):
                try:
                    index = _EVENT.decode(data).content_block_index or 0
                except FAULTS:
                    continue
                (self._open.discard if name == b"contentBlockStop" else self._open.add)(index)  # a block of text opens with its first piece

    def close(self, output_tokens: int) -> list[Event] | None:
        if not self._begun:
            return None
        stops = [(b"contentBlockStop", msgspec.json.encode({"contentBlockIndex": index})) for index in sorted(self._open)]
        return [*stops, (b"messageStop", b'{"stopReason":"max_tokens"}')]
