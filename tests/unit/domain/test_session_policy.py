"""When a session is over."""

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
    """A session that began at START."""
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
def test_the_earlier_of_idle_and_absolute_end(role: Role, used_after: timedelta, ends_after: timedelta) -> None:
    """Use puts the idle end off, nothing puts the absolute end off."""
    assert POLICY.ends_at(session(START + used_after), role) == START + ends_after


def test_the_role_of_today_counts() -> None:
    """Who is made an administrator has an administrator's shorter session from then on."""
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
def test_use_is_written_down_now_and_then(idle: timedelta, quiet: timedelta, *, touched: bool) -> None:
    """Once a minute; where the idle time-out is short more often, or a session would end while it is used."""
    policy = SessionPolicy(user=Timeouts(idle, timedelta(days=30)), admin=POLICY.admin)
    assert policy.is_to_be_touched(session(START), Role.USER, START + quiet) is touched
