"""The decision which traces are kept, which a caller cannot change."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState, get_current_span
from opentelemetry.util.types import Attributes


class OwnDecision(Sampler):
    """Decides about a request as if it had no ``traceparent``; spans below the request follow ``sampler`` as usual.

    Neither the caller's flag nor the caller's trace id counts, because both are free to choose: a stranger could have
    every request traced, or none. The trace keeps the caller's id.
    """

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler
        self._ids = RandomIdGenerator()

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Return the decision about a new span."""
        parent = get_current_span(parent_context).get_span_context()
        if parent.is_valid and parent.is_remote:
            parent_context, trace_id = Context(), self._ids.generate_trace_id()
        return self._sampler.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        """Return the name of this sampler."""
        return f"OwnDecision({self._sampler.get_description()})"
