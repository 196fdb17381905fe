"""Accounts."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from smp.domain.user.user import Email, Role, User
from tests.unit.domain.samples import START, USER, USER_ID, metadata


def user(role: Role = Role.USER) -> User:
    """A new account."""
    return User.register(USER_ID, Email("Ada@example.com"), "hash", role, metadata(START))


@pytest.mark.parametrize("role", Role)
def test_a_new_account_is_enabled_and_announced(role: Role) -> None:
    """The event tells the role and neither the email nor the hash."""
    made = user(role)
    assert (made.id, made.email.text, made.role, made.disabled, made.created_at) == (
        USER_ID,
        "Ada@example.com",
        role,
        False,
        START,
    )
    (event,) = made.events
    assert (event.type, event.user_id, event.occurred_at, event.actor) == ("user.registered", USER_ID, START, USER)
    assert dict(event.data) == {"role": role.value}


@pytest.mark.parametrize(
    ("role", "disabled", "can"),
    [(Role.ADMIN, False, True), (Role.ADMIN, True, False), (Role.USER, False, False), (Role.USER, True, False)],
)
def test_who_can_run_the_platform(role: Role, *, disabled: bool, can: bool) -> None:
    """An administrator who is enabled."""
    assert user().with_access(role, disabled=disabled).is_enabled_admin is can


def test_changes_touch_only_what_they_name() -> None:
    """A new password or other access leaves the rest, and the old value, as it was."""
    before = user()
    assert before.with_password("other") == replace(before, password_hash="other")
    assert before.with_access(Role.ADMIN, disabled=True) == replace(before, role=Role.ADMIN, disabled=True)
    assert (before.password_hash, before.role, before.disabled) == ("hash", Role.USER, False)
    assert replace(before, id=UUID(int=8)) != before
