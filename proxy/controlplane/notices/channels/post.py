"""Brings a JSON body to an address by HTTP: within a time over all, without following redirects, and without the environment's proxies."""

from __future__ import annotations

import asyncio
import os
import ssl

import aiohttp

from proxy.controlplane.notices.outbox import MOST_PAUSE_S, NotDelivered

TIMEOUT_S = 10.0
_LATER = frozenset({408, 425, 429})


def post(url: str, body: bytes, headers: dict[str, str], ca_file: str | None, timeout_s: float = TIMEOUT_S) -> None:
    """Raises `NotDelivered`; what it says names neither the address nor what was answered, for both may hold a secret."""
    headers = {"Content-Type": "application/json", "User-Agent": "weighbridge", **headers}
    try:
        status, after = asyncio.run(_post(url, body, headers, ca_file, timeout_s))
    except TimeoutError:
        raise NotDelivered(f"it did not answer within {timeout_s:g} s") from None
    except (OSError, aiohttp.ClientError, ValueError) as error:
        raise NotDelivered(f"it could not be reached ({_name(error)})") from None
    if status >= 300:
        is_final = status < 500 and status not in _LATER
        raise NotDelivered(f"it answered with status {status}", "refused" if is_final else None, _read_seconds(after))


async def _post(url: str, body: bytes, headers: dict[str, str], ca_file: str | None, timeout_s: float) -> tuple[int, str]:
    """The status, and what Retry-After says."""
    context = ssl.create_default_context(cafile=ca_file) if url.startswith("https:") else True
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout_s)) as session,
        session.post(url, data=body, headers=headers, ssl=context, allow_redirects=False) as response,
    ):
        return response.status, response.headers.get("Retry-After", "")


def _name(error: Exception) -> str:
    """What kind of error it was, in the system's words where there are some; the error's own may hold the address."""
    number = getattr(error, "errno", None)
    return os.strerror(number) if number and number > 0 else type(error).__name__


def _read_seconds(text: str) -> float | None:
    return min(float(text), MOST_PAUSE_S) if text.isascii() and text.isdigit() and len(text) < 10 else None
