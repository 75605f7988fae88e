"""Endings: how a stream that is cut in the middle is ended, as its provider would end it at the maximum of tokens.

An ending takes in the same events as the form of its format and keeps only what its last events need: ids, open blocks, what a
terminal event repeats. Text that was begun is closed; a tool call that was begun is not: its arguments stay the broken JSON that
they are, and the finish word (`length`, `max_tokens`, `MAX_TOKENS`, `incomplete`) says why. No usage is invented but where a
format cannot do without.

To add an ending: one module with a class like `chat.ChatEnding`, one entry in `ENDINGS`.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from proxy.call import Ask, Kind
from proxy.wire.endings.chat import ChatEnding
from proxy.wire.endings.cohere import CohereEnding
from proxy.wire.endings.converse import ConverseEnding
from proxy.wire.endings.generate import GenerateEnding
from proxy.wire.endings.invoke import InvokeEnding
from proxy.wire.endings.messages import MessagesEnding
from proxy.wire.endings.ollama import OllamaEnding
from proxy.wire.endings.responses import ResponsesEnding
from proxy.wire.sse import Event


class Ending(Protocol):
    """Follows one stream."""

    formats: tuple[str, ...]

    def __init__(self, ask: Ask) -> None: ...

    @property
    def is_over(self) -> bool:
        """The provider has said its finish word, for all that was asked for."""

    def take(self, events: list[Event]) -> None:
        """Take in events of the stream. Raises nothing, whatever they are."""

    def close(self, output_tokens: int) -> list[Event] | None:
        """The events that end the stream; None if it cannot be ended well. `output_tokens`: how many have been seen, estimated."""


ENDINGS: tuple[type[Ending], ...] = (
    ChatEnding, ResponsesEnding, MessagesEnding, GenerateEnding, CohereEnding, OllamaEnding, ConverseEnding,
    InvokeEnding,
)  # fmt: skip
_BY_FORMAT: dict[str, type[Ending]] = {name: ending for ending in ENDINGS for name in ending.formats}


def open_ending(kind: Kind, ask: Ask) -> Ending | None:
    """The ending of a stream; None where its format has none."""
    ending = _BY_FORMAT.get(kind.format)
    return None if ending is None else ending(msgspec.structs.replace(ask, model=kind.model or ask.model))
