"""All PostgreSQL adapters over one pool, with a clock that stands still until it is set."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from smp.adapters.postgres.access_reader import PostgresAccessReader
from smp.adapters.postgres.api_key_reader import PostgresApiKeyReader
from smp.adapters.postgres.clock import TransactionTime
from smp.adapters.postgres.count_folder import PostgresCountFolder
from smp.adapters.postgres.integrity import PostgresIntegrityChecker
from smp.adapters.postgres.login_throttle import PostgresLoginThrottle
from smp.adapters.postgres.plan_reader import PostgresPlanReader
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.registration_throttle import PostgresRegistrationThrottle
from smp.adapters.postgres.replica_reads import ReplicaReads
from smp.adapters.postgres.retention_cleanup import PostgresRetentionCleanup
from smp.adapters.postgres.session_activity import PostgresSessionActivity
from smp.adapters.postgres.session_reader import PostgresSessionReader
from smp.adapters.postgres.statistics_reader import PostgresStatisticsReader
from smp.adapters.postgres.subscription_reader import PostgresSubscriptionReader
from smp.adapters.postgres.test_clock import PostgresTestClock, TestTransactionTime
from smp.adapters.postgres.transaction import Transaction
from smp.adapters.postgres.unit_of_work import PostgresUnitOfWorkFactory
from smp.adapters.postgres.user_reader import PostgresUserReader
from smp.application.ports.clock import Clock
from tests.support.builders import NOW
from tests.support.storage import RecordedChanges, SetRealTime, Storage

LOSE_OPEN_TRANSACTIONS: Final = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'idle in transaction'
"""
EVENT_TYPES: Final = "SELECT type FROM event_log ORDER BY id"


class StandingTime(Clock, TransactionTime):
    """A real time that stands still."""

    async def now(self) -> datetime:
        """Return the instant at which it stands."""
        return NOW

    async def now_in(self, transaction: Transaction) -> datetime:
        """Return the instant at which it stands."""
        return NOW

    async def confirm(self) -> None:
        """Do nothing: there is no other clock."""


def postgres_storage(pool: PostgresPool) -> Storage:
    """Return a storage in the pool's database; ``break_next_commit`` cuts every open transaction."""

    async def break_next_commit() -> None:
        async with pool.connection() as connection:
            lost = await connection.fetch(LOSE_OPEN_TRANSACTIONS)
        assert [row[0] for row in lost] == [True]

    async def event_types() -> Sequence[str]:
        async with pool.connection() as connection:
            return [row["type"] for row in await connection.fetch(EVENT_TYPES)]

    lists = ReplicaReads(pool)
    notified = RecordedChanges()
    return Storage(
        unit_of_work=PostgresUnitOfWorkFactory(pool, notified, TestTransactionTime(StandingTime())),
        users=PostgresUserReader(pool, lists),
        plans=PostgresPlanReader(pool),
        sessions=PostgresSessionReader(pool),
        session_activity=PostgresSessionActivity(pool),
        subscriptions=PostgresSubscriptionReader(pool, lists),
        access=PostgresAccessReader(pool),
        statistics=PostgresStatisticsReader(lists),
        api_keys=PostgresApiKeyReader(pool),
        throttle=PostgresLoginThrottle(pool),
        registrations=PostgresRegistrationThrottle(pool),
        clock=PostgresTestClock(pool, StandingTime()),
        real_time=SetRealTime(),
        retention_cleanup=PostgresRetentionCleanup(pool),
        count_folder=PostgresCountFolder(pool),
        integrity=PostgresIntegrityChecker(pool),
        break_next_commit=break_next_commit,
        event_types=event_types,
        notified=notified.changes,
    )
