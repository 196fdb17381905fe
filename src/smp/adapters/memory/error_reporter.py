"""An error reporter for tests."""

from __future__ import annotations

from uuid import UUID

from smp.application.ports.error_reporter import ErrorReporter


class MemoryErrorReporter(ErrorReporter):
    """An error reporter that collects its reports in ``sweep_failures``: subscription id and exception."""

    def __init__(self) -> None:
        self.sweep_failures: list[tuple[UUID, Exception]] = []

    def expiry_failed(self, subscription_id: UUID, failure: Exception) -> None:
        """Add the report to ``sweep_failures``."""
        self.sweep_failures.append((subscription_id, failure))
