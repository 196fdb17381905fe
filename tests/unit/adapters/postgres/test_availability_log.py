"""The log of outages: one line when the database stops answering, one when it answers again."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from smp.adapters.postgres.availability_log import AvailabilityLog
from smp.adapters.postgres.pool_settings import PoolSettings
from smp.adapters.postgres.statements import sql
from smp.application.errors import OutcomeUnknown, StorageBusy, StorageUnavailable, TransactionConflict
from smp.domain.errors import EmailTaken
from tests.support.fake_connections import FakeServer

QUERY = sql("SELECT 1")
Line = MutableMapping[str, Any]


@pytest.fixture
def lines() -> Iterator[list[Line]]:
    with capture_logs() as captured:
        yield captured


def unavailable(cause: Exception) -> StorageUnavailable:
    """Return the error that the pool raises for this error of the driver."""
    error = StorageUnavailable()
    error.__cause__ = cause
    return error


async def test_an_outage_is_one_warning_with_what_the_server_said(lines: list[Line]) -> None:
    log = AvailabilityLog("primary", recovered_after_s=0.0)
    refused = asyncpg.InvalidPasswordError('password authentication failed for user "smp"')
    for _ in range(3):
        log.failed(unavailable(refused))
    (warning,) = lines
    assert (warning["log_level"], warning["server"], warning["sqlstate"]) == ("warning", "primary", "28P01")
    assert warning["detail"] == 'password authentication failed for user "smp"'
    log.answered()
    log.answered()
    assert [(line["event"], line.get("errors")) for line in lines[1:]] == [("the database is available again", 3)]
    log.failed(unavailable(ConnectionRefusedError("refused")))
    assert (lines[-1]["sqlstate"], lines[-1]["error"]) == (None, "ConnectionRefusedError")


async def test_errors_that_come_and_go_are_one_outage(lines: list[Line]) -> None:
    log = AvailabilityLog("primary")
    for _ in range(3):
        log.failed(unavailable(TimeoutError()))
        log.answered()
    assert len(lines) == 1


async def test_competing_requests_and_refusals_are_no_outage(lines: list[Line]) -> None:
    log = AvailabilityLog("primary")
    conflict = TransactionConflict()
    conflict.__cause__ = asyncpg.DeadlockDetectedError("deadlock")
    taken = EmailTaken()
    taken.__cause__ = asyncpg.UniqueViolationError("duplicate")
    for error in (conflict, taken, StorageBusy(), StorageUnavailable(), ZeroDivisionError()):
        log.failed(error)
    assert lines == []
    unknown = OutcomeUnknown()
    unknown.__cause__ = ConnectionResetError()
    log.failed(unknown)
    assert len(lines) == 1


@pytest.mark.parametrize(("read_only", "server"), [(False, "primary"), (True, "replica")])
async def test_a_pool_logs_the_outage_of_its_server_once(lines: list[Line], read_only: bool, server: str) -> None:  # noqa: FBT001
    fake = FakeServer()
    pool = fake.pool(PoolSettings(read_only=read_only))
    fake.is_away = True
    for _ in range(5):
        with pytest.raises(StorageUnavailable):
            await pool.row(QUERY)
    fake.is_away = False
    await pool.row(QUERY)
    await pool.close()
    assert [(line["event"], line["server"]) for line in lines] == [("the database is not available", server)]
