"""`weighbridge settle`: what it sends, what it says has changed, and how it fails."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from proxy.cli import main
from proxy.commands.settle import describe

SETTLED = {
    "id": "call-1",
    "by": "jo",
    "cost_before_nano_usd": 100_000_000,
    "cost_nano_usd": 12_300_000,
    "input_tokens": None,
    "output_tokens": None,
    "adjusted": {"agent-day.usd@2026-11-21?agent=researcher": -87_700_000, "all.tokens@": 12},
}


class AdminPort:
    """A server in the place of the admin port: what it was sent, and what it answers."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str | None, dict]] = []
        self.status, self.answer = 200, SETTLED
        port = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                port.sent.append((self.path, self.headers["Authorization"], body))
                text = json.dumps(port.answer).encode()
                self.send_response(port.status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                """Keep the tests' output clean."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def port() -> Iterator[AdminPort]:
    port = AdminPort()
    thread = threading.Thread(target=port.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield port
    port.server.shutdown()
    port.server.server_close()
    thread.join()


@pytest.fixture
def config(tmp_path: Path, port: AdminPort) -> str:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "admin-token").write_text("secret\n")
    path = tmp_path / "weighbridge.yaml"
    path.write_text(json.dumps({"admin": {"port": port.server.server_port}, "state_dir": str(tmp_path / "state")}))
    return str(path)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--usd", "0.0123"], {"usd": "0.0123", "nothing": False}),
        (["--tokens", "1200, 350"], {"input_tokens": 1200, "output_tokens": 350, "nothing": False}),
        (["--nothing"], {"nothing": True}),
    ],
)
def test_what_is_said_of_a_call_is_sent_with_the_token(
    config: str, port: AdminPort, words: list[str], told: dict, capsys: pytest.CaptureFixture
) -> None:
    assert main(["settle", "call-1", *words, "--by", "jo", "--config", config]) == 0
    assert port.sent == [("/api/settle", "Bearer secret", {"id": "call-1", "by": "jo"} | told)]
    assert capsys.readouterr().out == (
        "call call-1: cost $0.10 → $0.0123\n  agent-day.usd@2026-11-21?agent=researcher: -$0.0877\n  all.tokens@: +12\n"
    )


def test_what_did_not_change_is_said_so() -> None:
    nothing = SETTLED | {"cost_before_nano_usd": None, "cost_nano_usd": None, "adjusted": {}, "note": "no price is known"}
    assert describe(nothing) == "call call-1: cost unknown, as before\n  no price is known\n"


def test_wrong_words_and_refusals_say_what_to_do(config: str, port: AdminPort, capsys: pytest.CaptureFixture) -> None:
    for text in ("12", "1,2,3", "1,-2", "a,b"):
        assert main(["settle", "call-1", "--tokens", text, "--config", config]) == 2
    assert port.sent == [] and "as 1200,350" in capsys.readouterr().err
    assert main(["settle", "call-1", "--config", config]) == 2
    assert port.sent == [] and "--usd 0.0123" in capsys.readouterr().err
    port.status, port.answer = 404, {"error": "call_unknown", "message": "there is no record of this call"}
    assert main(["settle", "call-9", "--nothing", "--config", config]) == 1
    assert "there is no record of this call" in capsys.readouterr().err


def test_without_a_running_weighbridge_nothing_is_settled(config: str, port: AdminPort, capsys: pytest.CaptureFixture) -> None:
    port.server.shutdown()
    port.server.server_close()
    assert main(["settle", "call-1", "--nothing", "--config", config]) == 1
    assert "start it" in capsys.readouterr().err
