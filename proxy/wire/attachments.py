"""What a prompt holds besides text: pictures, sound and files, either in base64 or by reference.

Their bytes say nothing of their tokens. A picture in base64 is counted and weighed; sound, films and documents have no bound at all (a
minute of silence and a page of scans take few bytes), and what stands only by its address or id may be anything.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from proxy.wire.loose import FAULTS, Loose
from proxy.wire.parts import ABSENT, Content, GooglePart, Item, Part, TextMessage, stands
from proxy.wire.toolkit import Tool, name_tools


class _Blob(msgspec.Struct):
    """Where the bytes of a picture, a sound or a file are, in all dialects' words."""

    type: str | None = None
    mimeType: str | None = None
    mime_type: str | None = None
    data: msgspec.Raw = ABSENT
    bytes: msgspec.Raw = ABSENT
    file_data: msgspec.Raw = ABSENT
    url: msgspec.Raw = ABSENT
    image_url: msgspec.Raw = ABSENT
    source: msgspec.Raw = ABSENT
    text: msgspec.Raw = ABSENT
    content: msgspec.Raw = ABSENT
    image: msgspec.Raw = ABSENT
    parts: list[GooglePart] | None = None


class _Added(msgspec.Struct):
    definition: Tool | None = None


_BLOB, _ADDED = Loose(_Blob), Loose(_Added)
_PARTS, _PARTS_OF_MANY, _TOOLS = Loose(list[Part]), Loose(list[list[Part]]), Loose(list[Tool])
_PICTURE, _SOUND, _FILE = "image_url", "audio", "file"  # the names of what has no bound
_PLAIN = frozenset({"text", "input_text", "output_text", "tool_use", "thinking", "redacted_thinking"})
_FAMILIES = {
    "image": _PICTURE, "image_url": _PICTURE, "input_image": _PICTURE, "image_generation_call": _PICTURE, "computer_screenshot": _PICTURE,
    "input_audio": _SOUND, "audio": _SOUND, "audio_url": _SOUND,
    "file": _FILE, "input_file": _FILE, "document": _FILE, "document_url": _FILE, "container_upload": _FILE, "file_url": _FILE,
    "video": _FILE, "video_url": _FILE, "input_video": _FILE,
}  # fmt: skip
_PLACES = ("source", "image_url", "input_audio", "audio_url", "video_url", "document_url", "file", "file_url", "file_data", "file_id", "data", "uri",
           "image", "result")  # fmt: skip
_LIST, _OBJECT = ord("["), ord("{")
_MOST_DEPTH = 8  # of results in results; each level is read once more
_UNTYPED = (("image", _PICTURE), ("audio", _SOUND), ("video", _FILE), ("document", _FILE))


