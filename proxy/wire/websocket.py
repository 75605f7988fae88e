"""One direction of a WebSocket, tapped: bytes in, whole text messages out, however the bytes are split.

Follows RFC 6455 (frames, masks, fragments) and RFC 7692 (permessage-deflate, with or without context takeover). It looks at a
copy, so it answers nothing and closes nothing: bytes that are no WebSocket end the reading (`failed`). Binary and control
messages pass by (`binary`). A message over the limit is let go and counted in `dropped`; where it is compressed it is still
inflated, because the next one may refer to it, up to a bound at which the reading ends.
"""

from __future__ import annotations

import zlib

MESSAGE_LIMIT = 4 * 1024 * 1024
_INFLATE_LIMIT = 64 * 1024 * 1024  # of one message
_CONTINUATION, _TEXT, _BINARY, _CONTROL, _CLOSE = 0, 1, 2, 8, 8
_FLUSH = b"\x00\x00\xff\xff"  # what RFC 7692 cuts off the end of each message
_WINDOW_BITS = -15
_STEP = 256 * 1024


class FrameTap:
    """`feed` gives the text messages (their UTF-8 bytes) that these bytes complete.

    `deflate`: both ends agreed on permessage-deflate. `keeps_context`: this direction has one compression context over all its
    messages, as it has unless the handshake says `…_no_context_takeover` for it.
    """

    __slots__ = ("failed", "dropped", "binary", "_deflate", "_keeps_context", "_limit", "_head", "_rest", "_mask", "_kind", "_final", "_is_text",
                 "_compressed", "_open", "_message", "_size", "_inflater")  # fmt: skip

    def __init__(self, *, deflate: bool = False, keeps_context: bool = True, limit: int = MESSAGE_LIMIT) -> None:
        self.failed = False
        self.dropped = 0
        self.binary = 0  # messages
        self._deflate = deflate
        self._keeps_context = keeps_context
        self._limit = limit
        self._head = bytearray()  # of a frame whose head is not whole yet
        self._rest: int | None = None  # payload of the present frame yet to come; None: a head comes next
        self._mask = b""
        self._kind = 0
        self._final = False
        self._is_text = False
        self._compressed = False
        self._open = False  # within a message of data frames
        self._message = bytearray()
        self._size = 0  # of the message, also of what was let go
        self._inflater = zlib.decompressobj(_WINDOW_BITS)

    def feed(self, data: bytes) -> list[bytes]:
        messages: list[bytes] = []
        place = 0
        while not self.failed:
            if self._rest is None:
                place = self._take_head(data, place)
                if self._rest is None:
                    break
            piece = data[place : place + self._rest]
            place += len(piece)
            self._rest -= len(piece)
            if piece and self._kind < _CONTROL:
                self._take_payload(piece)
            if self._rest:
                break
            self._rest = None
            if self._kind < _CONTROL and self._final:
                self._end_message(messages)
        if self.failed:
            self._head.clear()
            self._message.clear()
        return messages

    def _take_head(self, data: bytes, place: int) -> int:
        """Read a frame's head at `place`; where its payload starts. Sets `_rest` if the head is whole."""
        held = len(self._head)
        self._head += data[place : place + 14 - held]
        head = self._head
        if len(head) < 2:
            return len(data)
        size, start = head[1] & 0x7F, 2
        if size >= 126:
            start = 4 if size == 126 else 10
        masked = head[1] & 0x80
        whole = start + 4 if masked else start
        if len(head) < whole:
            return len(data)
        if start > 2:
            size = int.from_bytes(head[2:start], "big")
        mask = bytes(head[start:whole])
        first = head[0]
        self._head = bytearray()
        self._begin_frame(first, size, mask)
        return place + whole - held

    def _begin_frame(self, first: int, size: int, mask: bytes) -> None:
        kind, squeezed = first & 0x0F, bool(first & 0x40)
        begins = kind in (_TEXT, _BINARY)
        wrong = first & 0x30 or size >> 63 or (squeezed and not (self._deflate and begins))
        wrong = wrong or (begins and self._open) or (kind == _CONTINUATION and not self._open)
        if wrong or (kind >= _CONTROL and (size > 125 or not first & 0x80)) or (_BINARY < kind < _CONTROL):
            self.failed = True  # not what the handshake promised, or the place in the stream is lost
            return
        self._kind, self._final, self._rest, self._mask = kind, bool(first & 0x80), size, mask
        if begins:
            self._open, self._is_text, self._compressed, self._size = True, kind == _TEXT, squeezed, 0

    def _take_payload(self, piece: bytes) -> None:
        if self._mask:
            piece = _unmask(piece, self._mask)
            turn = len(piece) % 4
            self._mask = self._mask[turn:] + self._mask[:turn]
        if self._compressed:
            self._inflate(piece)
        else:
            self._keep(piece)

    def _inflate(self, piece: bytes) -> None:
        try:
            while piece and not self.failed:
                self._keep(self._inflater.decompress(piece, _STEP))
                piece = self._inflater.unconsumed_tail
                self.failed = self._size > _INFLATE_LIMIT
        except zlib.error:
            self.failed = True

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._limit or not self._is_text:
            self._message.clear()
        else:
            self._message += piece

    def _end_message(self, messages: list[bytes]) -> None:
        if self._compressed:
            self._inflate(_FLUSH)
            if self._inflater.eof or not self._keeps_context:
                self._inflater = zlib.decompressobj(_WINDOW_BITS)
        self._open = False
        if self._size > self._limit:
            self.dropped += 1
        elif not self._is_text:
            self.binary += 1
        elif not self.failed:
            messages.append(bytes(self._message))
        self._message.clear()


def agree_deflate(extensions: str, direction: str) -> tuple[bool, bool]:
    """(deflate, keeps_context) for `FrameTap`, from the answer's `Sec-WebSocket-Extensions`; `direction` is client or server."""
    for extension in extensions.lower().split(","):
        name, *parameters = (part.strip() for part in extension.split(";"))
        if name == "permessage-deflate":
            return True, f"{direction}_no_context_takeover" not in parameters
    return False, True


def _unmask(piece: bytes, mask: bytes) -> bytes:
    """`piece` XOR the repeated mask, as one big number: a loop over bytes would be a hundred times slower."""
    size = len(piece)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(piece, "little") ^ int.from_bytes(key, "little")).to_bytes(size, "little")


def make_frames(message: bytes, close_code: int, reason: str) -> bytes:
    """A server's last two frames: a text message, and the closing of the socket (RFC 6455 §5.2, §5.5.1)."""
    farewell = close_code.to_bytes(2, "big") + reason.encode()[:123]
    return _make_frame(_TEXT, message) + _make_frame(_CLOSE, farewell)


def _make_frame(kind: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        length = bytes([size])
    elif size < 65536:
        length = b"\x7e" + size.to_bytes(2, "big")
    else:
        length = b"\x7f" + size.to_bytes(8, "big")
    return bytes([0x80 | kind]) + length + payload
