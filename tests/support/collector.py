"""A collector of traces, which receives OTLP over HTTP on this machine and stores the spans."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True, slots=True)
class Span:
    """One received span; ``parent`` is empty for the first one of a trace."""

    name: str
    kind: int
    trace: str
    id: str
    parent: str
    is_error: bool
    text: str
    """The span as text."""
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]


class Collector:
    """The received spans."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.asked = 0
        self.port = 0
        self.answers = Event()
        """Set while the collector answers; if clear, it accepts connections and does not respond."""
        self.answers.set()

    @property
    def endpoint(self) -> str:
        """Return the value of OTEL_EXPORTER_OTLP_ENDPOINT."""
        return f"http://127.0.0.1:{self.port}"

    def named(self, name: str) -> Sequence[Span]:
        """Return the spans of this name."""
        return [span for span in self.spans if span.name == name]

    def take(self, path: str, body: bytes) -> None:
        """Store the spans of a request."""
        self.asked += 1
        self.answers.wait(60)
        assert path == "/v1/traces", path
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = _values(group.resource.attributes)
            for scope in group.scope_spans:
                self.spans += [_span(each, resource) for each in scope.spans]


def _span(sent: Any, resource: Mapping[str, Any]) -> Span:  # noqa: ANN401 - a message of the protocol
    return Span(
        name=sent.name,
        kind=sent.kind,
        trace=sent.trace_id.hex(),
        id=sent.span_id.hex(),
        parent=sent.parent_span_id.hex(),
        is_error=sent.status.code == 2,
        text=str(sent),
        attributes=_values(sent.attributes),
        resource=resource,
    )


def _values(pairs: Any) -> Mapping[str, Any]:  # noqa: ANN401 - …
    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in pairs}


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector on a free port of this machine during the block."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.take(self.path, self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Write no log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector.port = server.server_address[1]
    thread = Thread(target=server.serve_forever, name="collector", daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        collector.answers.set()
        server.shutdown()
        server.server_close()
        thread.join(5)


def wait_for(collector: Collector, name: str, limit_s: float = 20.0) -> Span:
    """Wait for the first span of this name, and return it."""
    deadline = time.monotonic() + limit_s
    while not (found := collector.named(name)):
        assert time.monotonic() < deadline, (
            f"no span {name} came, only {sorted({span.name for span in collector.spans})}"
        )
        time.sleep(0.02)
    return found[0]
