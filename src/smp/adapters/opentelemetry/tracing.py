"""The source and the destination of spans, configured by the standard ``OTEL_`` variables."""

from __future__ import annotations

from threading import Thread
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Tracer

from smp.adapters.opentelemetry.sampling import OwnDecision

FLUSH_LIMIT_S: Final = 1.0
"""The time that a stop waits for the last spans to be sent; a collector that runs accepts them at once."""

_NAME: Final = "smp"


class Tracing:
    """A sender of spans, in batches and in a separate thread. Without a collector spans are lost, and nothing else."""

    def __init__(self, version: str) -> None:
        resource_attributes = {SERVICE_NAME: _NAME, SERVICE_VERSION: version}
        resource = Resource.create({**resource_attributes, **OTELResourceDetector().detect().attributes})
        # Its own exit handler would wait for the collector when the interpreter ends.
        self.provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self.provider.sampler = OwnDecision(self.provider.sampler)
        self.provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self.tracer: Tracer = self.provider.get_tracer(_NAME, version)

    def close(self) -> None:
        """Send the last spans; blocks for :data:`FLUSH_LIMIT_S` at most."""
        # The client library waits half a minute for a collector that is away; a daemon thread does not delay the exit.
        last = Thread(target=self.provider.shutdown, name="last spans", daemon=True)
        last.start()
        last.join(FLUSH_LIMIT_S)
