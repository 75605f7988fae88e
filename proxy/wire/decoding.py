"""Decoding content codings of a copy, piece by piece and within bounds: gzip, deflate, br, zstd, and chains of them.

The copy is only looked at, so nothing here raises: garbage, or more output than the limit allows, sets `failed`, and
from then on nothing comes. A small input that would inflate to gigabytes stops at the limit.
"""

from __future__ import annotations

import zlib
from typing import Protocol

import brotli
import zstandard

_STEP = 256 * 1024  # output of one decoder run
_MOST_LAYERS = 3


class Decoder(Protocol):
    failed: bool

    def feed(self, data: bytes) -> bytes: ...


def decoder(content_encoding: str, limit: int) -> Decoder:
    """A decoder for a `Content-Encoding` value; `limit` bounds its output over its whole life, in bytes."""
    names = [name.strip().lower() for name in content_encoding.split(",")]
    names = [name for name in names if name and name != "identity"]
    if len(names) > _MOST_LAYERS or any(name not in _LAYERS for name in names):
        return Decoding([], limit, failed=True)
    return Decoding([_LAYERS[name]() for name in reversed(names)], limit)


class Decoding:
    """A chain of layers, outermost first."""

    __slots__ = ("failed", "_layers", "_room")

    def __init__(self, layers: list[_Layer], limit: int, *, failed: bool = False) -> None:
        self.failed = failed
        self._layers = layers
        self._room = limit

    def feed(self, data: bytes) -> bytes:
        """What `data` decodes to; b"" once it has failed."""
        if self.failed:
            return b""
        try:
            for layer in self._layers[:-1]:
                data = layer.feed(data, self._room + _STEP)  # an envelope may be larger than what is in it
            for layer in self._layers[-1:]:
                data = layer.feed(data, self._room)
        except (zlib.error, brotli.error, zstandard.ZstdError, _TooMuch, MemoryError):
            self.failed = True
            return b""
        self._room -= len(data)
        if self._room < 0:
            self.failed = True
            return b""
        return data


class _TooMuch(Exception):
    pass


class _Layer(Protocol):
    def feed(self, data: bytes, room: int) -> bytes:
        """What `data` decodes to. Raises `_TooMuch` past `room` bytes, and the library's error on garbage."""


class _Zlib:
    """gzip, also of several members, and deflate, also without zlib's envelope as some servers send it."""

    __slots__ = ("_gzip", "_engine", "_begun")

    def __init__(self, *, gzip: bool) -> None:
        self._gzip = gzip
        self._engine = zlib.decompressobj(31 if gzip else 15)
        self._begun = False

    def feed(self, data: bytes, room: int) -> bytes:
        if not data:
            return b""
        if not self._begun and not self._gzip and data[0] & 0x0F != 8:
            self._engine = zlib.decompressobj(-15)
        self._begun = True
        out: list[bytes] = []
        while data:
            if self._engine.eof:
                if not self._gzip or data[:1] != b"\x1f":
                    break  # padding behind the end
                self._engine = zlib.decompressobj(31)
            piece = self._engine.decompress(data, room + 1)
            room -= len(piece)
            if room < 0:
                raise _TooMuch
            out.append(piece)
            data = self._engine.unused_data if self._engine.eof else self._engine.unconsumed_tail
        return b"".join(out)


class _Brotli:
    __slots__ = ("_engine",)

    def __init__(self) -> None:
        self._engine = brotli.Decompressor()

    def feed(self, data: bytes, room: int) -> bytes:
        out: list[bytes] = []
        while not self._engine.is_finished():
            piece = self._engine.process(data, output_buffer_limit=_STEP)
            data = b""
            room -= len(piece)
            if room < 0:
                raise _TooMuch
            out.append(piece)
            if self._engine.can_accept_more_data():
                break
        return b"".join(out)


class _Zstd:
    """zstd frames. The library has no bound on one run's output, so it is fed in small steps."""

    __slots__ = ("_context", "_engine")

    def __init__(self) -> None:
        self._context = zstandard.ZstdDecompressor(max_window_size=8 * 1024 * 1024)
        self._engine = self._context.decompressobj()

    def feed(self, data: bytes, room: int) -> bytes:
        out: list[bytes] = []
        while data:
            if self._engine.eof:
                self._engine = self._context.decompressobj()
            step = 256
            piece = self._engine.decompress(data[:step])
            data = self._engine.unused_data + data[step:] if self._engine.eof else data[step:]
            room -= len(piece)
            if room < 0:
                raise _TooMuch
            out.append(piece)
        return b"".join(out)


_LAYERS = {
    "gzip": lambda: _Zlib(gzip=True),
    "x-gzip": lambda: _Zlib(gzip=True),
    "deflate": lambda: _Zlib(gzip=False),
    "br": _Brotli,
    "zstd": _Zstd,
}
