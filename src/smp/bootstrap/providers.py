"""What the container is made of: every port with its adapter, every policy with its settings, every handler."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeVar

from dishka import AnyOf, Provider, Scope, alias, decorate, from_context, provide

from smp.adapters.payments.none import NoPayments
from smp.adapters.payments.simulated import SimulatedPayments
from smp.adapters.postgres.clock import REAL_TIME, DatabaseClock, TransactionTime
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.test_clock import PostgresTestClock, TestTransactionTime
from smp.adapters.security.argon2_hasher import Argon2PasswordHasher
from smp.adapters.security.common_passwords import CommonPasswordList
from smp.adapters.system.backoff import JitteredBackoff
from smp.adapters.system.error_reporter import StructlogErrorReporter
from smp.adapters.system.id_generator import Uuid7IdGenerator
from smp.adapters.system.token_generator import SecretsTokenGenerator
from smp.application.commands.activate_subscription import ActivateSubscriptionHandler
from smp.application.commands.archive_plan import ArchivePlanHandler
from smp.application.commands.cancel_subscription import CancelSubscriptionHandler
from smp.application.commands.change_password import ChangePasswordHandler
from smp.application.commands.create_admin import CreateAdminHandler
from smp.application.commands.create_api_key import CreateApiKeyHandler
from smp.application.commands.create_plan import CreatePlanHandler
from smp.application.commands.log_in import LogInHandler
from smp.application.commands.log_out import LogOutHandler
from smp.application.commands.register_user import RegisterUserHandler, Registration
from smp.application.commands.renew_session_token import RenewSessionTokenHandler
from smp.application.commands.renew_subscription import RenewSubscriptionHandler
from smp.application.commands.reset_password import ResetPasswordHandler
from smp.application.commands.restore_plan import RestorePlanHandler
from smp.application.commands.resume_subscription import ResumeSubscriptionHandler
from smp.application.commands.revoke_api_key import RevokeApiKeyHandler
from smp.application.commands.revoke_session import RevokeSessionHandler
from smp.application.commands.revoke_sessions import RevokeSessionsHandler
from smp.application.commands.set_test_clock import SetTestClockHandler
from smp.application.commands.start_trial import StartTrialHandler, TrialScope
from smp.application.commands.update_plan import UpdatePlanHandler
from smp.application.commands.update_user_access import UpdateUserAccessHandler
from smp.application.execution import Handler
from smp.application.expiry import ExpiryRun
from smp.application.jobs.expire_due_subscriptions import ExpireDueSubscriptionsHandler
from smp.application.jobs.fold_counts import FoldCountsHandler
from smp.application.jobs.purge_expired import PurgeExpiredHandler
from smp.application.password_policy import PasswordPolicy
from smp.application.ports.backoff import Backoff
from smp.application.ports.clock import Clock
from smp.application.ports.common_passwords import CommonPasswords
from smp.application.ports.entitlement_changes import EntitlementChanges, IgnoredEntitlementChanges
from smp.application.ports.error_reporter import ErrorReporter
from smp.application.ports.id_generator import IdGenerator
from smp.application.ports.password_hasher import PasswordHasher
from smp.application.ports.payment_gateway import PaymentGateway
from smp.application.ports.token_generator import TokenGenerator
from smp.application.queries.authenticate import AuthenticateHandler
from smp.application.queries.check_access import CheckAccessHandler
from smp.application.queries.get_current_subscription import GetCurrentSubscriptionHandler
from smp.application.queries.get_plan import GetPlanHandler
from smp.application.queries.get_statistics import GetStatisticsHandler
from smp.application.queries.get_subscription import GetSubscriptionHandler
from smp.application.queries.get_test_clock import GetTestClockHandler
from smp.application.queries.get_user import GetUserHandler
from smp.application.queries.get_user_by_email import GetUserByEmailHandler
from smp.application.queries.list_access import ListAccessHandler
from smp.application.queries.list_administrators import ListAdministratorsHandler
from smp.application.queries.list_api_keys import ListApiKeysHandler
from smp.application.queries.list_plan_revisions import ListPlanRevisionsHandler
from smp.application.queries.list_plans import ListPlansHandler
from smp.application.queries.list_sessions import ListSessionsHandler
from smp.application.queries.list_subscription_events import ListSubscriptionEventsHandler
from smp.application.queries.list_subscription_history import ListSubscriptionHistoryHandler
from smp.application.queries.list_subscriptions import ListSubscriptionsHandler
from smp.application.queries.list_users import ListUsersHandler
from smp.application.queries.run_diagnostics import RunDiagnosticsHandler
from smp.application.session_opening import SessionOpener
from smp.bootstrap.execution import ExecutionPath, ResultObservers, UseCaseTracing, interface_of
from smp.bootstrap.settings import Payments, Settings
from smp.domain.user.session import SessionPolicy

HASH_QUEUE: Final = 32
"""The number of passwords that may wait in one process before callers are asked to retry later."""


class SettingsProvider(Provider):
    """The settings, and the policies that they make."""

    scope = Scope.APP
    settings = from_context(Settings)

    @provide
    def sessions(self, settings: Settings) -> SessionPolicy:
        """How long sessions live."""
        return settings.session_policy

    @provide
    def trial_scope(self, settings: Settings) -> TrialScope:
        """How often a user may try."""
        return settings.trial_scope

    @provide
    def registration(self, settings: Settings) -> Registration:
        """Return who may create accounts."""
        return settings.registration

    @provide
    def passwords(self, settings: Settings, common: CommonPasswords) -> PasswordPolicy:
        """Which passwords are taken."""
        return PasswordPolicy(common, settings.password_length_min)


class SystemProvider(Provider):
    """What the machine itself has to offer, and the payments."""

    scope = Scope.APP
    backoff = provide(JitteredBackoff, provides=Backoff)
    entitlement_changes = provide(IgnoredEntitlementChanges, provides=EntitlementChanges)
    ids = provide(Uuid7IdGenerator, provides=IdGenerator)
    tokens = provide(SecretsTokenGenerator, provides=TokenGenerator)
    failures = provide(StructlogErrorReporter, provides=ErrorReporter)

    @provide
    def common_passwords(self, settings: Settings) -> CommonPasswords:
        """The built-in list, and the operator's own."""
        return CommonPasswordList(settings.password_blocklist)

    @provide
    def hasher(self, settings: Settings) -> Iterator[AnyOf[Argon2PasswordHasher, PasswordHasher]]:
        """Threads that hash, ended with the container."""
        hasher = Argon2PasswordHasher(concurrency=settings.hash_concurrency, queue=HASH_QUEUE)
        yield hasher
        hasher.close()

    @provide
    def payments(self, settings: Settings) -> PaymentGateway:
        """Who takes the money."""
        return SimulatedPayments() if settings.payments is Payments.SIMULATED else NoPayments()


