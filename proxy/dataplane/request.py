"""One request of a client: what aiohttp's parser has read of it, with no more around it than a relay needs."""

from __future__ import annotations

from typing import Any

from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader


class Request:
    """A request whose head has come; its body comes through `content`. `edge` is the connection that it came by."""

    __slots__ = ("body_exists", "content", "edge", "headers", "keep_alive", "method", "raw_headers", "raw_path", "version")

    def __init__(self, message: RawRequestMessage, content: StreamReader, edge: Any) -> None:
        self.edge = edge
        self.content = content
        self.body_exists = content is not EMPTY_PAYLOAD
        self.method = message.method
        self.raw_path = message.path
        self.version: tuple[int, int] = message.version
        self.raw_headers = message.raw_headers
        self.headers = message.headers
        self.keep_alive = not message.should_close

    @property
    def content_length(self) -> int | None:
        """The announced size of the body in bytes; None: it comes in chunks, or there is none."""
        length = self.headers.get("Content-Length")
        return None if length is None else int(length)

    def _cancel(self, error: BaseException) -> None:
        """The connection is lost (asked by aiohttp): whoever waits for the rest of the body gets the error."""
        self.content.set_exception(error)

    def _finish(self) -> None:
        """The request is over (told by aiohttp): there is nothing to release."""
