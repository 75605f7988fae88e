"""What traces cost the control plane: CPU a call for making its spans, and for sending them to a collector of this machine.

    python benchmarks/spans.py [calls]

The collector is a process of its own that reads and forgets. Decoding the record, sampling, making a SERVER and a CLIENT span, encoding them
and the client's side of gRPC or HTTP are within the measured time; it is CPU time of all threads of this process.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
from concurrent import futures
from multiprocessing.connection import Connection

import grpc
import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceServicer, add_TraceServiceServicer_to_server
from rig.sink import Sink

from proxy.config import Config, Upstream
from proxy.controlplane.traces.export import MOST_WAITING, Exporter
from proxy.controlplane.traces.spans import SpanMaker, Told
from proxy.otlp import Otlp
from proxy.record import Record

_WHO = {"agent": "agent-7", "rung": "path", "task": "task-3", "session": "session-9", "team": "red", "trace_id": "ab" * 16, "span_id": "cd" * 8}
_WHAT = {"upstream": "openai", "dialect": "openai", "format": "openai_chat", "operation": "chat", "method": "POST", "path": "/v1/chat/completions"}
_END = {"outcome": "ok", "status": 200, "finish": "stop", "response_id": "chatcmpl-1", "stream": True, "model_asked": "gpt-5", "model": "gpt-5-2026"}
_FIGURES = {"input_tokens": 1200, "output_tokens": 345, "cache_read_tokens": 1024, "cache_write_tokens": 0, "usage_source": "reported"}
_MORE = {"cost_nano_usd": 123_456, "cost_source": "book", "added_ns": 412_000, "first_token_ns": 234_000_000, "duration_ns": 1_234_567_890}
_LEAST_WAIT_S = 0.01


class _Taker(TraceServiceServicer):
    def Export(self, request: object, context: grpc.ServicerContext) -> ExportTraceServiceResponse:
        return ExportTraceServiceResponse()


def collect(protocol: str, told: Connection) -> None:
    """Take spans on a port of this machine, which is told, until the process is ended."""
    if protocol == "grpc":
        server = grpc.server(futures.ThreadPoolExecutor(1))
        add_TraceServiceServicer_to_server(_Taker(), server)
        told.send(server.add_insecure_port("127.0.0.1:0"))
        server.start()
        server.wait_for_termination()
    else:
        with Sink() as http:
            told.send(http.server_address[1])
            http.serve_forever()


def write_records(calls: int) -> list[bytes]:
    same = _WHO | _WHAT | _END | _FIGURES | _MORE
    return [msgspec.json.encode(Record(id=f"{index:026x}", started_ns=1_770_000_000_000_000_000 + index, **same)) for index in range(calls)]


def measure_making(bodies: list[bytes]) -> float:
    """CPU seconds of decoding the records and making their spans."""
    maker, decode = SpanMaker({"openai": Upstream(url="https://api.openai.com")}, "1", "host", "current"), msgspec.json.Decoder(Told).decode
    begun = time.process_time()
    made = sum(len(maker.make(decode(body))) for body in bodies)
    assert made == 2 * len(bodies)
    return time.process_time() - begun


def measure_sending(protocol: str, bodies: list[bytes]) -> tuple[float, float]:
    """(CPU seconds, seconds) from records to a collector that has taken all spans."""
    spawn = multiprocessing.get_context("spawn")
    mine, its = spawn.Pipe()
    collector = spawn.Process(target=collect, args=(protocol, its), daemon=True)
    collector.start()
    exporter = Exporter(Config(otlp=Otlp(endpoint=f"http://127.0.0.1:{mine.recv()}", protocol=protocol)), "1", list)
    thread = threading.Thread(target=exporter.run)
    wall, cpu = time.perf_counter(), time.process_time()
    thread.start()
    for start in range(0, len(bodies), MOST_WAITING // 2):
        while len(exporter._calls) > MOST_WAITING // 2:
            time.sleep(_LEAST_WAIT_S)
        exporter.take_calls(bodies[start : start + MOST_WAITING // 2])
    while exporter.sent["spans"] < 2 * len(bodies):
        assert not sum(exporter.dropped.values()), dict(exporter.dropped)
        time.sleep(_LEAST_WAIT_S)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    exporter.stop()
    thread.join()
    collector.terminate()
    collector.join()
    return cpu, wall


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    bodies = write_records(calls)
    print(f"{calls} calls, two spans each, on {os.cpu_count()} cores")
    print(f"making: {measure_making(bodies) / calls * 1e6:.1f} us of CPU a call")
    for protocol in ("grpc", "http"):
        cpu, wall = measure_sending(protocol, bodies)
        print(f"making and sending by {protocol}: {cpu / calls * 1e6:.1f} us of CPU a call, {calls / wall:.0f} calls/s")


if __name__ == "__main__":
    main()
