"""The permissions: one table of who may run which use case, for HTTP, the command line and jobs alike.

A test fails for a use case without a row, and for a row without a use case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from smp.application.caller import Caller
from smp.application.commands.activate_subscription import ActivateSubscription
from smp.application.commands.archive_plan import ArchivePlan
from smp.application.commands.cancel_subscription import CancelSubscription
from smp.application.commands.change_password import ChangePassword
from smp.application.commands.create_admin import CreateAdmin
from smp.application.commands.create_api_key import CreateApiKey
from smp.application.commands.create_plan import CreatePlan
from smp.application.commands.log_in import LogIn
from smp.application.commands.log_out import LogOut
from smp.application.commands.register_user import RegisterUser
from smp.application.commands.renew_session_token import RenewSessionToken
from smp.application.commands.renew_subscription import RenewSubscription
from smp.application.commands.reset_password import ResetPassword
from smp.application.commands.restore_plan import RestorePlan
from smp.application.commands.resume_subscription import ResumeSubscription
from smp.application.commands.revoke_api_key import RevokeApiKey
from smp.application.commands.revoke_session import RevokeSession
from smp.application.commands.revoke_sessions import RevokeSessions
from smp.application.commands.set_test_clock import SetTestClock
from smp.application.commands.start_trial import StartTrial
from smp.application.commands.update_plan import UpdatePlan
from smp.application.commands.update_user_access import UpdateUserAccess
from smp.application.errors import Forbidden, NotAuthenticated
from smp.application.jobs.expire_due_subscriptions import ExpireDueSubscriptions
from smp.application.jobs.fold_counts import FoldCounts
from smp.application.jobs.purge_expired import PurgeExpired
from smp.application.queries.authenticate import Authenticate
from smp.application.queries.check_access import CheckAccess
from smp.application.queries.get_current_subscription import GetCurrentSubscription
from smp.application.queries.get_plan import GetPlan
from smp.application.queries.get_statistics import GetStatistics
from smp.application.queries.get_subscription import GetSubscription
from smp.application.queries.get_test_clock import GetTestClock
from smp.application.queries.get_user import GetUser
from smp.application.queries.get_user_by_email import GetUserByEmail
from smp.application.queries.list_access import ListAccess
from smp.application.queries.list_administrators import ListAdministrators
from smp.application.queries.list_api_keys import ListApiKeys
from smp.application.queries.list_plan_revisions import ListPlanRevisions
from smp.application.queries.list_plans import ListPlans
from smp.application.queries.list_sessions import ListSessions
from smp.application.queries.list_subscription_events import ListSubscriptionEvents
from smp.application.queries.list_subscription_history import ListSubscriptionHistory
from smp.application.queries.list_subscriptions import ListSubscriptions
from smp.application.queries.list_users import ListUsers
from smp.application.queries.run_diagnostics import RunDiagnostics
from smp.domain.scopes import Scope


class Audience(Enum):
    """The callers who may run a use case without a scope."""

    ANYONE = auto()
    SIGNED_IN = auto()
    """Any signed-in user; the use case decides what this user sees."""
    OWNER = auto()
    """The user whom the command names as ``user_id``."""
    NO_ONE = auto()


@dataclass(frozen=True, slots=True)
class Permission:
    """What a use case needs: a caller of the audience, or one who has the scope."""

    audience: Audience
    scope: Scope | None = None


ANYONE: Final = Permission(Audience.ANYONE)
SIGNED_IN: Final = Permission(Audience.SIGNED_IN)


def anyone_or(scope: Scope) -> Permission:
    """Allow anyone; the use case itself checks the scope of callers who ask for more."""
    return Permission(Audience.ANYONE, scope)


def signed_in_or(scope: Scope) -> Permission:
    """Allow a signed-in user, who sees only the user's own data, or a caller with the scope."""
    return Permission(Audience.SIGNED_IN, scope)


def owner_or(scope: Scope) -> Permission:
    """Allow the user whom the command is about, or a caller with the scope."""
    return Permission(Audience.OWNER, scope)


