"""Events of accounts, sessions and API keys: each change has one event, with the caller as its actor."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from smp.application.caller import OPERATOR, Caller
from smp.application.commands.create_api_key import CreateApiKey
from smp.application.commands.log_out import LogOut
from smp.application.commands.revoke_api_key import RevokeApiKey
from smp.application.commands.revoke_session import RevokeSession
from smp.application.commands.revoke_sessions import RevokeSessions
from smp.application.commands.update_user_access import UpdateUserAccess
from smp.application.ports.entitlement_changes import EntitlementChange
from smp.application.queries.views import UserView
from smp.domain.user.user import Role
from tests.support.builders import NOW, a_session, a_user, an_admin
from tests.support.storage import Storage
from tests.support.use_cases import UseCases

ANN = a_user()
ROOT = an_admin()
HERE, THERE = a_session(ANN, "here"), a_session(ANN, "there")
AS_ANN = Caller.of_session(UserView.of(ANN), HERE.id)
AS_ROOT = Caller.of_session(UserView.of(ROOT), HERE.id)

Act = Callable[[UseCases], Awaitable[object]]


@pytest.mark.parametrize(
    ("act", "types"),
    [
        (lambda use: use(LogOut(), AS_ANN), ["session.revoked"]),
        (lambda use: use(RevokeSession(ANN.id, THERE.id), AS_ANN), ["session.revoked"]),
        (lambda use: use(RevokeSessions(ANN.id, keep_current=True), AS_ANN), ["session.revoked"]),
        (lambda use: use(RevokeSessions(ANN.id), AS_ROOT), ["session.revoked"] * 2),
        (
            lambda use: use(UpdateUserAccess(ANN.id, Role.ADMIN, disabled=True), AS_ROOT),
            ["user.role_changed", "user.disabled", "session.revoked", "session.revoked"],
        ),
    ],
    ids=["log out", "one session", "other sessions", "all sessions", "role and disabled"],
)
async def test_a_change_of_access_is_recorded_and_announced(
    storage: Storage, use_cases: UseCases, act: Act, types: list[str]
) -> None:
    await storage.keep(ANN, ROOT, HERE, THERE)
    storage.notified.clear()
    await act(use_cases)
    assert (await storage.event_types())[2:] == types
    assert storage.notified == [EntitlementChange(frozenset({ANN.id}))]
    assert [finding.check for finding in await storage.integrity.check(NOW) if not finding.ok] == []


async def test_a_request_that_changes_nothing_records_no_event(storage: Storage, use_cases: UseCases) -> None:
    await storage.keep(ANN, ROOT, HERE)
    await use_cases(UpdateUserAccess(ANN.id, Role.USER, disabled=False), AS_ROOT)
    await use_cases(RevokeSessions(ANN.id, keep_current=True), AS_ANN)
    await use_cases(LogOut(), AS_ANN)
    await use_cases(LogOut(), AS_ANN)
    assert (await storage.event_types())[2:] == ["session.revoked"]


async def test_an_api_key_has_an_event_when_it_is_created_and_when_it_is_revoked(
    storage: Storage, use_cases: UseCases
) -> None:
    created = await use_cases(CreateApiKey("shop"), OPERATOR)
    storage.notified.clear()
    assert await use_cases(RevokeApiKey(created.key.id), OPERATOR)
    assert not await use_cases(RevokeApiKey(created.key.id), OPERATOR)
    assert await storage.event_types() == ["api_key.created", "api_key.revoked"]
    assert storage.notified == [EntitlementChange(api_key_ids=frozenset({created.key.id}))]
    assert [finding.check for finding in await storage.integrity.check(NOW) if not finding.ok] == []
