"""A collector in this process: OTLP over gRPC or HTTP, with TLS where it is wanted; it keeps what it was sent."""

from __future__ import annotations

import contextlib
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc as logs_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as traces_grpc

SERVER, CLIENT = 2, 3  # span kinds


class Collector:
    """What was received. `gate`, where it is cleared, keeps every answer waiting."""

    def __init__(self) -> None:
        self.endpoint = ""
        self.requests: list[Any] = []
        self.headers: list[dict[str, str]] = []
        self.gate = threading.Event()
        self.gate.set()

    def take(self, request: Any, headers: dict[str, str]) -> None:
        self.requests.append(request)
        self.headers.append(headers)
        self.gate.wait(20)

    @property
    def spans(self) -> list[Any]:
        resources = [each for one in list(self.requests) for each in getattr(one, "resource_spans", ())]
        return [span for resource in resources for scope in resource.scope_spans for span in scope.spans]

    @property
    def events(self) -> list[Any]:
        resources = [each for one in list(self.requests) for each in getattr(one, "resource_logs", ())]
        return [record for resource in resources for scope in resource.scope_logs for record in scope.log_records]

    @property
    def metrics(self) -> dict[str, Any]:
        resources = [each for one in list(self.requests) for each in getattr(one, "resource_metrics", ())]
        return {metric.name: metric for resource in resources for scope in resource.scope_metrics for metric in scope.metrics}

    def wait_for(self, look: Callable[[Collector], Any], number: int = 1, seconds: float = 20) -> Any:
        """What `look` finds, once there are so many of it."""
        deadline = time.monotonic() + seconds
        while len(found := look(self)) < number:
            assert time.monotonic() < deadline, f"{len(found)} of {number} came"
            time.sleep(0.01)
        return found


def read_attributes(one: Any) -> dict[str, Any]:
    """The attributes of a span, an event or a data point."""

    def read(value: Any) -> Any:
        kind = value.WhichOneof("value")
        return [read(each) for each in value.array_value.values] if kind == "array_value" else getattr(value, kind)

    return {each.key: read(each.value) for each in one.attributes}


class _Servicer(traces_grpc.TraceServiceServicer, logs_grpc.LogsServiceServicer, metrics_grpc.MetricsServiceServicer):
    def __init__(self, collector: Collector, answer: type) -> None:
        self._collector = collector
        self._answer = answer

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._collector.take(request, dict(context.invocation_metadata()))
        return self._answer()


@contextlib.contextmanager
def serve_grpc(tls: tuple[Path, Path, Path] | None = None) -> Iterator[Collector]:
    """A running gRPC collector. `tls`: authority, certificate, key; then clients must show a certificate, too."""
    collector = Collector()
    server = grpc.server(futures.ThreadPoolExecutor(4))
    traces_grpc.add_TraceServiceServicer_to_server(_Servicer(collector, traces.ExportTraceServiceResponse), server)
    logs_grpc.add_LogsServiceServicer_to_server(_Servicer(collector, logs.ExportLogsServiceResponse), server)
    metrics_grpc.add_MetricsServiceServicer_to_server(_Servicer(collector, metrics.ExportMetricsServiceResponse), server)
    if tls is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        authority, certificate, key = (each.read_bytes() for each in tls)
        port = server.add_secure_port("localhost:0", grpc.ssl_server_credentials([(key, certificate)], authority, require_client_auth=True))
    server.start()
    collector.endpoint = f"http://127.0.0.1:{port}" if tls is None else f"https://localhost:{port}"
    try:
        yield collector
    finally:
        collector.gate.set()
        server.stop(0).wait()


@contextlib.contextmanager
def serve_http(tls: tuple[Path, Path, Path] | None = None) -> Iterator[Collector]:
    """A running HTTP collector, as `serve_grpc`."""
    collector = Collector()
    kinds = {
        "/v1/traces": traces.ExportTraceServiceRequest, "/v1/logs": logs.ExportLogsServiceRequest, "/v1/metrics": metrics.ExportMetricsServiceRequest,
    }  # fmt: skip

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.take(kinds[self.path].FromString(body), {name.lower(): value for name, value in self.headers.items()})
            with contextlib.suppress(OSError):
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls[1], tls[2])
            context.load_verify_locations(tls[0])
            context.verify_mode = ssl.CERT_REQUIRED
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        collector.endpoint = f"http://127.0.0.1:{server.server_address[1]}" if tls is None else f"https://localhost:{server.server_address[1]}"
        try:
            yield collector
        finally:
            collector.gate.set()
            server.shutdown()
            thread.join()
