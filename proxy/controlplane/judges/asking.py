"""Asks a model through this proxy: one POST on loopback, within a time over all, and of an answer of bounded size."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import aiohttp

_MOST_BYTES = 1024 * 1024
_REFUSED = frozenset({401, 402, 403, 429})


class NotAsked(Exception):
    """No answer came; `reason` is `refused` (a budget, a limit, an order), `status`, `timeout`, `unreachable`, `too_long`;

    for a comparison also `no_question` and `no_answer`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def ask(url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> bytes:
    """The body of the answer. Raises `NotAsked`."""
    try:
        return asyncio.run(_ask(url, body, headers, timeout_s))
    except TimeoutError:
        raise NotAsked("timeout") from None
    except (OSError, aiohttp.ClientError, ValueError):
        raise NotAsked("unreachable") from None


async def _ask(url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> bytes:
    ours = {"Content-Type": "application/json", "User-Agent": "weighbridge-judge"}
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_s)) as session,
        session.post(url, data=body, headers={**ours, **headers}, allow_redirects=False) as response,
    ):
        if response.status != 200:
            raise NotAsked("refused" if response.status in _REFUSED else "status")
        read = bytearray()
        async for piece in response.content.iter_chunked(65536):
            read += piece
            if len(read) > _MOST_BYTES:
                raise NotAsked("too_long")
        return bytes(read)
