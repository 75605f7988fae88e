"""The ending of Bedrock's Invoke: the one of the model's own dialect, packed as Bedrock packs it. Only Anthropic's models have one."""

from __future__ import annotations

import base64
import binascii

import msgspec

from proxy.call import Ask
from proxy.wire.endings.messages import MessagesEnding
from proxy.wire.loose import FAULTS, Loose
from proxy.wire.sse import Event


class _Frame(msgspec.Struct, gc=False):
    bytes: str | None = None


_FRAME = Loose(_Frame)


class InvokeEnding:
    """Follows `bedrock.invoke`."""

    formats = ("bedrock.invoke",)
    __slots__ = ("_inner",)

    def __init__(self, ask: Ask) -> None:
        self._inner = MessagesEnding(ask) if "anthropic." in (ask.model or "") else None

    @property
    def is_over(self) -> bool:
        return self._inner is not None and self._inner.is_over

    def take(self, events: list[Event]) -> None:
        if self._inner is None:
            return
        for _, data in events:
            try:
                event = base64.b64decode(_FRAME.decode(data).bytes or "")
            except (*FAULTS, binascii.Error, ValueError):
                continue
            self._inner.take([(b"", event)])

    def close(self, output_tokens: int) -> list[Event] | None:
        events = self._inner.close(output_tokens) if self._inner is not None else None
        if events is None:
            return None
        return [(b"chunk", msgspec.json.encode({"bytes": base64.b64encode(data).decode()})) for _, data in events]
