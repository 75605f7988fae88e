"""The stop of `weighbridge serve`, with real signals: in time, with an error in every stream, a record of every call, and exit status 0."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.test_supervise import Bridge, serve, wait_until

GRACE_S = 2.0
ASK = {"model": "gpt-4o-mini", "stream": True, "messages": [{"role": "user", "content": "Count to a thousand."}]}


def open_stream(bridge: Bridge, path: str, body: dict, fault: str = "stall") -> socket.socket:
    """A stream that has begun and will not end by itself."""
    host, port = bridge.base.removeprefix("http://").split(":")
    client = socket.create_connection((host, int(port)), timeout=20)
    content = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: p\r\nContent-Type: application/json\r\nx-demo-fault: {fault}\r\nContent-Length: {len(content)}\r\n\r\n"
    client.sendall(head.encode() + content)
    assert client.recv(12) == b"HTTP/1.1 200"
    return client


def read_rest(client: socket.socket) -> bytes:
    body = b""
    while data := client.recv(65536):
        body += data
    client.close()
    return body


def is_refused(bridge: Bridge) -> bool:
    host, port = bridge.base.removeprefix("http://").split(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except ConnectionError:
        return True
    return False


@pytest.mark.parametrize("control_plane", ["works", "is frozen"])
def test_streams_end_with_an_error_in_band_and_a_record_within_the_grace(tmp_path: Path, control_plane: str) -> None:
    with serve(tmp_path, limits={"stop_grace_s": GRACE_S}) as bridge:
        chat = open_stream(bridge, "/demo/v1/chat/completions", ASK)
        responses = open_stream(bridge, "/demo/v1/responses", {"model": "gpt-4o-mini", "stream": True, "input": "Count."})
        messages = open_stream(bridge, "/demo/v1/messages", {**ASK, "max_tokens": 999})
        slow = open_stream(bridge, "/demo/v1/chat/completions", ASK)  # reads nothing more
        wait_until(lambda: len(bridge.journal("opened")) == 4)
        frozen = bridge.child("proxy.controlplane.plane")
        if control_plane == "is frozen":
            os.kill(frozen, signal.SIGSTOP)
        began = time.monotonic()
        bridge.process.send_signal(signal.SIGTERM)
        wait_until(lambda: is_refused(bridge), GRACE_S)  # while the streams still run
        assert b'data: {"error":{"message":"Weighbridge is shutting down' in read_rest(chat)
        assert b'event: error\ndata: {"type":"error","code":"weighbridge_stopping"' in read_rest(responses)
        assert b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"' in read_rest(messages)
        assert bridge.process.wait(20) == 0
        assert GRACE_S <= time.monotonic() - began < GRACE_S + 5  # 3, and what a busy machine adds
        slow.close()
    assert [call["outcome"] for call in bridge.journal("call")] == ["weighbridge_stopping"] * 4
    if control_plane == "is frozen":
        with serve(tmp_path) as again:  # what it had no time for
            assert {call["outcome"] for call in again.wait_for_calls(4)} == {"weighbridge_stopping"}


def test_a_stream_that_ends_within_the_grace_ends_whole(tmp_path: Path) -> None:
    with serve(tmp_path, limits={"stop_grace_s": 20}) as bridge:
        client = open_stream(bridge, "/demo/v1/chat/completions?demo-chunk-delay-ms=10", ASK, fault="")
        bridge.process.send_signal(signal.SIGTERM)
        assert read_rest(client).endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        assert bridge.process.wait(20) == 0
    assert [call["outcome"] for call in bridge.journal("call")] == ["ok"]


