"""The parts of a message, declared: those that are more than text, in all dialects' words.

What only needs to be present is kept as the bytes it is; `ABSENT` stands where it is not.
"""

from __future__ import annotations

import msgspec

ABSENT = msgspec.Raw()
_EMPTY = (b"null", b"[]", b"{}", b'""', b"false")


def stands(raw: msgspec.Raw) -> bool:
    """Whether a field is there with a value that says something."""
    return raw is not ABSENT and bytes(raw) not in _EMPTY


class Part(msgspec.Struct, gc=False):
    """A part of a message that tells its kind by `type`, or (Bedrock) by its only field."""

    type: str | None = None
    source: msgspec.Raw = ABSENT
    image_url: msgspec.Raw = ABSENT
    input_audio: msgspec.Raw = ABSENT
    audio_url: msgspec.Raw = ABSENT
    video_url: msgspec.Raw = ABSENT
    document_url: msgspec.Raw = ABSENT
    file: msgspec.Raw = ABSENT
    file_url: msgspec.Raw = ABSENT
    file_data: msgspec.Raw = ABSENT
    file_id: msgspec.Raw = ABSENT
    data: msgspec.Raw = ABSENT
    uri: msgspec.Raw = ABSENT
    image: msgspec.Raw = ABSENT  # from here on: Bedrock
    audio: msgspec.Raw = ABSENT
    video: msgspec.Raw = ABSENT
    document: msgspec.Raw = ABSENT
    toolResult: msgspec.Raw = ABSENT
    guardContent: msgspec.Raw = ABSENT
    content: msgspec.Raw = ABSENT  # from here on: of results, and of tools that come on the way
    output: msgspec.Raw = ABSENT
    result: msgspec.Raw = ABSENT
    tool: msgspec.Raw = ABSENT
    tools: msgspec.Raw = ABSENT


class Item(Part):
    """An item of `input` (Responses, Interactions): a message, a part, a call or its result."""

    content: list[Part] | Part | str | None = None


class TextMessage(msgspec.Struct, gc=False):
    """A message whose content is mostly one text, which is not built; a list is read in a second step."""

    content: msgspec.Raw = ABSENT
    images: msgspec.Raw = ABSENT  # Ollama
    audio: msgspec.Raw = ABSENT  # an answer in sound, by its id


class PartsMessage(TextMessage):
    """A message whose content is mostly a list."""

    content: list[Part] | str | None = None


class GooglePart(msgspec.Struct, gc=False):
    inlineData: msgspec.Raw = ABSENT
    inline_data: msgspec.Raw = ABSENT
    fileData: msgspec.Raw = ABSENT
    file_data: msgspec.Raw = ABSENT
    functionResponse: msgspec.Raw = ABSENT
    function_response: msgspec.Raw = ABSENT


class Content(msgspec.Struct, gc=False):
    parts: list[GooglePart] | GooglePart | None = None
