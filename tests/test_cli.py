"""The program's commands: what they print, where they look, and how they fail."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from proxy.cli import main
from proxy.controlplane.store import Store
from tests.controlplane.conftest import Segments, add, call, load_all


@pytest.fixture
def write_config(tmp_path: Path) -> Callable[[int], str]:
    def write(port: int) -> str:
        path = tmp_path / "weighbridge.yaml"
        path.write_text(json.dumps({"admin": {"port": port}, "state_dir": str(tmp_path / "state")}))
        return str(path)

    return write


@pytest.fixture
def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextmanager
def answer_with(status: int, body: bytes, asked: list[str]) -> Iterator[int]:
    """A server in the place of the admin port; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Keep the tests' output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def fill(tmp_path: Path) -> None:
    segments = Segments(tmp_path / "state" / "journal")
    add(segments.begin(1), call(1, agent="a") + call(2, agent="b", cost_nano_usd=None, cost_source="none", model="new"))
    store = Store(tmp_path / "state" / "weighbridge.duckdb")
    reader = segments.reader()
    reader.restore(store)
    load_all(reader, store)
    store.close()


def test_a_running_weighbridge_is_asked(write_config: Callable, capsys: pytest.CaptureFixture) -> None:
    table = {
        "report": "report",
        "columns": ["agent", "cost_nano_usd"],
        "rows": [{"agent": "a", "cost_nano_usd": 5}, {"agent": "b", "cost_nano_usd": None}],
        "note": "",
    }
    asked: list[str] = []
    with answer_with(200, json.dumps(table).encode(), asked) as port:
        config = write_config(port)
        assert main(["report", "--config", config, "--by", "agent", "--since", "7d", "--where", "upstream=demo", "--where", "task=a&b"]) == 0
        assert main(["calls", "--config", config, "--last", "3", "--format", "json"]) == 0
    assert asked == ["/api/report?since=7d&by=agent&upstream=demo&task=a%26b", "/api/calls?last=3"]
    out = capsys.readouterr().out
    assert "$0.000000005" in out and "unknown" in out
    assert json.loads(out[out.index("{") :])["rows"][0]["cost_usd"] == "0.000000005"


def test_without_one_the_file_is_read(tmp_path: Path, write_config: Callable, unused_port: int, capsys: pytest.CaptureFixture) -> None:
    fill(tmp_path)
    config = write_config(unused_port)
    assert main(["report", "--config", config, "--format", "csv", "--by", "agent"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("a,1,0,101,10,")
    for command, word in (("calls", "$0.000001001"), ("agents", "path"), ("unpriced", "new")):
        assert main([command, "--config", config]) == 0
        out = capsys.readouterr().out
        assert word in out and "no weighbridge runs" in out


def test_without_either_it_says_what_to_do(write_config: Callable, unused_port: int, capsys: pytest.CaptureFixture) -> None:
    assert main(["calls", "--config", write_config(unused_port)]) == 1
    error = capsys.readouterr().err
    assert "weighbridge serve" in error and "--config" in error and "Traceback" not in error


def test_a_broken_file_is_told_and_left(tmp_path: Path, write_config: Callable, unused_port: int, capsys: pytest.CaptureFixture) -> None:
    database = tmp_path / "state" / "weighbridge.duckdb"
    database.parent.mkdir()
    database.write_bytes(b"no database")
    assert main(["agents", "--config", write_config(unused_port)]) == 1
    assert "from the journal" in capsys.readouterr().err and database.read_bytes() == b"no database"


@pytest.mark.parametrize(
    ("status", "body", "code", "words"),
    [
        (400, b'{"error":"bad_question","message":"choose from agent"}', 2, "choose from agent"),
        (503, b'{"error":"database_away","message":"being made again"}', 1, "being made again"),
        (404, b"<html>nginx</html>", 1, "not Weighbridge's admin port"),
        (200, b"<html>nginx</html>", 1, "not Weighbridge's admin port"),
        (200, b'{"rows":[]}', 1, "not Weighbridge's admin port"),
    ],
)
def test_what_the_admin_port_says_is_passed_on(
    write_config: Callable, capsys: pytest.CaptureFixture, status: int, body: bytes, code: int, words: str
) -> None:
    with answer_with(status, body, []) as port:
        assert main(["unpriced", "--config", write_config(port)]) == code
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--by", "colour"], ["--where", "agent"], ["--where", "id=1"], ["--since", "never"]])
def test_a_wrong_question_is_status_2(
    tmp_path: Path, write_config: Callable, unused_port: int, capsys: pytest.CaptureFixture, arguments: list[str]
) -> None:
    fill(tmp_path)
    assert main(["report", "--config", write_config(unused_port), *arguments]) == 2
    assert capsys.readouterr().err.startswith("weighbridge: ")


def test_check_lists_every_fault_or_says_that_there_is_none(tmp_path: Path, write_config: Callable, capsys: pytest.CaptureFixture) -> None:
    assert main(["check", "--config", write_config(1234)]) == 0
    assert "in order" in capsys.readouterr().out
    bad = tmp_path / "bad.yaml"
    bad.write_text("listn: 1\nlimits: {connect_s: 0}\n")
    assert main(["check", "--config", str(bad)]) == 2
    error = capsys.readouterr().err
    assert "listn" in error and "limits.connect_s" in error


def test_a_reader_that_leaves_is_no_crash(tmp_path: Path, write_config: Callable, unused_port: int) -> None:
    fill(tmp_path)
    command = [sys.executable, "-m", "proxy.cli", "calls", "--config", write_config(unused_port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        error = process.stderr.read()
    assert (error, process.returncode) == (b"", 1)


def test_the_version_is_that_of_the_project(capsys: pytest.CaptureFixture[str]) -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    with pytest.raises(SystemExit) as exit_status:
        main(["--version"])
    assert exit_status.value.code == 0
    assert capsys.readouterr().out == f"weighbridge {project['version']}\n"
