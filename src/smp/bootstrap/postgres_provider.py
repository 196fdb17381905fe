"""The parts of the container that keep their data in PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

from dishka import Provider, Scope, alias, provide

from smp.adapters.postgres.access_reader import PostgresAccessReader
from smp.adapters.postgres.api_key_reader import PostgresApiKeyReader
from smp.adapters.postgres.clock import DatabaseClock
from smp.adapters.postgres.connecting import PLAIN_CONNECTIONS, ConnectionClass
from smp.adapters.postgres.count_folder import PostgresCountFolder
from smp.adapters.postgres.integrity import PostgresIntegrityChecker
from smp.adapters.postgres.login_throttle import PostgresLoginThrottle
from smp.adapters.postgres.plan_reader import PostgresPlanReader
from smp.adapters.postgres.pool import PostgresPool, create_pool
from smp.adapters.postgres.pool_observer import PoolObserver, SilentPoolObserver
from smp.adapters.postgres.pool_settings import PoolSettings
from smp.adapters.postgres.registration_throttle import PostgresRegistrationThrottle
from smp.adapters.postgres.replica_reads import ReplicaReads, ReplicaReadsObserver, SilentReplicaReadsObserver
from smp.adapters.postgres.retention_cleanup import PostgresRetentionCleanup
from smp.adapters.postgres.session_activity import PostgresSessionActivity
from smp.adapters.postgres.session_reader import PostgresSessionReader
from smp.adapters.postgres.statistics_reader import PostgresStatisticsReader
from smp.adapters.postgres.subscription_reader import PostgresSubscriptionReader
from smp.adapters.postgres.unit_of_work import PostgresUnitOfWorkFactory
from smp.adapters.postgres.user_reader import PostgresUserReader
from smp.adapters.system.clock import machine_time
from smp.application.ports.access_reader import AccessReader
from smp.application.ports.api_key_reader import ApiKeyReader
from smp.application.ports.clock import RealTime
from smp.application.ports.count_folder import CountFolder
from smp.application.ports.integrity_checker import IntegrityChecker
from smp.application.ports.login_throttle import LoginThrottle
from smp.application.ports.plan_reader import PlanReader
from smp.application.ports.registration_throttle import RegistrationThrottle
from smp.application.ports.retention_cleanup import RetentionCleanup
from smp.application.ports.session_activity import SessionActivity
from smp.application.ports.session_reader import SessionReader
from smp.application.ports.statistics_reader import StatisticsReader
from smp.application.ports.subscription_reader import SubscriptionReader
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.application.ports.user_reader import UserReader
from smp.bootstrap.settings import Settings, secret_source


class PostgresProvider(Provider):
    """Everything that is kept in PostgreSQL, over one pool, and what may be stale over a replica's."""

    scope = Scope.APP
    unit_of_work = provide(PostgresUnitOfWorkFactory, provides=UnitOfWorkFactory)
    plans = provide(PostgresPlanReader, provides=PlanReader)
    users = provide(PostgresUserReader, provides=UserReader)
    sessions = provide(PostgresSessionReader, provides=SessionReader)
    session_activity = provide(PostgresSessionActivity, provides=SessionActivity)
    subscriptions = provide(PostgresSubscriptionReader, provides=SubscriptionReader)
    access = provide(PostgresAccessReader, provides=AccessReader)
    statistics = provide(PostgresStatisticsReader, provides=StatisticsReader)
    api_keys = provide(PostgresApiKeyReader, provides=ApiKeyReader)
    integrity = provide(PostgresIntegrityChecker, provides=IntegrityChecker)
    throttle = provide(PostgresLoginThrottle, provides=LoginThrottle)
    registrations = provide(PostgresRegistrationThrottle, provides=RegistrationThrottle)
    retention_cleanup = provide(PostgresRetentionCleanup, provides=RetentionCleanup)
    count_folder = provide(PostgresCountFolder, provides=CountFolder)

    real_time = alias(source=DatabaseClock, provides=RealTime)

    @provide
    def database_clock(self, pool: PostgresPool, settings: Settings) -> DatabaseClock:
        """The clock of the database, measured by this process."""
        return DatabaseClock(pool, machine_time, timedelta(seconds=settings.clock_skew_max_s))

    pool_observer = provide(SilentPoolObserver, provides=PoolObserver)
    replica_observer = provide(SilentReplicaReadsObserver, provides=ReplicaReadsObserver)

    @provide
    def connection_class(self) -> ConnectionClass:
        """The driver's class of connections."""
        return PLAIN_CONNECTIONS

    @provide
    def pool_settings(self, settings: Settings) -> PoolSettings:
        """The limits of the pool; the replica's pool has the same."""
        size = settings.database_pool_size
        return PoolSettings(size=size, reserved=max(1, size // 5), prepares=settings.database_prepared_statements)

    @provide
    async def pool(
        self,
        settings: Settings,
        pool_settings: PoolSettings,
        observer: PoolObserver,
        connection_class: ConnectionClass,
    ) -> AsyncIterator[PostgresPool]:
        """Connections, opened when they are needed and closed with the container."""
        if settings.database_url is None:
            raise AssertionError("a container needs a database; see smp.bootstrap.database.open_database")
        pool = await create_pool(
            settings.database_url, pool_settings, observer, connection_class, secret_source(settings, "database_url")
        )
        yield pool
        await pool.close()

    @provide
    async def lists(
        self,
        settings: Settings,
        pool_settings: PoolSettings,
        pool: PostgresPool,
        observer: ReplicaReadsObserver,
        connection_class: ConnectionClass,
    ) -> AsyncIterator[ReplicaReads]:
        """The source of lists and statistics: the replica, if there is one."""
        if settings.database_replica_url is None:
            yield ReplicaReads(pool)
            return
        replica_settings = replace(pool_settings, read_only=True, reserved=0)
        replica = await create_pool(
            settings.database_replica_url,
            replica_settings,
            connection_class=connection_class,
            read_url=secret_source(settings, "database_replica_url"),
        )
        async with ReplicaReads(pool, replica, observer=observer).watching() as lists:
            yield lists
        await replica.close()