class Media:
    """What was found: `bytes` of base64, in how many pieces, and the names of what makes the cost unbounded."""

    __slots__ = ("bytes", "pieces", "unbounded", "_depth")

    def __init__(self) -> None:
        self.bytes = 0
        self.pieces = 0
        self.unbounded: set[str] = set()
        self._depth = 0

    def take_messages(self, messages: Iterable[TextMessage]) -> None:
        """Messages whose content is a text or a list of parts; the lists are read together."""
        lists = []
        for message in messages:
            content = message.content
            if isinstance(content, msgspec.Raw):
                first = memoryview(content)[0] if content is not ABSENT else 0
                if first == _LIST:
                    lists.append(bytes(content))
                elif first == _OBJECT:
                    self._take_inner(content)
            elif isinstance(content, list):
                self.take_parts(content)
            if message.images is not ABSENT:
                self.take_pictures(message.images)
            if message.audio is not ABSENT and stands(message.audio):
                self.unbounded.add(_SOUND)
        if lists:
            for parts in _PARTS_OF_MANY.decode(b"[" + b",".join(lists) + b"]"):
                self.take_parts(parts)

    def take_items(self, items: list[Item] | Item | str | None) -> None:
        if items is None or isinstance(items, str):
            return
        for item in [items] if isinstance(items, Item) else items:
            content = item.content
            if item.type == "item_reference":
                self.unbounded.add("stored_context")
            self.take_part(item)
            if content is not None and not isinstance(content, str):
                self.take_parts([content] if isinstance(content, Part) else content)

    def take_contents(self, contents: Iterable[Content | None]) -> None:
        """Gemini's."""
        for content in contents:
            if content is not None and content.parts is not None:
                self._take_google([content.parts] if isinstance(content.parts, GooglePart) else content.parts)

    def take_pictures(self, raw: msgspec.Raw) -> None:
        """A bare list of pictures in base64, or of their `data:` addresses."""
        if raw is ABSENT:
            return
        for picture in _list_of(raw):
            start = bytes(memoryview(picture)[:5])
            if start == b'"http':
                self.unbounded.add(_PICTURE)
            elif start.startswith(b'"'):
                self._weigh(picture)

    def take_parts(self, parts: Iterable[Part]) -> None:
        for part in parts:
            if part.type not in _PLAIN:
                self.take_part(part)

    def take_part(self, part: Part) -> None:
        """One part; its results and its tools too."""
        kind = part.type
        if kind is None:
            self._take_untyped(part)
            return
        family = _FAMILIES.get(kind)
        if family is not None:
            found = [(place, raw) for place in _PLACES if (raw := getattr(part, place)) is not ABSENT]
            if not found and part.document is ABSENT:  # Cohere's documents are text
                self.unbounded.add(family)
            for place, raw in found:
                self._take_place(family, place, raw)
            return
        if part.content is not ABSENT:
            self._take_inner(part.content)
        if part.output is not ABSENT:
            self._take_inner(part.output)
        if part.result is not ABSENT:
            self._take_inner(part.result)
        if part.tools is not ABSENT:
            self.unbounded.update(name_tools(_TOOLS.decode(part.tools)))
        if part.tool is not ABSENT:
            added = _ADDED.decode(part.tool).definition
            self.unbounded.update(name_tools([added] if added is not None else ()))

    def _take_untyped(self, part: Part) -> None:
        for field, family in _UNTYPED:
            raw = getattr(part, field)
            if raw is not ABSENT:
                self._take_place(family, field, raw)
        for inner in (part.toolResult, part.guardContent):
            if inner is not ABSENT:
                blob = _BLOB.decode(inner)
                if blob.image is not ABSENT:
                    self._take_place(_PICTURE, "image", blob.image)
                self._take_inner(blob.content)

    def _take_inner(self, raw: msgspec.Raw | list[Part] | Part | str | None) -> None:
        """The content of a result: a text, a list of parts, or one part."""
        first = memoryview(raw)[0] if isinstance(raw, msgspec.Raw) and raw is not ABSENT else 0
        if first in (_LIST, _OBJECT) and self._go_down():
            self.take_parts(_PARTS.decode(raw if first == _LIST else b"[" + bytes(raw) + b"]"))
            self._depth -= 1

    def _go_down(self) -> bool:
        """One level deeper; what lies deeper than anyone writes is left unread, for each level costs another reading."""
        if self._depth == _MOST_DEPTH:
            self.unbounded.add("unread")
            return False
        self._depth += 1
        return True

    def _take_place(self, family: str, place: str, raw: msgspec.Raw) -> None:
        """What stands in one field of a picture, a sound or a file: its bytes, its address, its id, or an object that has one of them."""
        start = bytes(memoryview(raw)[:11])
        if start.startswith(b'"data:'):
            self._weigh(raw, _FILE if family == _PICTURE and start != b'"data:image' else family)
        elif start.startswith(b'"'):
            if place in ("data", "bytes", "file_data", "result"):
                self._weigh(raw, family)
            else:
                self.unbounded.add(family if place != "file_id" else _FILE)
        elif start.startswith(b"{"):
            if self._go_down():
                self._take_blob(family, _BLOB.decode(raw))
                self._depth -= 1
        elif start != b"null":
            self.unbounded.add(family)

    def _take_blob(self, family: str, blob: _Blob) -> None:
        if blob.content is not ABSENT:
            self._take_inner(blob.content)
        elif blob.source is not ABSENT:
            self._take_place(family, "source", blob.source)
        elif blob.url is not ABSENT or blob.image_url is not ABSENT:
            self._take_place(family, "url", blob.url if blob.url is not ABSENT else blob.image_url)
        elif blob.type == "text" or blob.text is not ABSENT:
            return  # a document that is plain text, and so bounded by its bytes
        else:
            inline = next((raw for raw in (blob.data, blob.bytes, blob.file_data) if raw is not ABSENT), None)
            if inline is None:
                self.unbounded.add(family)
            else:
                self._weigh(inline, family)

    def _take_google(self, parts: Iterable[GooglePart]) -> None:
        for part in parts:
            for inline in (part.inlineData, part.inline_data):
                if inline is not ABSENT:
                    blob = _BLOB.decode(inline)
                    mime = (blob.mimeType or blob.mime_type or "").lower()
                    if not mime.startswith("text/"):
                        self._weigh(blob.data, _PICTURE if mime.startswith("image/") else _SOUND if mime.startswith("audio/") else _FILE)
            if part.fileData is not ABSENT or part.file_data is not ABSENT:
                self.unbounded.add(_FILE)
            for answer in (part.functionResponse, part.function_response):
                if answer is not ABSENT and self._go_down():
                    self._take_google(_BLOB.decode(answer).parts or ())
                    self._depth -= 1

    def _weigh(self, raw: msgspec.Raw, family: str = _PICTURE) -> None:
        self.bytes += max(len(memoryview(raw)) - 2, 0)
        self.pieces += 1
        if family != _PICTURE:
            self.unbounded.add(family)


def _list_of(raw: msgspec.Raw) -> list[msgspec.Raw]:
    try:
        return msgspec.json.decode(raw, type=list[msgspec.Raw])
    except FAULTS:
        return []
