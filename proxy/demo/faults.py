"""What can be made to go wrong: a fault, named by the header `x-demo-fault` or by the end of the model's name.

`status-429` (and 401, 402, 403, 404, 500, 503, 529, or any other from 400 to 599) answers with that status;
`cut` aborts the connection in the middle of the body; `stall` sends the beginning and then nothing more; `hold` does the
same until `POST /__demo/release`; `slow-first-byte` waits before it answers; `error-in-stream` ends a stream with the
dialect's own error; `empty` answers 200 without text; `garbage` answers 200 with broken JSON; `no-usage` leaves the usage out.

A header `x-demo-NAME` may be given as the query parameter `demo-NAME` instead.
"""

from __future__ import annotations

import re

import msgspec
from aiohttp import web

_PLAIN = ("cut", "stall", "hold", "slow-first-byte", "error-in-stream", "empty", "garbage", "no-usage")
_AT_THE_END = re.compile(rf"(?:^|-)(status-[45]\d\d|{'|'.join(_PLAIN)})$")
_WHOLE = re.compile(rf"status-[45]\d\d|{'|'.join(_PLAIN)}")
_DELAY_MS = 4.0
_SLOW_MS = 2000.0
_MOST_MS = 600_000.0


class Fault(msgspec.Struct, frozen=True):
    """How an answer is to go wrong (`name` "" if it is not), and at what pace it comes. Times in milliseconds."""

    name: str = ""
    after: int = 3  # chunks sent before `cut`, `stall`, `hold` and `error-in-stream`
    chunk_delay_ms: float = _DELAY_MS
    first_byte_delay_ms: float = 0.0

    @property
    def status(self) -> int | None:
        return int(self.name[7:]) if self.name.startswith("status-") else None


def split_model(model: str) -> tuple[str, str]:
    """(the model without the fault at the end of its name, the fault or ""): `gpt-4o-cut` is (`gpt-4o`, `cut`)."""
    found = _AT_THE_END.search(model)
    return (model[: found.start()] or model, found[1]) if found else (model, "")


def read_fault(request: web.BaseRequest, model: str) -> Fault:
    """The fault that a request asks for. A name that is no fault, or a number that is none, is ignored."""
    name = wish(request, "fault")
    if not _WHOLE.fullmatch(name):
        name = split_model(model)[1]
    slow = _SLOW_MS if name == "slow-first-byte" else 0.0
    return Fault(
        name=name,
        after=int(_read_number(request, "fault-after", 3)),
        chunk_delay_ms=_read_number(request, "chunk-delay-ms", _DELAY_MS),
        first_byte_delay_ms=_read_number(request, "first-byte-delay-ms", slow),
    )


def wish(request: web.BaseRequest, name: str) -> str:
    """What a request says in the header `x-demo-NAME` or the query parameter `demo-NAME`; "" if nothing."""
    return request.headers.get(f"x-demo-{name}") or request.query.get(f"demo-{name}") or ""


def _read_number(request: web.BaseRequest, name: str, default: float) -> float:
    text = wish(request, name)
    return min(float(text), _MOST_MS) if re.fullmatch(r"\d{1,9}(\.\d{1,6})?", text) else default
