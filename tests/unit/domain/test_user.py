"""Accounts: creation, password, role and switch."""

from __future__ import annotations

from dataclasses import replace

import pytest

from smp.domain.user.user import Email, Role, User
from tests.support.builders import DURING, START, USER, USER_ID, some_metadata


def user(role: Role = Role.USER) -> User:
    """Return a new account."""
    return User.register(USER_ID, Email("Ada@example.com"), "hash", role, some_metadata(START, USER))


@pytest.mark.parametrize("role", Role)
def test_a_new_account_is_enabled_and_its_event_contains_the_role_only(role: Role) -> None:
    """The event contains neither the email nor the hash of the password."""
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
def test_only_an_enabled_administrator_can_administer_the_platform(role: Role, *, disabled: bool, can: bool) -> None:
    assert replace(user(), role=role, disabled=disabled).is_enabled_admin is can


def test_a_change_of_password_writes_an_event_without_data() -> None:
    before = replace(user(), events=())
    changed = before.change_password("other", some_metadata(DURING))
    (event,) = changed.events
    assert (event.type, event.version, event.user_id, event.data) == ("user.password_changed", 2, before.id, {})
    assert replace(changed, events=()) == replace(before, password_hash="other", version=2, changed_at=DURING)


def test_a_new_hash_of_the_same_password_writes_no_event() -> None:
    before = replace(user(), events=())
    assert before.with_rehashed_password("other") == replace(before, password_hash="other")


def test_changing_role_and_access_writes_one_event_each_with_the_values_before_and_after() -> None:
    before = replace(user(), events=())
    changed = before.change_access(Role.ADMIN, disabled=True, new_metadata=lambda: some_metadata(DURING))
    assert [(event.type, event.version, event.data) for event in changed.events] == [
        ("user.role_changed", 2, {"before": {"role": "user"}, "after": {"role": "admin"}}),
        ("user.disabled", 3, {"before": {"disabled": False}, "after": {"disabled": True}}),
    ]
    assert replace(changed, events=()) == replace(before, role=Role.ADMIN, disabled=True, version=3, changed_at=DURING)
    (enabled,) = (
        replace(changed, events=())
        .change_access(Role.ADMIN, disabled=False, new_metadata=lambda: some_metadata(DURING))
        .events
    )
    assert (enabled.type, enabled.version) == ("user.enabled", 4)


def test_no_event_is_dated_before_the_last_one() -> None:
    changed = user().change_password("other", some_metadata(DURING))
    changed = changed.change_access(Role.ADMIN, disabled=True, new_metadata=lambda: some_metadata(START))
    assert [event.occurred_at for event in changed.events] == [START, DURING, DURING, DURING]


def test_setting_the_same_role_and_access_writes_no_event() -> None:
    before = replace(user(), events=())
    assert before.change_access(before.role, disabled=False, new_metadata=lambda: some_metadata(DURING)) == before
