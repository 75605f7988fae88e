"""What the provider keeps of what it gets, within bounds."""

from __future__ import annotations

import hashlib

from aiohttp.test_utils import make_mocked_request

from proxy.demo.desk import Desk, record
from tests.demo.client import Client


def test_requests_are_kept_as_they_came(provider: Client) -> None:
    body = b'{"model":"m",  "messages":[{"role":"user","content":"\xc3\xa4"}]}'
    provider.ask("/v1/chat/completions?a=%2F&b", body, {"X-Odd-Name": "caf\xe9", "User-Agent": "me"})
    (kept,) = provider.received()
    assert (kept["method"], kept["path"], kept["body"]) == ("POST", "/v1/chat/completions?a=%2F&b", body)
    assert ["X-Odd-Name", "caf\xe9"] in kept["headers"] and kept["body_sha256"] == hashlib.sha256(body).hexdigest()


def test_reset_forgets(provider: Client) -> None:
    provider.ask("/v1/models")
    assert provider.state()["arrived"] == 1
    provider.reset()
    assert provider.state()["arrived"] == 0 and provider.received() == []


def test_what_is_kept_is_bounded() -> None:
    desk, request = Desk(), make_mocked_request("POST", "/")
    for _ in range(60):
        record(desk, request, bytes(1024 * 1024 + 5))
    assert desk.kept_bytes == sum(len(each.body_base64) for each in desk.received) <= 32 * 1024 * 1024
    assert desk.arrived == 60 and desk.received[0].body_bytes == 1024 * 1024 + 5
    for _ in range(3000):
        record(desk, request, b"")
    assert len(desk.received) == 1024 and desk.kept_bytes == 0


def test_the_shelf_is_bounded() -> None:
    desk = Desk()
    for number in range(700):
        desk.keep(str(number), number)
    assert len(desk.shelf) == 500 and "699" in desk.shelf and "0" not in desk.shelf


def test_nothing_is_kept_when_not_asked_for() -> None:
    desk = Desk(record=False)
    record(desk, make_mocked_request("POST", "/"), b"secret")
    assert not desk.received and desk.arrived == 1
