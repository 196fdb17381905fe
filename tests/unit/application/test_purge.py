from __future__ import annotations

import pytest

from smp.adapters.memory.store import MemoryStore
from smp.application.caller import OPERATOR
from smp.application.jobs import purge_expired
from smp.application.jobs.purge_expired import PurgeExpired
from smp.application.ports.retention_cleanup import PurgedRows
from tests.support.builders import DAY, NOW, a_key, a_session, a_user, an_outcome
from tests.support.storage import Storage
from tests.support.use_cases import UseCases

LATER = NOW + 100 * DAY


async def test_rows_are_deleted_after_their_retention(
    store: MemoryStore, storage: Storage, use_cases: UseCases
) -> None:
    """Idempotency keys, sessions and counts of login attempts, counted by kind."""
    ann = a_user()
    await storage.keep(ann, a_session(ann))
    async with storage.unit_of_work(a_key()) as work:
        await work.commit(an_outcome())
    await storage.throttle.attempt("ann", "1.2.3.4", NOW)
    assert await use_cases(PurgeExpired(), OPERATOR) == PurgedRows()
    await use_cases.set_clock(LATER)
    storage.real_time.instant = LATER
    purged = await use_cases(PurgeExpired(), OPERATOR)
    assert purged == PurgedRows(idempotency_keys=1, sessions=1, login_attempts=2)
    assert (store.state.sessions, store.state.outcomes, store.state.attempts) == ({}, {}, {})


async def test_a_run_deletes_every_expired_row(
    storage: Storage, use_cases: UseCases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In as many batches as necessary."""
    monkeypatch.setattr(purge_expired, "BATCH_SIZE", 2)
    for number in range(7):
        await storage.throttle.attempt(f"user-{number}", f"1.2.3.{number}", NOW)
    storage.real_time.instant = LATER
    assert (await use_cases(PurgeExpired(), OPERATOR)).login_attempts == 14
