"""Spans read right by Arize Phoenix, a third party's receiver of OTLP: tokens, model and session. Run by `make phoenix`, never by `make test`.

    python tests/phoenix/read_spans.py FOLDER_OF_ITS_ENVIRONMENT
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import msgspec
from opentelemetry.sdk.trace.export import SpanExportResult

from proxy.controlplane.traces.spans import Content, SpanMaker, Told
from proxy.controlplane.traces.transport import open_way
from proxy.otlp import Otlp
from proxy.record import Record
from proxy.trace import OF_CALL, make_span_id, make_trace_id

PATIENCE_S = 180.0
RECORD = Record(
    id="call-1", started_ns=time.time_ns(), duration_ns=10**9, agent="reader", rung="path", session="evening", upstream="openai", dialect="openai",
    format="openai.chat", operation="chat", method="POST", path="/v1/chat/completions", model_asked="gpt-5", model="gpt-5-2026", outcome="ok",
    status=200, finish="stop", input_tokens=120, output_tokens=30, cache_read_tokens=20, usage_source="reported", cost_nano_usd=1_500_000,
)  # fmt: skip
CONTENT = Content('{"messages": [{"role": "user", "content": "Say hello."}]}', "Hello.", "[]")


def take_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def ask(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as response:
        return json.load(response)


def wait_for_spans(base: str, process: subprocess.Popen) -> list[dict[str, Any]]:
    """The spans of the project `default`, as its REST API has them."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if len(found := ask(f"{base}/v1/projects/default/spans?limit=10")["data"]) >= 2:
                return found
        except (OSError, urllib.error.HTTPError):
            pass
        time.sleep(0.5)
    sys.exit("Phoenix shows no spans")


def wait_until_up(base: str, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(f"{base}/healthz", timeout=5).close()
            return
        except OSError:
            time.sleep(0.5)
    sys.exit("Phoenix did not start")


def check(spans: list[dict[str, Any]]) -> None:
    (attempt,) = [one for one in spans if one["name"] == "chat gpt-5"]
    (call,) = [one for one in spans if one["name"] == "POST chat"]
    told = attempt["attributes"]
    assert call["context"] == {"trace_id": make_trace_id("call-1"), "span_id": make_span_id("call-1", OF_CALL)}
    assert attempt["parent_id"] == call["context"]["span_id"]
    expected = {
        "llm.token_count.prompt": 120, "llm.token_count.completion": 30, "llm.token_count.prompt_details.cache_read": 20,
        "session.id": "evening",
    }  # fmt: skip
    assert expected.items() <= told.items(), json.dumps(attempt, indent=1)
    assert told["llm.model_name"] in ("gpt-5", "gpt-5-2026") and attempt["span_kind"] == "LLM"
    print(json.dumps({name: told[name] for name in (*expected, "llm.model_name")}, indent=1))


def main() -> None:
    environment = Path(sys.argv[1])
    port, grpc_port = take_port(), take_port()
    base = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        settings = {"PHOENIX_WORKING_DIR": folder, "PHOENIX_PORT": str(port), "PHOENIX_GRPC_PORT": str(grpc_port), "PHOENIX_HOST": "127.0.0.1"}
        process = subprocess.Popen(
            [environment / "bin" / "phoenix", "serve"], env={**os.environ, **settings, "PYTHONPATH": ""}, stdout=subprocess.DEVNULL,
            stderr=(log := open(Path(folder) / "log", "wb")),  # noqa: SIM115
        )  # fmt: skip
        try:
            wait_until_up(base, process)
            way = open_way(Otlp(endpoint=f"http://127.0.0.1:{grpc_port}"), {})
            record = msgspec.json.decode(msgspec.json.encode(RECORD), type=Told)
            assert way.spans.export(SpanMaker({}, "", "host", "current").make(record, CONTENT)) is SpanExportResult.SUCCESS
            way.close()
            check(wait_for_spans(base, process))
        finally:
            process.terminate()
            process.wait()
            log.close()
    print("Phoenix reads what is sent")


if __name__ == "__main__":
    main()
