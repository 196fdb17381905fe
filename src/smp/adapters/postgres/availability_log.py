"""The log of outages of the database: one line when it stops answering, and one when it answers again."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from smp.application.errors import OutcomeUnknown, StorageBusy, StorageUnavailable, TransactionConflict

RECOVERED_AFTER_S: Final = 5.0
"""An outage is over when the database has answered for this long without another error."""

_DETAIL_MAX: Final = 300

_log = structlog.stdlib.get_logger("smp.database")


class AvailabilityLog:
    """Logs the outages of one server. Errors during an outage are counted, because each request has one."""

    def __init__(self, server: str, recovered_after_s: float = RECOVERED_AFTER_S) -> None:
        self._server = server
        self._recovered_after_s = recovered_after_s
        self._errors = 0
        self._since = 0.0
        self._last_error_at = 0.0

    @property
    def is_out(self) -> bool:
        """Whether there is an outage."""
        return self._errors > 0

    def failed(self, error: BaseException) -> None:
        """Take note of an error; the first one of an outage is logged, with what the server or the driver said."""
        if not isinstance(error, StorageUnavailable | OutcomeUnknown):
            return
        if isinstance(error, TransactionConflict | StorageBusy) or error.__cause__ is None:
            return
        self._last_error_at = _now()
        self._errors += 1
        if self._errors > 1:
            return
        self._since = self._last_error_at
        cause = error.__cause__
        _log.warning(
            "the database is not available",
            server=self._server,
            sqlstate=getattr(cause, "sqlstate", None),
            error=type(cause).__name__,
            detail=" ".join(str(cause).split())[:_DETAIL_MAX],
        )

    def answered(self) -> None:
        """Take note of an answer."""
        if self._errors and _now() - self._last_error_at >= self._recovered_after_s:
            _log.info(
                "the database is available again",
                server=self._server,
                errors=self._errors,
                elapsed_s=round(_now() - self._since, 1),
            )
            self._errors = 0


def _now() -> float:
    return asyncio.get_running_loop().time()
