"""Error bodies of every provider."""

from __future__ import annotations

import pytest

from proxy.wire.faults import read_error_body, read_fault

SHAPES = [
    (b'{"error":{"message":"no","type":"invalid_request_error","param":null,"code":"model_not_found"}}', {}, "no", "model_not_found"),
    (b'{"error":{"message":"no","type":"insufficient_quota","code":null}}', {}, "no", "insufficient_quota"),
    (b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"r"}', {}, "Overloaded", "overloaded_error"),
    (b'{"error":{"code":429,"message":"slow","status":"RESOURCE_EXHAUSTED"}}', {}, "slow", "RESOURCE_EXHAUSTED"),
    (b'[{"error":{"code":404,"message":"gone","status":"NOT_FOUND"}}]', {}, "gone", "NOT_FOUND"),
    (b'{"error":{"message":"credits","code":402}}', {}, "credits", "402"),
    (b'{"message":"too fast"}', {"x-amzn-errortype": "ThrottlingException:http://internal"}, "too fast", "ThrottlingException"),
    (b'{"id":"1","message":"invalid"}', {}, "invalid", None),
    (b'{"error":"model \\"x\\" not found"}', {}, 'model "x" not found', None),
    (b'{"detail":[{"loc":["body"]}]}', {}, '[{"loc":["body"]}]', None),
    (b'event: error\ndata: {"error":{"message":"late","type":"api_error"}}\n\n', {}, "late", "api_error"),
    (b"upstream connect error", {}, "upstream connect error", None),
    (b"<html>502</html>", {}, None, None),
    (b'{"error":', {}, None, None),
    (b"", {}, None, None),
]


@pytest.mark.parametrize(("body", "headers", "message", "kind"), SHAPES)
def test_shapes(body: bytes, headers: dict[str, str], message: str | None, kind: str | None) -> None:
    assert read_error_body(body, headers) == (message, kind)


def test_members_of_an_answer_that_hold_no_error() -> None:
    assert read_fault(b"null") == read_fault(b"") == read_fault(b"{}") == read_fault(b"[]") == (None, None)


def test_messages_are_bounded() -> None:
    message, _ = read_fault(b'{"message":"' + b"x" * 10_000 + b'"}')
    assert message == "x" * 2000


def test_nesting_never_raises() -> None:
    assert read_error_body(b"[" * 100_000, {}) == (None, None)
    assert read_error_body(b'{"error":' * 400 + b"1" + b"}" * 400, {}) == (None, None)
