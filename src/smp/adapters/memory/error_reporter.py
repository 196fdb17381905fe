"""A failure log to look into."""

from __future__ import annotations

from uuid import UUID

from smp.application.ports.error_reporter import ErrorReporter


class MemoryErrorReporter(ErrorReporter):
    """Keeps what was reported in ``sweep_failures``: the subscription's id and the failure."""

    def __init__(self) -> None:
        self.sweep_failures: list[tuple[UUID, Exception]] = []

    def expiry_failed(self, subscription_id: UUID, failure: Exception) -> None:
        """Keep the report."""
        self.sweep_failures.append((subscription_id, failure))
