"""Every command and query handler, wired by hand over one storage: what the container does, in sight of the test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from smp.adapters.memory.error_reporter import MemoryErrorReporter
from smp.adapters.payments.simulated import SimulatedPayments
from smp.adapters.security.argon2_hasher import Argon2Cost, Argon2PasswordHasher
from smp.adapters.security.common_passwords import CommonPasswordList
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
from smp.application.commands.register_user import RegisterUserHandler
from smp.application.commands.renew_subscription import RenewSubscriptionHandler
from smp.application.commands.restore_plan import RestorePlanHandler
from smp.application.commands.resume_subscription import ResumeSubscriptionHandler
from smp.application.commands.revoke_api_key import RevokeApiKeyHandler
from smp.application.commands.revoke_session import RevokeSessionHandler
from smp.application.commands.revoke_sessions import RevokeSessionsHandler
from smp.application.commands.set_test_clock import SetTestClockHandler
from smp.application.commands.start_trial import StartTrialHandler, TrialScope
from smp.application.commands.update_plan import UpdatePlanHandler
from smp.application.commands.update_user_access import UpdateUserAccessHandler
from smp.application.expiry import ExpiryRun
from smp.application.jobs.expire_due_subscriptions import ExpireDueSubscriptionsHandler
from smp.application.jobs.purge_expired import PurgeExpiredHandler
from smp.application.password_policy import PasswordPolicy
from smp.application.ports.clock import SettableClock
from smp.application.ports.password_hasher import PasswordHasher
from smp.application.ports.payment_gateway import PaymentGateway
from smp.application.queries.authenticate import AuthenticateHandler
from smp.application.queries.check_access import CheckAccessHandler
from smp.application.queries.get_current_subscription import GetCurrentSubscriptionHandler
from smp.application.queries.get_plan import GetPlanHandler
from smp.application.queries.get_statistics import GetStatisticsHandler
from smp.application.queries.get_subscription import GetSubscriptionHandler
from smp.application.queries.get_user import GetUserHandler
from smp.application.queries.list_access import ListAccessHandler
from smp.application.queries.list_api_keys import ListApiKeysHandler
from smp.application.queries.list_plan_revisions import ListPlanRevisionsHandler
from smp.application.queries.list_plans import ListPlansHandler
from smp.application.queries.list_sessions import ListSessionsHandler
from smp.application.queries.list_subscription_events import ListSubscriptionEventsHandler
from smp.application.queries.list_subscription_history import ListSubscriptionHistoryHandler
from smp.application.queries.list_subscriptions import ListSubscriptionsHandler
from smp.application.queries.list_users import ListUsersHandler
from smp.application.queries.run_diagnostics import RunDiagnosticsHandler
from tests.support.builders import IDS, SESSIONS
from tests.support.storage import Storage

COMMON: Final = CommonPasswordList()
TOKENS: Final = SecretsTokenGenerator()
CHEAP: Final = Argon2Cost(memory_kib=8, passes=1, lanes=1)
"""The least that Argon2 takes: for tests in which hashing is not the point."""
HASHER: Final = Argon2PasswordHasher(CHEAP)
"""One for all tests, so that they do not collect threads."""


@dataclass(frozen=True, slots=True)
class UseCases:
    """All handlers over one storage; ``clock`` is the storage's."""

    storage: Storage
    hasher: PasswordHasher
    payments: PaymentGateway
    failures: MemoryErrorReporter
    scope: TrialScope

    @classmethod
    def over(
        cls,
        storage: Storage,
        *,
        hasher: PasswordHasher | None = None,
        payments: PaymentGateway | None = None,
        scope: TrialScope = TrialScope.PLAN,
    ) -> UseCases:
        """With simulated payments, and a hasher that is as cheap as can be, unless others are given."""
        return cls(storage, hasher or HASHER, payments or SimulatedPayments(), MemoryErrorReporter(), scope)

    @property
    def clock(self) -> SettableClock:
        return self.storage.clock

    @property
    def policy(self) -> PasswordPolicy:
        return PasswordPolicy(COMMON, 15)

    @property
    def register_user(self) -> RegisterUserHandler:
        return RegisterUserHandler(self.storage.unit_of_work, self.storage.clock, IDS, self.hasher, self.policy)

    @property
    def create_admin(self) -> CreateAdminHandler:
        return CreateAdminHandler(self.storage.unit_of_work, self.storage.clock, IDS, self.hasher, self.policy)

    @property
    def log_in(self) -> LogInHandler:
        return LogInHandler(
            self.storage.unit_of_work, self.storage.clock, IDS, TOKENS, self.hasher, self.storage.throttle, SESSIONS
        )

    @property
    def log_out(self) -> LogOutHandler:
        return LogOutHandler(self.storage.unit_of_work, self.storage.clock, IDS)

    @property
    def change_password(self) -> ChangePasswordHandler:
        return ChangePasswordHandler(
            self.storage.unit_of_work, self.storage.clock, IDS, self.hasher, self.storage.throttle, self.policy
        )

    @property
    def change_user_access(self) -> UpdateUserAccessHandler:
        return UpdateUserAccessHandler(self.storage.unit_of_work, self.storage.clock, IDS)

    @property
    def end_session(self) -> RevokeSessionHandler:
        return RevokeSessionHandler(self.storage.unit_of_work, self.storage.clock, IDS)

    @property
    def end_other_sessions(self) -> RevokeSessionsHandler:
        return RevokeSessionsHandler(self.storage.unit_of_work, self.storage.clock, IDS)

    @property
    def create_api_key(self) -> CreateApiKeyHandler:
        return CreateApiKeyHandler(self.storage.unit_of_work, self.storage.clock, IDS, TOKENS)

    @property
    def revoke_api_key(self) -> RevokeApiKeyHandler:
        return RevokeApiKeyHandler(self.storage.unit_of_work, self.storage.clock, IDS)

    @property
    def create_plan(self) -> CreatePlanHandler:
        return CreatePlanHandler(self.storage.unit_of_work, self.storage.clock, IDS)

    @property
    def change_plan(self) -> UpdatePlanHandler:
        return UpdatePlanHandler(self.storage.unit_of_work, self.storage.clock, IDS)

    @property
    def archive_plan(self) -> ArchivePlanHandler:
        return ArchivePlanHandler(self.storage.unit_of_work, self.storage.clock, IDS)

    @property
    def restore_plan(self) -> RestorePlanHandler:
        return RestorePlanHandler(self.storage.unit_of_work, self.storage.clock, IDS)

    @property
    def start_trial(self) -> StartTrialHandler:
        return StartTrialHandler(self.storage.unit_of_work, self.storage.clock, IDS, self.scope)

    @property
    def activate(self) -> ActivateSubscriptionHandler:
        return ActivateSubscriptionHandler(self.storage.unit_of_work, self.storage.clock, IDS, self.payments)

    @property
    def renew(self) -> RenewSubscriptionHandler:
        return RenewSubscriptionHandler(self.storage.unit_of_work, self.storage.clock, IDS, self.payments)

    @property
    def cancel(self) -> CancelSubscriptionHandler:
        return CancelSubscriptionHandler(self.storage.unit_of_work, self.storage.clock, IDS)

    @property
    def resume(self) -> ResumeSubscriptionHandler:
        return ResumeSubscriptionHandler(self.storage.unit_of_work, self.storage.clock, IDS)

    @property
    def expire(self) -> ExpireDueSubscriptionsHandler:
        return ExpireDueSubscriptionsHandler(self.expiry)

    @property
    def purge(self) -> PurgeExpiredHandler:
        return PurgeExpiredHandler(self.storage.housekeeping, SESSIONS, self.storage.clock)

    @property
    def expiry(self) -> ExpiryRun:
        return ExpiryRun(self.storage.unit_of_work, self.storage.clock, IDS, self.failures)

    @property
    def set_test_clock(self) -> SetTestClockHandler:
        return SetTestClockHandler(self.storage.clock, self.expiry)

    @property
    def authenticate(self) -> AuthenticateHandler:
        storage = self.storage
        return AuthenticateHandler(
            storage.sessions, storage.session_activity, storage.api_keys, TOKENS, storage.clock, SESSIONS
        )

    @property
    def check_access(self) -> CheckAccessHandler:
        return CheckAccessHandler(self.storage.access, self.storage.users, self.storage.clock)

    @property
    def list_access(self) -> ListAccessHandler:
        return ListAccessHandler(self.storage.access, self.storage.users, self.storage.clock)

    @property
    def diagnose(self) -> RunDiagnosticsHandler:
        return RunDiagnosticsHandler(self.storage.integrity, self.storage.clock)

    @property
    def get_current(self) -> GetCurrentSubscriptionHandler:
        return GetCurrentSubscriptionHandler(self.storage.subscriptions, self.storage.users, self.storage.clock)

    @property
    def get_subscription(self) -> GetSubscriptionHandler:
        return GetSubscriptionHandler(self.storage.subscriptions, self.storage.clock)

    @property
    def list_events(self) -> ListSubscriptionEventsHandler:
        return ListSubscriptionEventsHandler(self.storage.subscriptions, self.storage.clock)

    @property
    def list_history(self) -> ListSubscriptionHistoryHandler:
        return ListSubscriptionHistoryHandler(self.storage.subscriptions, self.storage.users, self.storage.clock)

    @property
    def list_subscriptions(self) -> ListSubscriptionsHandler:
        return ListSubscriptionsHandler(self.storage.subscriptions, self.storage.clock)

    @property
    def get_plan(self) -> GetPlanHandler:
        return GetPlanHandler(self.storage.plans)

    @property
    def list_plans(self) -> ListPlansHandler:
        return ListPlansHandler(self.storage.plans)

    @property
    def list_revisions(self) -> ListPlanRevisionsHandler:
        return ListPlanRevisionsHandler(self.storage.plans)

    @property
    def get_user(self) -> GetUserHandler:
        return GetUserHandler(self.storage.users)

    @property
    def list_users(self) -> ListUsersHandler:
        return ListUsersHandler(self.storage.users)

    @property
    def list_sessions(self) -> ListSessionsHandler:
        return ListSessionsHandler(self.storage.sessions, self.storage.users, self.storage.clock, SESSIONS)

    @property
    def list_api_keys(self) -> ListApiKeysHandler:
        return ListApiKeysHandler(self.storage.api_keys)

    @property
    def get_statistics(self) -> GetStatisticsHandler:
        return GetStatisticsHandler(self.storage.statistics, self.storage.clock)
