"""The container of the program over one storage: every use case with its decorators, as drivers get it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from dishka import AnyOf, AsyncContainer, Provider, Scope

from smp.adapters.memory.error_reporter import MemoryErrorReporter
from smp.adapters.payments.simulated import SimulatedPayments
from smp.adapters.security.argon2_hasher import Argon2Cost, Argon2PasswordHasher
from smp.application.caller import Caller
from smp.application.commands.start_trial import TrialScope
from smp.application.ports.access_reader import AccessReader
from smp.application.ports.api_key_reader import ApiKeyReader
from smp.application.ports.clock import Clock, RealTime
from smp.application.ports.count_folder import CountFolder
from smp.application.ports.error_reporter import ErrorReporter
from smp.application.ports.integrity_checker import IntegrityChecker
from smp.application.ports.login_throttle import LoginThrottle
from smp.application.ports.password_hasher import PasswordHasher
from smp.application.ports.payment_gateway import PaymentGateway
from smp.application.ports.plan_reader import PlanReader
from smp.application.ports.registration_throttle import RegistrationThrottle
from smp.application.ports.retention_cleanup import RetentionCleanup
from smp.application.ports.session_activity import SessionActivity
from smp.application.ports.session_reader import SessionReader
from smp.application.ports.statistics_reader import StatisticsReader
from smp.application.ports.subscription_reader import SubscriptionReader
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.application.ports.user_reader import UserReader
from smp.bootstrap.container import build_container
from smp.bootstrap.execution import interface_of, use_case_of
from smp.bootstrap.providers import HANDLERS, TEST_CLOCK_HANDLERS
from smp.bootstrap.settings import load_settings
from tests.support.storage import Storage

CHEAP: Final = Argon2Cost(memory_kib=8, passes=1, lanes=1)
"""The least that Argon2 accepts, for tests in which hashing is not the point."""
HASHER: Final = Argon2PasswordHasher(CHEAP)
"""One for all tests, so that threads do not pile up."""

INTERFACES: Final = {use_case_of(each)[0]: interface_of(each) for each in (*HANDLERS, *TEST_CLOCK_HANDLERS)}

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class UseCases:
    """The use cases of the program's container, with the storage and some ports replaced."""

    storage: Storage
    failures: MemoryErrorReporter
    container: AsyncContainer

    @classmethod
    def over(
        cls,
        storage: Storage,
        *,
        hasher: PasswordHasher | None = None,
        payments: PaymentGateway | None = None,
        scope: TrialScope = TrialScope.PLAN,
    ) -> UseCases:
        """Build them with simulated payments and the cheapest hasher, unless others are given."""
        failures = MemoryErrorReporter()
        overrides = Provider(scope=Scope.APP)
        for port, part in (
            (UnitOfWorkFactory, storage.unit_of_work),
            (PlanReader, storage.plans),
            (UserReader, storage.users),
            (SessionReader, storage.sessions),
            (SessionActivity, storage.session_activity),
            (SubscriptionReader, storage.subscriptions),
            (AccessReader, storage.access),
            (StatisticsReader, storage.statistics),
            (ApiKeyReader, storage.api_keys),
            (IntegrityChecker, storage.integrity),
            (LoginThrottle, storage.throttle),
            (RegistrationThrottle, storage.registrations),
            (RetentionCleanup, storage.retention_cleanup),
            (CountFolder, storage.count_folder),
            (Clock, storage.clock),
            (RealTime, storage.real_time),
            (AnyOf[Argon2PasswordHasher, PasswordHasher], hasher or HASHER),
            (PaymentGateway, payments or SimulatedPayments()),
            (ErrorReporter, failures),
        ):
            overrides.provide(_constant(part), provides=port, override=True)
        settings = load_settings({"SMP_TEST_CLOCK": "1", "SMP_TRIAL_SCOPE": scope.value})
        return cls(storage, failures, build_container(settings, overrides))

    @property
    def clock(self) -> Clock:
        """Return the clock of the storage."""
        return self.storage.clock

    async def set_clock(self, now: datetime) -> None:
        """Set the clock of the storage, as if time had passed."""
        await self.storage.set_clock(now)

    async def __call__(self, command: object, caller: Caller) -> Any:  # noqa: ANN401 - each use case has its own result
        """Run the use case of this command or query for the caller."""
        handler = await self.container.get(INTERFACES[type(command)])
        return await handler(command, caller)


def _constant(part: Part) -> Callable[[], Part]:
    return lambda: part
