"""When traces are wanted: what the OpenTelemetry specification says of its variables, and what is to be had here."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec

import pytest

from smp.bootstrap import tracing
from smp.bootstrap.settings import SettingsInvalid
from smp.bootstrap.tracing import are_traces_wanted

HERE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


@pytest.mark.parametrize(
    ("environ", "wanted"),
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
def test_the_environment_asks_for_them_or_does_not(environ: dict[str, str], *, wanted: bool) -> None:
    assert are_traces_wanted(environ) is wanted


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER must be otlp or none, not 'zipkin'"),
        (
            {**HERE, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf, which collectors take on port 4318, not 'grpc'",
        ),
        (
            {**HERE, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "json"},
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL must be http/protobuf, which collectors take on port 4318, not 'json'",
        ),
    ],
)
def test_what_is_not_to_be_had_is_refused(environ: dict[str, str], said: str) -> None:
    """Rather than to send nothing, and let people wonder."""
    with pytest.raises(SettingsInvalid) as refused:
        are_traces_wanted(environ)
    assert refused.value.problems == (said,)


def test_packages_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_spec(name: str) -> ModuleSpec | None:
        return None if name.startswith("opentelemetry") else importlib.util.find_spec(name)

    monkeypatch.setattr(tracing, "find_spec", find_spec)
    assert are_traces_wanted({}) is False
    with pytest.raises(SettingsInvalid, match=r"install smp\[otel\]"):
        are_traces_wanted(HERE)
