from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from smp.application.errors import RequestInProgress, TooManyAttempts
from smp.application.idempotency import DuplicateRequest
from tests.support.builders import DAY, NOW, SESSIONS, TICK, a_key, a_session, a_user, an_admin, an_outcome
from tests.support.storage import Storage

LIMIT = 100


async def answer(storage: Storage, key: str, at: datetime = NOW, fingerprint: bytes = b"a fingerprint") -> None:
    """Let a request take its (empty) effect."""
    async with storage.unit_of_work(a_key(key, fingerprint, at=at)) as work:
        await work.commit(an_outcome())


async def purged(storage: Storage, now: datetime, limit: int = LIMIT) -> int:
    """Purge once; the number of deleted rows."""
    return (await storage.retention_cleanup.purge_expired(now, SESSIONS, limit)).total


async def test_nothing_to_forget(storage: Storage) -> None:
    """An empty storage, and one in which everything still counts."""
    assert await purged(storage, NOW, LIMIT) == 0
    ann = a_user()
    await storage.keep(ann, a_session(ann))
    await answer(storage, "a key")
    await storage.throttle.attempt("ann", "1.2.3.4", NOW)
    assert await purged(storage, NOW, LIMIT) == 0


async def test_answers_are_forgotten_after_a_day(storage: Storage) -> None:
    """Not before they are no longer given."""
    await answer(storage, "a key")
    assert await purged(storage, NOW + DAY, LIMIT) == 0
    with pytest.raises(DuplicateRequest):
        await answer(storage, "a key", at=NOW + DAY)
    assert await purged(storage, NOW + DAY + TICK, LIMIT) == 1
    assert await purged(storage, NOW + DAY + TICK, LIMIT) == 0
    await answer(storage, "a key", fingerprint=b"other")


async def test_sessions_are_forgotten_when_they_are_over(storage: Storage) -> None:
    """By the time-outs of the role that the user has now: unused for too long, or too old."""
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


async def test_attempts_are_forgotten_when_they_no_longer_matter(storage: Storage) -> None:
    """Sources after a quarter of an hour, accounts after a day."""
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


async def test_so_many_of_each_kind_and_no_more(storage: Storage) -> None:
    """What is left is for the next time."""
    ann = a_user()
    await storage.keep(ann, *(a_session(ann, f"token {number}") for number in range(5)))
    for number in range(5):
        await answer(storage, f"key {number}")
    later = NOW + 100 * DAY
    assert [await purged(storage, later, 2) for _ in range(4)] == [4, 4, 2, 0]


async def test_what_is_in_use_is_left(storage: Storage) -> None:
    """A key that a running request has claimed is not forgotten under it."""
    await answer(storage, "a key")
    later = NOW + 2 * DAY
    async with storage.unit_of_work(a_key("a key", at=later)) as work:
        await storage.retention_cleanup.purge_expired(later, SESSIONS, LIMIT)
        with pytest.raises(RequestInProgress):
            await answer(storage, "a key", at=later)
        again = an_outcome()
        await work.commit(again)
    with pytest.raises(DuplicateRequest) as caught:
        await answer(storage, "a key", at=later)
    assert caught.value.outcome == again
