"""What must be equal: a request and an answer before and behind the proxy, a call straight and through it, a record and what was seen."""

from __future__ import annotations

import dataclasses
import re

from tests.clients.tap import Exchange, Headers

# RFC 9110 §7.6.1, and the lengths and hosts that belong to a connection
_HOP = {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"host", b"content-length"}
_NAMED = rb"^/a/[^/]+/t/[^/]+/[^/]+"
_IDENTITY = {b"x-agent-id", b"x-task-id", b"x-session-id"}  # end at the proxy; opencode sends the last by itself
_OWN = b"x-weighbridge-call"  # the one header that the proxy adds to an answer
# What differs from one request to the next of the same client: random ids, clocks, and what is derived from them or from the address.
_RANDOM = re.compile(rb"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}")  # a UUID that a client made up
_VOLATILE = {b"authorization", b"x-amz-date", b"amz-sdk-invocation-id", b"sec-websocket-key", b"traceparent", b"content-type", b"idempotency-key"}
_MOMENT = re.compile(rb"ttl=\d{8}T\d{6}Z")  # in amz-sdk-request


@dataclasses.dataclass
class Run:
    """What a case came to, both ways."""

    direct: dict
    proxied: dict
    seen_directly: list[Exchange]
    near: list[Exchange]
    far: list[Exchange]
    records: list[dict]


def check(run: Run, agent: str, case: str) -> None:
    """All that must hold of a case."""
    assert_meant(run, case)
    assert run.proxied == run.direct
    assert run.direct.get("early", True), "the rest of the answer was needed before its beginning arrived"
    assert run.seen_directly, "the client sent nothing"
    assert_same_at_provider(run.seen_directly, run.far)
    assert_passed_untouched(run.near, run.far)
    assert_recorded(run.records, run.far, run.proxied, agent)


def assert_meant(run: Run, case: str) -> None:
    """What happened is what the case is about: two equal misunderstandings prove nothing."""
    if case.startswith("status-"):
        assert run.direct["error"] and {one.status for one in run.seen_directly} == {int(case[7:])}
    elif case == "retries":
        assert run.direct["error"] and len(run.seen_directly) == 2
    elif case.endswith(("_cut", "_stalls", "_error", "timeout", "garbage")):
        assert run.direct["error"]
        assert all(one.status in (200, None) for one in run.seen_directly)
    else:
        assert "error" not in run.direct, run.direct
        assert "early" in run.direct or not case.endswith("stream")


def travelling(headers: Headers) -> Headers:
    """The fields that go end to end, in order and spelling."""
    return [(name, value) for name, value in headers if name.lower() not in _HOP]


def assert_passed_untouched(near: list[Exchange], far: list[Exchange], prefix: bytes = _NAMED) -> None:
    """Each request reached the provider, and each answer the client, as it was sent; `prefix` is the part of the path that is ours."""
    assert [one.method for one in near] == [one.method for one in far]
    for before, behind in zip(near, far, strict=True):
        assert re.sub(prefix, b"", before.target) == behind.target
        assert [(name, value) for name, value in travelling(before.headers) if name.lower() not in _IDENTITY] == travelling(behind.headers)
        assert before.body == behind.body and before.sent == behind.sent
        assert before.client_bytes.startswith(behind.client_bytes) and bool(before.client_bytes) == bool(behind.client_bytes)
        if before.status is None or not behind.answered:
            assert behind.answer.startswith(before.answer)  # the client left, or the provider broke off
            assert not (before.answered and before.status != 101 and behind.status is not None), "a broken answer ended cleanly"
            continue
        assert before.status == behind.status
        assert [(name, value) for name, value in travelling(before.answer_headers) if name != _OWN] == travelling(behind.answer_headers)
        assert before.answer == behind.answer and before.answered
        assert behind.server_bytes.startswith(before.server_bytes) and bool(before.server_bytes) == bool(behind.server_bytes)


def assert_same_at_provider(direct: list[Exchange], proxied: list[Exchange]) -> None:
    """The provider sees the same requests, as many and as they are, whether the proxy stands between or not, and answers the same."""
    assert [(one.method, one.target) for one in direct] == [(one.method, one.target) for one in proxied]
    for one, other in zip(direct, proxied, strict=True):
        assert _steady(one.headers) == _steady(other.headers)
        if _header(one, b"content-type").startswith(b"multipart/"):
            assert _unbound(one) == _unbound(other)
        else:
            assert _RANDOM.sub(b"*", one.body) == _RANDOM.sub(b"*", other.body)
        assert one.status == other.status
        if one.answered and one.status != 101 and one.body == other.body:
            assert one.answer == other.answer


def _steady(headers: Headers) -> Headers:
    return [(name, b"*" if name.lower() in _VOLATILE else _MOMENT.sub(b"ttl=*", value)) for name, value in travelling(headers)]


def _header(exchange: Exchange, wanted: bytes) -> bytes:
    return next((value for name, value in exchange.headers if name.lower() == wanted), b"")


def _unbound(exchange: Exchange) -> bytes:
    """A form without its random boundary."""
    boundary = _header(exchange, b"content-type").partition(b"boundary=")[2].strip(b'"')
    return exchange.body.replace(boundary, b"BOUNDARY")


def assert_recorded(records: list[dict], exchanges: list[Exchange], outcome: dict, agent: str) -> None:
    """The records say who called, what came of it, and the tokens that the client was told."""
    assert {(record["agent"], record["rung"]) for record in records} == {(agent, "path")}
    calls = [record for record in records if record.get("transport", "http") == "http"]
    for record, exchange in zip(calls, [one for one in exchanges if one.status != 101], strict=True):
        assert_ending_recorded(record, exchange)
    if any(one.status == 101 for one in exchanges):
        assert {(record["outcome"], record["status"]) for record in records if record not in calls} == {("ok", 200)}
    if outcome.get("error") or records[-1]["outcome"] != "ok":
        return
    reported = [record for record in records if record.get("usage_source") == "reported"]
    if outcome.get("usage"):
        sums = (sum(record["input_tokens"] for record in reported), sum(record.get("output_tokens", 0) for record in reported))
        assert sums == tuple(outcome["usage"])
    elif "usage" in outcome:
        assert not reported
    if outcome.get("model"):
        assert records[-1]["model"] == outcome["model"]
    if "tools" in outcome:
        assert sum(record.get("tools", 0) for record in records) == len(outcome["tools"])


def assert_ending_recorded(record: dict, exchange: Exchange) -> None:
    if exchange.status is None:
        assert record["outcome"] in ("caller_gone", "upstream_cut", "upstream_timeout") and "status" not in record
    elif exchange.status >= 400:
        assert (record["outcome"], record["status"]) == ("upstream_error", exchange.status)
    elif not exchange.answered:
        assert (record["outcome"], record["status"]) in (("caller_gone", 200), ("upstream_cut", 200))
    else:
        assert record["outcome"] in ("ok", "upstream_stream_error") and record["status"] == exchange.status
