"""Which traces are kept: a caller's `traceparent` does not count."""

from __future__ import annotations

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    DEFAULT_OFF,
    DEFAULT_ON,
    ParentBasedTraceIdRatio,
    Sampler,
    TraceIdRatioBased,
)
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from smp.adapters.opentelemetry.sampling import OwnDecision
from smp.adapters.opentelemetry.tracing import Tracing

TRIES = 200


def kept(sampler: Sampler, flags: int, trace_id: int = 1) -> int:
    """Return how many of many requests with this `traceparent` are recorded; a span below follows its request."""
    tracer = TracerProvider(sampler=OwnDecision(sampler)).get_tracer("tests")
    caller = SpanContext(trace_id, span_id=1, is_remote=True, trace_flags=TraceFlags(flags))
    found = 0
    for _ in range(TRIES):
        with tracer.start_as_current_span("request", set_span_in_context(NonRecordingSpan(caller))) as request:
            assert request.get_span_context().trace_id == trace_id
            found += request.is_recording()
            if not isinstance(sampler, TraceIdRatioBased):
                with tracer.start_as_current_span("below") as below:
                    assert below.is_recording() == request.is_recording()
    return found


@pytest.mark.parametrize("flags", [0, 1])
def test_the_flag_of_a_caller_neither_forces_nor_prevents_a_trace(flags: int) -> None:
    assert [kept(sampler, flags) for sampler in (DEFAULT_ON, ALWAYS_ON)] == [TRIES, TRIES]
    assert [kept(sampler, flags) for sampler in (DEFAULT_OFF, ALWAYS_OFF)] == [0, 0]
    assert [kept(ParentBasedTraceIdRatio(rate), flags) for rate in (0.0, 1.0)] == [0, TRIES]


@pytest.mark.parametrize("trace_id", [1, 2**64 - 1])
def test_the_trace_id_of_a_caller_does_not_decide_what_a_ratio_keeps(trace_id: int) -> None:
    """By itself, a ratio keeps every trace with a small id, and none with a large one."""
    for sampler in (ParentBasedTraceIdRatio(0.5), TraceIdRatioBased(0.5)):
        assert TRIES / 5 < kept(sampler, 1, trace_id) < TRIES * 4 / 5


def test_the_program_decides_itself() -> None:
    tracing = Tracing("0")
    assert isinstance(tracing.provider.sampler, OwnDecision)
    tracing.close()
