"""Asking an HTTP proxy for a tunnel (CONNECT, RFC 9110, section 9.3.6), and reading its answer strictly.

A byte behind the head of the answer would be the first of the provider's, who has not been asked anything yet: it is refused.
"""

from __future__ import annotations

import asyncio
import re
import socket

from proxy.errors import Refusal
from proxy.upstream import Proxy

_MAX_ANSWER_BYTES = 16384
_END = b"\r\n\r\n"
_ANSWER = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [\t -~\x80-\xff]*)?\r\n(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*\r\n)*\r\n")
_CREDENTIALS = "The upstream's proxy wants credentials, or others than it was given: set `proxy: env:NAME` with http://user:password@host:port."
_REASONS = {
    401: _CREDENTIALS,  # of tinyproxy, for wrong ones
    403: "The upstream's proxy refuses connections to this provider: allow its host and port there.",
    407: _CREDENTIALS,
    502: "The upstream's proxy could not reach the provider.",
    503: "The upstream's proxy could not reach the provider.",
    504: "The upstream's proxy could not reach the provider in time.",
}


async def ask_proxy(reached: socket.socket, proxy: Proxy, host: str, port: int) -> None:
    """Have the proxy at the other end connect this socket to the provider. Raises `Refusal` upstream_unreachable."""
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_sendall(reached, write_request(proxy, host, port))
        answer = b""
        while _END not in answer:
            piece = await loop.sock_recv(reached, 4096)
            answer += piece
            if not piece or len(answer) > _MAX_ANSWER_BYTES:
                raise Refusal("upstream_unreachable", "The upstream's proxy gave no whole answer; check that `proxy` names an HTTP proxy.")
    except OSError:
        raise Refusal("upstream_unreachable", "The upstream's proxy broke off the connection; check that `proxy` names an HTTP proxy.") from None
    status = read_answer(answer)
    if not 200 <= status < 300:
        raise Refusal("upstream_unreachable", _REASONS.get(status, f"The upstream's proxy answered CONNECT with status {status}."))


def write_request(proxy: Proxy, host: str, port: int) -> bytes:
    """The bytes of a CONNECT request."""
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    credentials = f"Proxy-Authorization: Basic {proxy.credentials}\r\n" if proxy.credentials else ""
    return f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{credentials}\r\n".encode()


def read_answer(answer: bytes) -> int:
    """The status of a proxy's answer, whose head is whole. Raises `Refusal` upstream_unreachable where it is not well-formed.

    The body of a refusal may stand behind the head, and is not looked at; behind the head of a tunnel there may be nothing yet.
    """
    match = _ANSWER.match(answer)
    status = int(match[1]) if match else 0
    if match is None or status < 200 or (status < 300 and match.end() != len(answer)):
        raise Refusal("upstream_unreachable", "The upstream's proxy gave an answer that is not well-formed; check that `proxy` names an HTTP proxy.")
    return status
