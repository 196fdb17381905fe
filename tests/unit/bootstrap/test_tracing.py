"""Traces are configured by the variables of the OpenTelemetry specification."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec

import pytest

from smp.bootstrap import tracing
from smp.bootstrap.settings import SettingsInvalid
from smp.bootstrap.tracing import are_traces_enabled

HERE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.mark.parametrize(
    ("environ", "enabled"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "smp"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        (HERE, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://collector:4318/v1/metrics"}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({**HERE, "OTEL_TRACES_EXPORTER": "none"}, False),
        ({**HERE, "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({**HERE, "OTEL_SDK_DISABLED": "false"}, True),
        ({**HERE, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
        ({**HERE, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_SDK_DISABLED": "true"}, False),
        (
            {**HERE, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"},
            True,
        ),
    ],
)
def test_the_standard_variables_decide_whether_traces_are_sent(environ: dict[str, str], *, enabled: bool) -> None:
    assert are_traces_enabled(environ) is enabled


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER must be otlp or none, not 'zipkin'"),
        (
            {**HERE, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf, which collectors accept on port 4318, not 'grpc'",
        ),
        (
            {**HERE, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "x"},
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL must be http/protobuf, which collectors accept on port 4318, not 'x'",
        ),
    ],
)
def test_an_exporter_or_protocol_that_is_not_supported_is_refused(environ: dict[str, str], said: str) -> None:
    """Without an error, nothing would be sent."""
    with pytest.raises(SettingsInvalid) as refused:
        are_traces_enabled(environ)
    assert refused.value.problems == (said,)


@pytest.mark.parametrize("missing", ["all", "opentelemetry.sdk", "opentelemetry.instrumentation.asgi"])
def test_missing_packages_are_reported_with_the_extra_to_install(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    def find_spec(name: str) -> ModuleSpec | None:
        if name.startswith("opentelemetry.") and missing == "all":
            raise ModuleNotFoundError  # as for a module of a package that is missing
        return None if name.startswith(missing) else importlib.util.find_spec(name)

    monkeypatch.setattr(tracing, "find_spec", find_spec)
    assert are_traces_enabled({}) is False
    with pytest.raises(SettingsInvalid, match=r"install smp\[otel\]"):
        are_traces_enabled(HERE)
