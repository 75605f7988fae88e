"""A meeting: what the head of a request alone tells, kept with the client's connection for the requests that follow.

An agent sends the same head with every call, but for its Content-Length. So what a head tells (place, credentials, kind, names) is read at the
first of them, and again only where a request's head is another one or the lanes have changed.
"""

from __future__ import annotations

import msgspec

from proxy.call import Ask, Call, Identity, Kind
from proxy.dataplane.headers import Head, presented_keys
from proxy.dataplane.identify import Identifier, Place
from proxy.dataplane.lanes import Lanes
from proxy.dataplane.request import Request
from proxy.redact import Redactor
from proxy.upstream import DIALECTS
from proxy.wire import recognise

_MOST_USER_AGENT = 200
_LENGTH = b"content-length"
_RawHeaders = tuple[tuple[bytes, bytes], ...]


class Meeting(msgspec.Struct, kw_only=True):
    """What the head of a request told; its names are without secrets. One connection's, and only the newest of it."""

    line: tuple[str, str, tuple[int, int]]  # method, target, version
    before: _RawHeaders  # the headers up to Content-Length, or all where there is none …
    length: tuple[bytes, bytes] | None
    behind: _RawHeaders  # … and those after it
    lanes: int  # their generation
    place: Place
    head: Head
    presented: tuple[str, ...]
    secret: str | None
    upstream: str
    path: str
    kind: Kind
    dialect: str
    user_agent: str | None
    retry: int
    passed: int = -1  # the generation of the identifier that let its caller pass for good
    identity: Identity | None = None  # the newest …
    marks: tuple[str | None, str | None, str | None] = (None, None, None)  # … what its request's body said of agent, task and session …
    generation: int = -1  # … and of the identifier, then

    def holds(self, request: Request, lanes: Lanes) -> bool:
        """Whether a request's head tells the same, but for its length."""
        raw, at = request.raw_headers, len(self.before)
        if self.lanes != lanes.generation or self.line != (request.method, request.raw_path, request.version) or raw[:at] != self.before:
            return False
        return len(raw) == at if self.length is None else raw[at + 1 :] == self.behind and len(raw) > at and raw[at][0] == self.length[0]

    def read_head(self, request: Request) -> Head:
        """The head of a request that it holds for: with that one's own length."""
        length = self.length and request.raw_headers[len(self.before)]
        if length == self.length:
            return self.head
        return Head(self.head.forward, self.head.lines, {**self.head.fields, "content-length": length[1].decode("latin-1")})

    def introduce(self, call: Call) -> None:
        """Note on a call what its head tells."""
        call.secret, call.presented = self.secret, self.presented
        call.upstream, call.path, call.kind, call.dialect = self.upstream, self.path, self.kind, self.dialect
        call.user_agent, call.retry = self.user_agent, self.retry

    def pass_by(self, identifier: Identifier, fields: dict[str, str], now_ns: int) -> None:
        """Let the caller pass by its virtual key, which is looked at once where it cannot expire. Raises `Refusal` as `Keys.admit` does."""
        if self.passed != identifier.generation and identifier.admit(self.place, fields, self.secret, now_ns):
            self.passed = identifier.generation

    def identify(self, identifier: Identifier, ask: Ask, fields: dict[str, str]) -> Identity:
        """Who calls: as before, where the body says nothing else of it and nothing else has been configured."""
        marks = (ask.agent, ask.task, ask.session)
        if self.identity is None or self.marks != marks or self.generation != identifier.generation:
            self.identity = identifier.identify(self.place, fields, ask, self.secret, self.presented)
            self.marks, self.generation = marks, identifier.generation
        return self.identity


def meet(request: Request, place: Place, head: Head, lanes: Lanes, redact: Redactor) -> Meeting:
    """Read what a head alone tells; the dialect is the format's, for one upstream may speak several."""
    fields, raw = head.fields, request.raw_headers
    path, _, query = place.rest.partition("?")
    lane = lanes.by_name.get(place.upstream)
    upstream = lane.upstream if lane else None
    keys = presented_keys(fields, query)
    presented = (*keys, fields["x-weighbridge-key"]) if "x-weighbridge-key" in fields else keys
    path = redact.clean(path, presented)
    kind = recognise(request.method, path, query, upstream.dialect if upstream else "openai")  # a model's name may stand there
    spoken = kind.format.partition(".")[0]
    retry = fields.get("x-stainless-retry-count", "")
    at = next((index for index, (name, _) in enumerate(raw) if name.lower() == _LENGTH), len(raw))
    return Meeting(
        line=(request.method, request.raw_path, request.version),
        before=raw[:at],
        length=raw[at] if at < len(raw) else None,
        behind=raw[at + 1 :],
        lanes=lanes.generation,
        place=place,
        head=head,
        presented=presented,
        secret=keys[0] if keys else None,
        upstream=place.upstream if upstream else "",
        path=path,
        kind=kind,
        dialect=upstream.dialect if upstream and spoken == "opaque" else spoken if spoken in DIALECTS else "openai",
        user_agent=redact.clean(fields.get("user-agent", ""), presented)[:_MOST_USER_AGENT] or None,
        retry=int(retry) if retry.isdecimal() and len(retry) < 6 else 0,
    )
