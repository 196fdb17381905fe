"""Failures as log lines."""

from __future__ import annotations

from uuid import UUID

import structlog

from smp.application.ports.error_reporter import ErrorReporter

_log = structlog.stdlib.get_logger("smp.sweep")


class StructlogErrorReporter(ErrorReporter):
    """Writes each report as a line of level error, with what can be found again: the id and the kind of failure."""

    def expiry_failed(self, subscription_id: UUID, failure: Exception) -> None:
        """The sweep could not end this subscription; it goes on with the others."""
        _log.error(
            "a subscription could not be ended; smp doctor looks for damaged data",
            subscription_id=str(subscription_id),
            failure=type(failure).__name__,
            detail=str(failure),
        )
