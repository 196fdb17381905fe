"""Where spans are made and where they go; all that can be set is set by the standard ``OTEL_`` variables."""

from __future__ import annotations

from threading import Thread
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Tracer

FLUSH_LIMIT_S: Final = 1.0
"""How long a stop waits for the last spans to be sent. A collector that is there takes them at once."""

_NAME: Final = "smp"


class Tracing:
    """Sends spans in batches from a thread of its own. A collector that is away costs spans, and nothing else."""

    def __init__(self, version: str) -> None:
        ours = {SERVICE_NAME: _NAME, SERVICE_VERSION: version}
        resource = Resource.create({**ours, **OTELResourceDetector().detect().attributes})
        # Left to itself it would wait for the collector when the interpreter ends.
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self.tracer: Tracer = self._provider.get_tracer(_NAME, version)

    def close(self) -> None:
        """Send what is left, for so long; it blocks meanwhile."""
        # The client library waits half a minute for a collector that is away; its thread does not keep a process alive.
        last = Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        last.start()
        last.join(FLUSH_LIMIT_S)