def only(scope: Scope) -> Permission:
    """Allow a caller with the scope."""
    return Permission(Audience.NO_ONE, scope)


PERMISSIONS: Final[Mapping[type[Any], Permission]] = MappingProxyType(
    {
        # Accounts and sessions
        Authenticate: ANYONE,
        RegisterUser: anyone_or(Scope.USERS_WRITE),
        LogIn: ANYONE,
        LogOut: SIGNED_IN,
        RenewSessionToken: SIGNED_IN,
        ChangePassword: SIGNED_IN,
        GetUser: owner_or(Scope.USERS_READ),
        GetUserByEmail: only(Scope.USERS_READ),
        ListUsers: only(Scope.USERS_READ),
        ListSessions: owner_or(Scope.USERS_READ),
        RevokeSession: owner_or(Scope.USERS_WRITE),
        RevokeSessions: owner_or(Scope.USERS_WRITE),
        UpdateUserAccess: only(Scope.ADMIN),
        CreateAdmin: only(Scope.ADMIN),
        ResetPassword: only(Scope.ADMIN),
        ListAdministrators: only(Scope.ADMIN),
        # Plans
        GetPlan: ANYONE,
        ListPlans: anyone_or(Scope.PLANS_WRITE),
        ListPlanRevisions: only(Scope.PLANS_WRITE),
        CreatePlan: only(Scope.PLANS_WRITE),
        UpdatePlan: only(Scope.PLANS_WRITE),
        ArchivePlan: only(Scope.PLANS_WRITE),
        RestorePlan: only(Scope.PLANS_WRITE),
        # Subscriptions
        StartTrial: owner_or(Scope.SUBSCRIPTIONS_WRITE),
        ActivateSubscription: owner_or(Scope.SUBSCRIPTIONS_WRITE),
        RenewSubscription: owner_or(Scope.SUBSCRIPTIONS_WRITE),
        CancelSubscription: owner_or(Scope.SUBSCRIPTIONS_WRITE),
        ResumeSubscription: owner_or(Scope.SUBSCRIPTIONS_WRITE),
        GetCurrentSubscription: owner_or(Scope.SUBSCRIPTIONS_READ),
        ListSubscriptionHistory: owner_or(Scope.SUBSCRIPTIONS_READ),
        GetSubscription: signed_in_or(Scope.SUBSCRIPTIONS_READ),
        ListSubscriptionEvents: signed_in_or(Scope.SUBSCRIPTIONS_READ),
        ListSubscriptions: only(Scope.SUBSCRIPTIONS_READ),
        # Access
        CheckAccess: owner_or(Scope.ACCESS_READ),
        ListAccess: owner_or(Scope.ACCESS_READ),
        # The platform
        GetStatistics: only(Scope.STATISTICS_READ),
        CreateApiKey: only(Scope.ADMIN),
        ListApiKeys: only(Scope.ADMIN),
        RevokeApiKey: only(Scope.ADMIN),
        GetTestClock: only(Scope.ADMIN),
        SetTestClock: only(Scope.ADMIN),
        ExpireDueSubscriptions: only(Scope.ADMIN),
        PurgeExpired: only(Scope.ADMIN),
        FoldCounts: only(Scope.ADMIN),
        RunDiagnostics: only(Scope.ADMIN),
    }
)


def authorize(caller: Caller, use_case: type[Any], user_id: UUID | None = None) -> None:
    """Check that the caller may run the use case for the user ``user_id`` (``None``: for any user).

    Raises:
        NotAuthenticated: if the use case is not for everyone, and the caller is anonymous.
        Forbidden: if the caller is authenticated, but has no permission.
    """
    permission = PERMISSIONS[use_case]
    audience, user = permission.audience, caller.user
    if audience is Audience.OWNER:
        # Most calls are access checks, for which the first comparison, which is much cheaper, is true.
        if user is not None and (user.id is user_id or user.id == user_id):
            return
    elif audience is Audience.ANYONE or (audience is Audience.SIGNED_IN and user is not None):
        return
    if permission.scope in caller.scopes:
        return
    if caller.identity is None:
        raise NotAuthenticated
    raise Forbidden
