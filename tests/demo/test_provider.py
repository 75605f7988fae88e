"""The application as a whole: its paths, its process, and headers given twice."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from tests.demo.client import Client


@pytest.mark.parametrize(
    ("path", "shape"), [("/v1/nowhere", "openai"), ("/", "openai"), ("/v1/messages/x/y", "anthropic"), ("/v1beta/nowhere", "gemini")]
)
def test_unknown_paths_are_refused_in_the_dialect_they_look_like(provider: Client, path: str, shape: str) -> None:
    answer = provider.ask(path, {})
    error = answer.document["error"]
    assert answer.status == 404 and path in error["message"]
    assert shape == ("gemini" if "status" in error else "anthropic" if "request_id" in answer.document else "openai")


def test_headers_may_be_given_twice(provider: Client) -> None:
    body = b'{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}'
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nUser-Agent: one\r\nUser-Agent: two\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    with socket.create_connection((provider.host, provider.port), timeout=10) as connection:
        connection.sendall(head % len(body) + body)
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
    agents = [value for name, value in provider.received()[-1]["headers"] if name == "User-Agent"]
    assert agents == ["one", "two"]


def test_run_alone_it_prints_its_address_and_stops_when_asked() -> None:
    process = subprocess.Popen([sys.executable, "-m", "proxy.demo.provider", "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with urllib.request.urlopen(f"{url}/__demo/state", timeout=10) as answer:
            assert b'"recording":true' in answer.read()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.communicate()


def test_as_a_child_it_records_nothing_and_ends_with_its_parent() -> None:
    lifeline, life = os.pipe()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        arguments = ["--listener", str(listener.fileno()), "--lifeline", str(lifeline)]
        process = subprocess.Popen([sys.executable, "-m", "proxy.demo.provider", *arguments], pass_fds=[listener.fileno(), lifeline])
        try:
            port = listener.getsockname()[1]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/__demo/state", timeout=10) as answer:
                assert b'"recording":false' in answer.read()
            os.close(life)
            assert process.wait(10) == 0
        finally:
            process.kill()
            process.wait()
            os.close(lifeline)


def test_a_port_that_is_taken_is_said_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        arguments = [sys.executable, "-m", "proxy.demo.provider", "--port", str(taken.getsockname()[1])]
        result = subprocess.run(arguments, capture_output=True, text=True, timeout=20, check=False)
    assert result.returncode == 1 and result.stderr.startswith("cannot listen on 127.0.0.1:") and len(result.stderr.splitlines()) == 1
