"""A whole Weighbridge sends its calls to a collector, over each protocol: attempts, a refusal, a stream, a session; and a dead one costs nothing."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.traces.collector import CLIENT, SERVER, Collector, read_attributes
from tests.controlplane.traces.conftest import KINDS
from tests.dataplane.routing import down
from tests.test_supervise import ASK, Bridge, serve

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALLER = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
ANSWER = {
    "id": "r-1", "object": "chat.completion", "model": "gpt-4o-mini-2024-07-18",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 120, "completion_tokens": 30, "total_tokens": 150, "prompt_tokens_details": {"cached_tokens": 100}},
}  # fmt: skip


@contextmanager
def serve_moody() -> Iterator[tuple[str, list[str]]]:
    """(URL of a provider that is overloaded the first time, the traceparents that it was sent)."""
    sent: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            sent.append(self.headers["traceparent"])
            body = json.dumps(ANSWER if len(sent) > 1 else {"error": {"message": "busy", "type": "server_error"}}).encode()
            self.send_response(200 if len(sent) > 1 else 503)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", sent
        finally:
            server.shutdown()
            thread.join()


def drive(bridge: Bridge) -> None:
    """A call with a second attempt, a stream in a session, and one that is refused."""
    bridge.post("/a/mover/t/haul/moody/v1/chat/completions", ASK, CALLER)
    body = {**ASK, "stream": True, "stream_options": {"include_usage": True}}
    request = urllib.request.Request(
        f"{bridge.base}/a/talker/s/evening/demo/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20) as response:
        response.read()
    with pytest.raises(urllib.error.HTTPError):
        bridge.post("/a/poor/demo/v1/chat/completions", ASK)


def find(collector: Collector, agent: str) -> tuple[Any, list[Any]]:
    """(the SERVER span of an agent's one call, its CLIENT spans in their order)."""
    spans = [span for span in collector.spans if read_attributes(span)["gen_ai.agent.name"] == agent]
    (call,) = [span for span in spans if span.kind == SERVER]
    attempts = sorted((span for span in spans if span.kind == CLIENT), key=lambda span: span.start_time_unix_nano)
    assert all((span.parent_span_id, span.trace_id) == (call.span_id, call.trace_id) for span in attempts)
    return call, attempts


@pytest.mark.parametrize("protocol", sorted(KINDS))
def test_calls_arrive_as_spans(tmp_path: Path, protocol: str) -> None:
    with KINDS[protocol]() as collector, serve_moody() as (url, sent):
        settings = {
            "otlp": {"endpoint": collector.endpoint, "protocol": protocol, "propagate": True, "metrics": True},
            "upstreams": {"moody": {"url": url, "prices": "openai", "retry": {"when": ["overloaded"], "backoff_s": 0.0, "least": 9}}},
            "budgets": [{"name": "purse", "match": {"agent": "poor"}, "tokens": 1}],
        }
        with serve(tmp_path, **settings) as bridge:
            drive(bridge)
            collector.wait_for(lambda one: one.spans, 6)
            collector.wait_for(lambda one: one.metrics)
            with urllib.request.urlopen(bridge.admin + "/metrics", timeout=20) as response:
                assert "weighbridge_spans_sent_total 6.0" in response.read().decode()
        check_attempts(*find(collector, "mover"), sent)
        check_stream(*find(collector, "talker"))
        refused, none = find(collector, "poor")
        told = read_attributes(refused)
        assert not none and told["error.type"] == told["weighbridge.outcome"] and told["error.type"].startswith("policy_")
        assert refused.status.code == 2 and [event.name for event in refused.events] == ["weighbridge.refused"]
        (build,) = collector.metrics["weighbridge_build_info"].gauge.data_points
        assert build.as_int == 1


def check_attempts(call: Any, attempts: list[Any], sent: list[str]) -> None:
    first, second = attempts
    assert (call.trace_id.hex(), call.parent_span_id.hex(), call.name) == (TRACE, SPAN, "POST chat")
    assert sent == [f"00-{TRACE}-{one.span_id.hex()}-01" for one in attempts]
    assert (first.name, read_attributes(first)["error.type"], first.status.code) == ("chat gpt-4o-mini", "overloaded", 2)
    told = read_attributes(second)
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.cache_read.input_tokens"], told["gen_ai.usage.output_tokens"]) == (120, 100, 30)
    assert (told["gen_ai.response.model"], told["weighbridge.task.id"], told["weighbridge.cost.usd"] > 0) == (ANSWER["model"], "haul", True)
    assert not [name for one in (call, *attempts) for name in read_attributes(one) if "messages" in name]
    assert call.start_time_unix_nano <= first.start_time_unix_nano <= first.end_time_unix_nano <= second.start_time_unix_nano
    assert second.end_time_unix_nano <= call.end_time_unix_nano


def check_stream(call: Any, attempts: list[Any]) -> None:
    (one,) = attempts
    told = read_attributes(one)
    assert told["gen_ai.conversation.id"] == read_attributes(call)["gen_ai.conversation.id"] == "evening"
    assert told["gen_ai.request.stream"] and 0 < told["gen_ai.response.time_to_first_chunk"] < 20 and told["gen_ai.usage.output_tokens"] > 0
    assert not call.parent_span_id and not one.status.code


def test_a_dead_collector_fails_no_call_and_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with serve(tmp_path, otlp={"endpoint": down()}) as bridge:
        bridge.post("/demo/v1/chat/completions", ASK)
        (call,) = bridge.wait_for_calls(1)
    assert call["outcome"] == "ok"
