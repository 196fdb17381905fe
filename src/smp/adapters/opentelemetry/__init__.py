"""Traces by OpenTelemetry: a span for each request, use case and statement; imported only if traces are enabled."""
