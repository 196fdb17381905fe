"""When a session ends."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from smp.domain.user.session import Session, SessionPolicy, Timeouts
from smp.domain.user.user import Role
from tests.support.builders import START, USER_ID

POLICY = SessionPolicy(
    user=Timeouts(idle=timedelta(days=7), absolute=timedelta(days=30)),
    admin=Timeouts(idle=timedelta(minutes=30), absolute=timedelta(hours=12)),
)


def session(last_seen_at: datetime) -> Session:
    """Return a session that began at START."""
    return Session(UUID(int=9), USER_ID, b"digest", START, last_seen_at, "127.0.0.1", "curl")


@pytest.mark.parametrize(
    ("role", "used_after", "ends_after"),
    [
        (Role.USER, timedelta(0), timedelta(days=7)),
        (Role.USER, timedelta(days=5), timedelta(days=12)),
        (Role.USER, timedelta(days=23), timedelta(days=30)),
        (Role.USER, timedelta(days=29), timedelta(days=30)),
        (Role.ADMIN, timedelta(0), timedelta(minutes=30)),
        (Role.ADMIN, timedelta(hours=11, minutes=29), timedelta(hours=11, minutes=59)),
        (Role.ADMIN, timedelta(hours=11, minutes=31), timedelta(hours=12)),
    ],
)
def test_a_session_ends_after_its_idle_time_or_at_its_absolute_age_whichever_is_earlier(
    role: Role, used_after: timedelta, ends_after: timedelta
) -> None:
    """Use postpones the idle end, never the absolute end."""
    assert POLICY.ends_at(session(START + used_after), role) == START + ends_after


def test_a_session_has_the_timeouts_of_the_current_role_of_its_user() -> None:
    """A user who becomes an administrator has an administrator's shorter sessions from then on."""
    used = session(START + timedelta(hours=1))
    assert POLICY.ends_at(used, Role.ADMIN) < POLICY.ends_at(used, Role.USER)
    assert POLICY.of(Role.ADMIN) is POLICY.admin
    assert POLICY.of(Role.USER) is POLICY.user


@pytest.mark.parametrize(
    ("idle", "quiet", "touched"),
    [
        (timedelta(days=7), timedelta(seconds=59), False),
        (timedelta(days=7), timedelta(minutes=1), True),
        (timedelta(minutes=30), timedelta(seconds=59), False),
        (timedelta(minutes=30), timedelta(minutes=1), True),
        (timedelta(minutes=1), timedelta(seconds=5), False),
        (timedelta(minutes=1), timedelta(seconds=6), True),
    ],
)
def test_the_last_use_of_a_session_is_stored_at_most_once_a_minute(
    idle: timedelta, quiet: timedelta, *, touched: bool
) -> None:
    """More often if the idle time-out is short, because a session must not end while it is used."""
    policy = SessionPolicy(user=Timeouts(idle, timedelta(days=30)), admin=POLICY.admin)
    assert policy.is_to_be_touched(session(START), Role.USER, START + quiet) is touched
