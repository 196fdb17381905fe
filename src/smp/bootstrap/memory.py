"""The platform without a database: everything is in memory, for tests."""

from __future__ import annotations

from collections.abc import Mapping

from dishka import Provider, Scope

from smp.adapters.http.settings import UP, Readiness
from smp.adapters.memory.access_reader import MemoryAccessReader
from smp.adapters.memory.api_key_reader import MemoryApiKeyReader
from smp.adapters.memory.count_folder import MemoryCountFolder
from smp.adapters.memory.integrity import MemoryIntegrityChecker
from smp.adapters.memory.login_throttle import MemoryLoginThrottle
from smp.adapters.memory.plan_reader import MemoryPlanReader
from smp.adapters.memory.registration_throttle import MemoryRegistrationThrottle
from smp.adapters.memory.retention_cleanup import MemoryRetentionCleanup
from smp.adapters.memory.session_activity import MemorySessionActivity
from smp.adapters.memory.session_reader import MemorySessionReader
from smp.adapters.memory.statistics_reader import MemoryStatisticsReader
from smp.adapters.memory.store import MemoryStore
from smp.adapters.memory.subscription_reader import MemorySubscriptionReader
from smp.adapters.memory.unit_of_work import MemoryUnitOfWorkFactory
from smp.adapters.memory.user_reader import MemoryUserReader
from smp.application.ports.access_reader import AccessReader
from smp.application.ports.api_key_reader import ApiKeyReader
from smp.application.ports.clock import Clock, RealTime
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
from smp.bootstrap.metrics import Sampler


def memory_provider(store: MemoryStore, clock: Clock) -> Provider:
    """Return a provider for ``build_container`` that stores everything in ``store`` and uses ``clock``."""
    provider = Provider(scope=Scope.APP)
    provider.provide(lambda: store, provides=MemoryStore)
    for adapter, port in (
        (MemoryUnitOfWorkFactory, UnitOfWorkFactory),
        (MemoryPlanReader, PlanReader),
        (MemoryUserReader, UserReader),
        (MemorySessionReader, SessionReader),
        (MemorySessionActivity, SessionActivity),
        (MemorySubscriptionReader, SubscriptionReader),
        (MemoryAccessReader, AccessReader),
        (MemoryStatisticsReader, StatisticsReader),
        (MemoryApiKeyReader, ApiKeyReader),
        (MemoryIntegrityChecker, IntegrityChecker),
        (MemoryLoginThrottle, LoginThrottle),
        (MemoryRegistrationThrottle, RegistrationThrottle),
        (MemoryRetentionCleanup, RetentionCleanup),
        (MemoryCountFolder, CountFolder),
    ):
        provider.provide(adapter, provides=port, override=True)
    provider.provide(lambda: clock, provides=Clock, override=True)
    provider.provide(lambda: clock, provides=RealTime, override=True)
    return provider


class AlwaysReady(Readiness):
    """The readiness of a platform in memory."""

    async def check(self) -> Mapping[str, str]:
        """Report every part as up."""
        return {"database": UP, "migrations": UP, "writes": UP, "clock": UP}


def memory_http_provider() -> Provider:
    """Return a provider for a container with the ``HttpProvider``, in addition to :func:`memory_provider`."""
    provider = Provider(scope=Scope.APP)
    provider.provide(AlwaysReady, provides=Readiness, override=True)
    provider.provide(lambda: Sampler(()), provides=Sampler, override=True)
    return provider
