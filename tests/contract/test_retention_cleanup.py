from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from smp.application.errors import RequestInProgress, TooManyAttempts
from smp.application.idempotency import DuplicateRequest
from tests.support.builders import DAY, NOW, SESSIONS, TICK, a_key, a_session, a_user, an_admin, an_outcome
from tests.support.storage import Storage

LIMIT = 100


async def store_outcome(storage: Storage, key: str, at: datetime = NOW, fingerprint: bytes = b"a fingerprint") -> None:
    """Store the outcome of a request without effect."""
    async with storage.unit_of_work(a_key(key, fingerprint, at=at)) as work:
        await work.commit(an_outcome())


async def purged(storage: Storage, now: datetime, limit: int = LIMIT) -> int:
    """Purge once, and return the number of deleted rows."""
    return (await storage.retention_cleanup.purge_expired(now, now, SESSIONS, limit)).total


async def test_no_row_is_purged_before_its_retention_ends(storage: Storage) -> None:
    assert await purged(storage, NOW, LIMIT) == 0
    ann = a_user()
    await storage.keep(ann, a_session(ann))
    await store_outcome(storage, "a key")
    await storage.throttle.attempt("ann", "1.2.3.4", NOW)
    assert await purged(storage, NOW, LIMIT) == 0


async def test_stored_outcomes_are_purged_after_a_day(storage: Storage) -> None:
    await store_outcome(storage, "a key")
    assert await purged(storage, NOW + DAY, LIMIT) == 0
    with pytest.raises(DuplicateRequest):
        await store_outcome(storage, "a key", at=NOW + DAY)
    assert await purged(storage, NOW + DAY + TICK, LIMIT) == 1
    assert await purged(storage, NOW + DAY + TICK, LIMIT) == 0
    await store_outcome(storage, "a key", fingerprint=b"other")


async def test_sessions_are_purged_when_they_have_expired(storage: Storage) -> None:
    """By the time-outs of the user's present role: unused for too long, or too old."""
    ann, root = a_user(), an_admin()
    idle = a_session(ann, "idle")
    used = replace(a_session(ann, "used"), last_seen_at=NOW + DAY)
    admins = a_session(root, "admin's")
    await storage.keep(ann, root, idle, used, admins)

    async def left() -> set[str]:
        return {
            name
            for name, session in (("idle", idle), ("used", used), ("admin's", admins))
            if await storage.sessions.find(session.user_id, session.token_digest) is not None
        }

    half_an_hour = timedelta(minutes=30)
    assert await purged(storage, NOW + half_an_hour - TICK, LIMIT) == 0
    assert await purged(storage, NOW + half_an_hour, LIMIT) == 1
    assert await left() == {"idle", "used"}
    assert await purged(storage, NOW + 7 * DAY - TICK, LIMIT) == 0
    assert await purged(storage, NOW + 7 * DAY, LIMIT) == 1
    assert await left() == {"used"}
    await storage.session_activity.record_use(used, NOW + 29 * DAY)
    assert await purged(storage, NOW + 30 * DAY - TICK, LIMIT) == 0
    assert await purged(storage, NOW + 30 * DAY, LIMIT) == 1
    assert await left() == set()


async def test_login_attempts_of_sources_are_purged_after_15_minutes_and_of_accounts_after_a_day(
    storage: Storage,
) -> None:
    for _ in range(10):
        await storage.throttle.attempt("ann", "1.2.3.4", NOW)
    quarter = timedelta(minutes=15)
    assert await purged(storage, NOW + timedelta(seconds=29), LIMIT) == 0
    with pytest.raises(TooManyAttempts):
        await storage.throttle.attempt("ann", "1.2.3.4", NOW + timedelta(seconds=29))
    assert await purged(storage, NOW + quarter - TICK, LIMIT) == 0
    assert await purged(storage, NOW + quarter, LIMIT) == 1
    assert await purged(storage, NOW + DAY - TICK, LIMIT) == 0
    assert await purged(storage, NOW + DAY, LIMIT) == 1


async def test_one_purge_deletes_at_most_the_limit_of_each_kind(storage: Storage) -> None:
    ann = a_user()
    await storage.keep(ann, *(a_session(ann, f"token {number}") for number in range(5)))
    for number in range(5):
        await store_outcome(storage, f"key {number}")
    later = NOW + 100 * DAY
    assert [await purged(storage, later, 2) for _ in range(4)] == [4, 4, 2, 0]


async def test_a_key_that_a_running_request_holds_is_not_purged(storage: Storage) -> None:
    await store_outcome(storage, "a key")
    later = NOW + 2 * DAY
    async with storage.unit_of_work(a_key("a key", at=later)) as work:
        await storage.retention_cleanup.purge_expired(later, later, SESSIONS, LIMIT)
        with pytest.raises(RequestInProgress):
            await store_outcome(storage, "a key", at=later)
        again = an_outcome()
        await work.commit(again)
    with pytest.raises(DuplicateRequest) as caught:
        await store_outcome(storage, "a key", at=later)
    assert caught.value.outcome == again
