"""No secret that comes in at any place is found again in what is kept, logged or shown."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, urlsplit

import duckdb
import pytest

from proxy.controlplane.answers import REPORTS
from tests.test_supervise import serve

PLAIN = "cnry{:02d}qwertyuiopasdfghjklzxcvbnm"  # of no issuer's shape: it is known by its value alone
SHAPED = [  # presented nowhere, and known by its shape alone
    "sk-ant-api03-cnryqwertyuiopasdfgh", "AIzacnryqwertyuiopasdfghjklzxcvbnm1234", "AKIACNRYQWERTYUIOPAS", "wbk_cnryqwertyuiopasdfghjkl",
    "ghp_cnryqwertyuiopasdfghjklzxc", "sk-cnryqwertyuiopasdfghjkl",
]  # fmt: skip
OURS = "cnryoursqwertyuiopasdfghjkl"
PASSWORD = "cnrypasswordqwertyuiop"
SIGNATURE = "cnry0123456789abcdef" * 3


class Echo(BaseHTTPRequestHandler):
    """A provider that repeats all it was sent in an error, or in an answer where the path says so."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length", 0))
        said = f"{self.path} {self.headers} {self.rfile.read(size).decode()}"
        if self.path.startswith("/v1/chat"):
            status, document = 200, {"model": said, "id": said, "choices": [{"message": {"content": said}, "finish_reason": said}]}
        else:
            status, document = 401, {"error": {"message": f"Incorrect API key provided: {said}", "type": said, "code": said}}
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-request-id", said.replace("\n", " ")[-150:])
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_CONNECT = do_POST

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle()

    def log_message(self, *_: object) -> None:
        """Nothing: what it says would hold every canary."""


@contextlib.contextmanager
def run_echo() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def make_calls(port: int) -> Iterator[tuple[str, str, dict[str, str], str]]:
    """(path, canary, headers, body): each canary in a place of its own, then repeated wherever a name is read."""
    numbers = iter(range(100))
    for upstream in ("echo", "ours", "proxied"):
        for path in ("/v1/embeddings", "/v1/chat/completions"):
            for place in ("Authorization", "x-api-key", "api-key", "x-goog-api-key", "x-weighbridge-key", "?key=", "second"):
                key = PLAIN.format(next(numbers))
                headers = {"Authorization": f"Bearer {key}"} if place == "Authorization" else {place: key}
                if place == "second":
                    headers = {"Authorization": "Bearer not-needed", "x-api-key": key}
                query = f"?key={key}" if place == "?key=" else ""
                yield f"/{upstream}{path}{query}", key, {} if query else headers, make_body(key)
    for key in SHAPED:
        yield "/echo/v1/embeddings", key, {}, make_body(key)
        yield f"/echo/v1/files/{key}", key, {}, make_body(key)
        yield f"/a/{key}/t/{key}/s/{key}/echo/v1/embeddings", key, {}, make_body(key)
        yield f"/echo/v1beta/models/{key}:generateContent?key={key}", key, {}, make_body(key)
    aws = f"AWS4-HMAC-SHA256 Credential={SHAPED[2]}/20260101/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature={SIGNATURE}"
    yield "/echo/v1/embeddings", SHAPED[2], {"Authorization": aws}, make_body(SHAPED[2])
    yield f"http://user:{PASSWORD}@127.0.0.1:{port}/echo/v1/embeddings", PASSWORD, {"Authorization": f"Bearer {PASSWORD}"}, make_body(PASSWORD)


def make_body(key: str) -> str:
    return json.dumps({"model": key, "user": key, "input": key, "messages": [{"role": "user", "content": key}], "service_tier": key})


def repeat(key: str) -> dict[str, str]:
    """Headers from which names are made, each with the canary."""
    names = ("x-agent-id", "x-task-id", "x-session-id", "User-Agent", "x-claude-code-session-id", "x-claude-code-parent-agent-id")
    return {**dict.fromkeys(names, f"my {key}"), "x-weighbridge-tags": f"stage={quote(key)}", "baggage": f"task.id={key},weighbridge.b={key}"}


def test_no_canary_is_found_in_any_file_line_or_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    canaries = {OURS, PASSWORD, SIGNATURE, *SHAPED}
    with run_echo() as echo:
        monkeypatch.setenv("OUR_KEY", OURS)
        monkeypatch.setenv("OUR_PROXY", f"http://user:{PASSWORD}@127.0.0.1:{echo}")
        url = f"http://127.0.0.1:{echo}"
        upstreams = {
            "echo": {"url": url},
            "ours": {"url": url, "key": "env:OUR_KEY"},
            "proxied": {"url": url, "key": "env:OUR_KEY", "proxy": "env:OUR_PROXY"},
        }
        budgets = [{"name": "each-model", "calls": 1000, "per": "day", "each": ["model", "agent"]}]
        with serve(tmp_path, upstreams=upstreams, capture={"content": True}, budgets=budgets) as bridge:
            bridge.wait_for_both_planes()
            port = urlsplit(bridge.base).port
            for path, key, headers, body in make_calls(port):
                canaries.add(key)
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
                connection.request("POST", path, body, {"Content-Type": "application/json", **repeat(key), **headers})
                response = connection.getresponse()
                said = f"{response.headers}{response.read().decode()}"
                assert "x-weighbridge-error" not in response.headers or "cnry" not in said.lower(), path
                connection.close()
            refused = send_malformed(port)
            assert b" 400 " in refused and b"cnry" not in refused
            calls = bridge.wait_for_calls(30)
            assert any("[redacted]" in (call["error"] or "") for call in calls) and {call["agent"] for call in calls} >= {"my [redacted]"}
            shown = {path: look(bridge.admin, path) for path in ("/", "/metrics", "/api/keys", "/api/orders", *(f"/api/{name}" for name in REPORTS))}
            shown["/api/calls?last=1000"] = look(bridge.admin, "/api/calls?last=1000")
    kept = {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} | shown | dump(tmp_path / "state" / "weighbridge.duckdb")
    assert any(b"[redacted]" in content for name, content in kept.items() if name.startswith("table content"))
    found = [(name, one) for name, content in kept.items() for one in canaries if one[:16].lower().encode() in content.lower()]
    assert not found


def send_malformed(port: int) -> bytes:
    """What is answered to a request whose head is none, and holds a key."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.connect()
    connection.sock.sendall(b"POST /echo/v1/chat/completions HTTP/1.1\r\nHost: proxy\r\nx-api-key " + SHAPED[0].encode() + b"\r\n\r\n")
    answer = connection.sock.recv(65536)
    connection.close()
    return answer


def look(admin: str, path: str) -> bytes:
    connection = http.client.HTTPConnection(urlsplit(admin).netloc, timeout=20)
    connection.request("GET", path)
    content = connection.getresponse().read()
    connection.close()
    return content


def dump(database: Path) -> dict[str, bytes]:
    """Every table's rows as text: in the file itself they may be compressed."""
    with duckdb.connect(str(database), read_only=True) as connection:
        names = [name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
        return {f"table {name}": repr(connection.table(name).fetchall()).encode() for name in names}
