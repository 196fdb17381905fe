"""Which callers may run which use cases."""

from __future__ import annotations

from typing import Any

import pytest

from smp.application.authorization import ANYONE, PERMISSIONS, Audience, authorize
from smp.application.caller import ANONYMOUS, OPERATOR, Caller
from smp.application.commands.cancel_subscription import CancelSubscription
from smp.application.commands.create_api_key import CreateApiKey
from smp.application.commands.log_out import LogOut
from smp.application.errors import Forbidden, NotAuthenticated
from smp.application.queries.check_access import CheckAccess
from smp.application.queries.get_subscription import GetSubscription
from smp.application.queries.list_plans import ListPlans
from smp.domain.scopes import Scope
from tests.support.builders import IDS, a_user, an_admin, caller_of

ANN = a_user()
USER, ADMIN, SERVICE = caller_of(ANN), caller_of(an_admin()), Caller.of_service(IDS.new())


def allowed(caller: Caller, use_case: type[Any], user_id: Any = None) -> bool:  # noqa: ANN401 - an id, or none
    """Return whether the caller may run the use case; check that an anonymous caller is asked to sign in."""
    try:
        authorize(caller, use_case, user_id)
    except NotAuthenticated:
        assert caller is ANONYMOUS
        return False
    except Forbidden:
        assert caller is not ANONYMOUS
        return False
    return True


@pytest.mark.parametrize("use_case", PERMISSIONS, ids=lambda use_case: use_case.__name__)
def test_administrators_may_run_every_use_case_for_any_user(use_case: type[Any]) -> None:
    assert allowed(ADMIN, use_case, ANN.id)


@pytest.mark.parametrize("use_case", PERMISSIONS, ids=lambda use_case: use_case.__name__)
def test_the_operator_may_run_every_use_case_that_needs_no_session(use_case: type[Any]) -> None:
    is_for_sessions = PERMISSIONS[use_case].audience is Audience.SIGNED_IN and PERMISSIONS[use_case].scope is None
    assert allowed(OPERATOR, use_case) is not is_for_sessions


@pytest.mark.parametrize("use_case", PERMISSIONS, ids=lambda use_case: use_case.__name__)
def test_anonymous_callers_may_run_only_what_is_for_anyone(use_case: type[Any]) -> None:
    assert allowed(ANONYMOUS, use_case) is (PERMISSIONS[use_case].audience is Audience.ANYONE)


@pytest.mark.parametrize("use_case", PERMISSIONS, ids=lambda use_case: use_case.__name__)
def test_users_act_for_themselves_and_for_no_one_else(use_case: type[Any]) -> None:
    audience = PERMISSIONS[use_case].audience
    assert allowed(USER, use_case, ANN.id) is (audience is not Audience.NO_ONE)
    for other in (IDS.new(), None):
        assert allowed(USER, use_case, other) is (audience in {Audience.ANYONE, Audience.SIGNED_IN})


@pytest.mark.parametrize("use_case", PERMISSIONS, ids=lambda use_case: use_case.__name__)
def test_services_check_access_and_nothing_else(use_case: type[Any]) -> None:
    permission = PERMISSIONS[use_case]
    may = permission.scope is Scope.ACCESS_READ or permission.audience is Audience.ANYONE
    assert allowed(SERVICE, use_case, ANN.id) is may


def test_the_table_of_permissions_has_the_documented_rules() -> None:
    """This is a sample, row by row."""
    expected = {
        CheckAccess: (Audience.OWNER, Scope.ACCESS_READ),
        CancelSubscription: (Audience.OWNER, Scope.SUBSCRIPTIONS_WRITE),
        GetSubscription: (Audience.SIGNED_IN, Scope.SUBSCRIPTIONS_READ),
        ListPlans: (Audience.ANYONE, Scope.PLANS_WRITE),
        CreateApiKey: (Audience.NO_ONE, Scope.ADMIN),
        LogOut: (Audience.SIGNED_IN, None),
    }
    for use_case, (audience, scope) in expected.items():
        assert (PERMISSIONS[use_case].audience, PERMISSIONS[use_case].scope) == (audience, scope)
    assert ANYONE.scope is None