class ClockProvider(Provider):
    """The database's clock, which is the platform's."""

    scope = Scope.APP
    clock = alias(source=DatabaseClock, provides=Clock)

    @provide
    def transaction_time(self) -> TransactionTime:
        """The real time."""
        return REAL_TIME


TEST_CLOCK_HANDLERS: Final[tuple[type[Any], ...]] = (GetTestClockHandler, SetTestClockHandler)
"""The use cases of the test clock, which exist only where the settings allow it."""


class TestClockProvider(Provider):
    """The clock of a test platform, with the use case that sets it; in the place of :class:`ClockProvider`."""

    scope = Scope.APP

    def __init__(self) -> None:
        super().__init__()
        for handler in TEST_CLOCK_HANDLERS:
            self.provide(handler, provides=interface_of(handler))

    @provide
    def clock(self, pool: PostgresPool, real: DatabaseClock) -> Clock:
        """The database's clock until it is set."""
        return PostgresTestClock(pool, real)

    @provide
    def transaction_time(self) -> TransactionTime:
        """The same, in a transaction."""
        return TestTransactionTime()


HANDLERS: Final[tuple[type[Any], ...]] = (
    ActivateSubscriptionHandler,
    ArchivePlanHandler,
    CancelSubscriptionHandler,
    ChangePasswordHandler,
    ResetPasswordHandler,
    UpdatePlanHandler,
    UpdateUserAccessHandler,
    CreateAdminHandler,
    CreateApiKeyHandler,
    CreatePlanHandler,
    RevokeSessionsHandler,
    RevokeSessionHandler,
    ExpireDueSubscriptionsHandler,
    PurgeExpiredHandler,
    FoldCountsHandler,
    LogInHandler,
    LogOutHandler,
    RegisterUserHandler,
    RenewSessionTokenHandler,
    RenewSubscriptionHandler,
    RestorePlanHandler,
    ResumeSubscriptionHandler,
    RevokeApiKeyHandler,
    StartTrialHandler,
    AuthenticateHandler,
    CheckAccessHandler,
    RunDiagnosticsHandler,
    GetCurrentSubscriptionHandler,
    GetPlanHandler,
    GetStatisticsHandler,
    GetSubscriptionHandler,
    GetUserHandler,
    ListAccessHandler,
    ListApiKeysHandler,
    ListPlanRevisionsHandler,
    ListPlansHandler,
    ListSessionsHandler,
    ListSubscriptionEventsHandler,
    ListSubscriptionHistoryHandler,
    ListSubscriptionsHandler,
    ListUsersHandler,
    ListAdministratorsHandler,
    GetUserByEmailHandler,
)
"""Every use case, one line each, but those of the test clock."""

Command = TypeVar("Command")
Result = TypeVar("Result")


class UseCaseProvider(Provider):
    """All handlers, each as ``Handler[command, result]`` with the execution path around it; one instance of each."""

    scope = Scope.APP
    expiry = provide(ExpiryRun)
    sessions = provide(SessionOpener)
    path = provide(ExecutionPath)

    def __init__(self) -> None:
        super().__init__()
        for handler in HANDLERS:
            self.provide(handler, provides=interface_of(handler))

    @provide
    def observers(self) -> ResultObservers:
        """No observers; a process that serves counts results."""
        return ResultObservers()

    @provide
    def tracing(self) -> UseCaseTracing:
        """No spans, unless the environment asks for traces."""
        return UseCaseTracing()

    @decorate
    def executed(self, handler: Handler[Command, Result], path: ExecutionPath) -> Handler[Command, Result]:
        """The handler with the decorators of the execution path around it."""
        return path.around(handler)
