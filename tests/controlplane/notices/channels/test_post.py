"""Posting to receivers that answer, refuse, redirect, are dead or slow: real HTTP on loopback."""

from __future__ import annotations

import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from proxy.controlplane.notices.channels.post import post
from proxy.controlplane.notices.outbox import NotDelivered
from tests.controlplane.notices.channels.conftest import Receiver, run_receiver


def fail(url: str, ca_file: str | None = None, timeout_s: float = 5.0) -> NotDelivered:
    with pytest.raises(NotDelivered) as raised:
        post(url, b"{}", {}, ca_file, timeout_s)
    assert "/hook" not in str(raised.value) and "127.0.0.1" not in str(raised.value)
    return raised.value


def test_it_is_delivered_with_its_headers(receiver: Receiver) -> None:
    post(receiver.url, b'{"a": 1}', {"X-Mine": "yes"}, None)
    ((headers, body),) = receiver.got
    assert (body, headers["X-Mine"], headers["Content-Type"]) == (b'{"a": 1}', "yes", "application/json")


@pytest.mark.parametrize(("status", "final"), [*((one, "refused") for one in (302, 400, 404)), *((one, None) for one in (408, 429, 500, 503))])
def test_a_status_says_whether_trying_again_helps(receiver: Receiver, status: int, final: str | None) -> None:
    receiver.status = status
    assert fail(receiver.url).final == final and len(receiver.got) == 1


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.status, receiver.headers = 307, {"Location": receiver.url}
    assert "307" in str(fail(receiver.url)) and len(receiver.got) == 1


@pytest.mark.parametrize(("said", "wait_s"), [("17", 17), ("99999", 300), ("soon", None), ("", None)])
def test_a_receiver_that_says_when_is_believed_within_bounds(receiver: Receiver, said: str, wait_s: float | None) -> None:
    receiver.status, receiver.headers = 429, {"Retry-After": said}
    assert fail(receiver.url).wait_s == wait_s


def test_a_dead_receiver_is_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert fail(f"http://127.0.0.1:{port}/hook").final is None


def test_a_receiver_that_trickles_does_not_hold_longer_than_the_time_over_all(receiver: Receiver) -> None:
    leave = threading.Event()

    def trickle(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        while not leave.wait(0.02):  # each byte comes well within any time between two bytes
            handler.wfile.write(b"H")
            handler.wfile.flush()

    receiver.behave = trickle
    assert "within 0.3 s" in str(fail(receiver.url, timeout_s=0.3))
    leave.set()


def test_a_receiver_that_says_nothing_sensible(receiver: Receiver) -> None:
    receiver.behave = lambda handler: handler.wfile.write(b"SSH-2.0\r\n\r\n")
    assert fail(receiver.url).final is None


def test_https_is_verified_by_the_authority_of_the_channel(certificates: tuple[Path, Path, Path]) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates[1], certificates[2])
    with run_receiver(context) as receiver:
        post(receiver.url, b"{}", {}, str(certificates[0]))
        assert len(receiver.got) == 1
        assert fail(receiver.url).final is None and len(receiver.got) == 1
