"""Notifications of changed access: only after a commit, with the users concerned."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import pytest

from smp.application.ports.entitlement_changes import EntitlementChange
from smp.domain.errors import StaleVersion, StorageIntegrityError
from smp.domain.events import DomainEvent
from tests.support.builders import DAY, IDS, NOW, a_plan, a_user, an_active, some_metadata
from tests.support.storage import Storage

ANN = a_user()
BOB = a_user("bob@example.com")
PRO = a_plan()


class Type(StrEnum):
    """Types of events by their names."""

    SESSION_REVOKED = "session.revoked"
    API_KEY_REVOKED = "api_key.revoked"
    CLOCK_SET = "test_clock.set"


async def changed_by(storage: Storage, event: DomainEvent) -> list[EntitlementChange]:
    """Return what the listener is notified of when this event is committed."""
    await storage.keep(ANN)
    storage.notified.clear()
    async with storage.unit_of_work() as work:
        await work.events.record([event])
        await work.commit()
    return storage.notified


async def test_a_new_subscription_notifies_of_its_user(storage: Storage) -> None:
    await storage.keep(ANN, BOB, PRO)
    storage.notified.clear()
    async with storage.unit_of_work() as work:
        await work.subscriptions.add(an_active(ANN, PRO))
        assert storage.notified == [], "nothing is committed yet"
        await work.commit()
    assert storage.notified == [EntitlementChange(frozenset({ANN.id}))]


async def test_the_end_of_many_subscriptions_sends_one_notification(storage: Storage) -> None:
    await storage.keep(ANN, BOB, PRO, an_active(ANN, PRO), an_active(BOB, PRO))
    storage.notified.clear()
    later = NOW + 60 * DAY
    async with storage.unit_of_work() as work:
        due = await work.subscriptions.claim_overdue(later, 10)
        await work.subscriptions.save_ended([subscription.apply_expiry(some_metadata(later)) for subscription in due])
        await work.commit()
    assert storage.notified == [EntitlementChange(frozenset({ANN.id, BOB.id}))]


@pytest.mark.parametrize(
    ("event", "change"),
    [
        (
            lambda: some_metadata().event(Type.SESSION_REVOKED, IDS.new(), {}, user_id=ANN.id),
            EntitlementChange(frozenset({ANN.id})),
        ),
        (
            lambda: some_metadata().event(Type.API_KEY_REVOKED, PRO.id, {}),
            EntitlementChange(api_key_ids=frozenset({PRO.id})),
        ),
        (lambda: some_metadata().event(Type.CLOCK_SET, PRO.id, {}), EntitlementChange(everyone=True)),
    ],
    ids=["session", "api key", "test clock"],
)
async def test_an_event_names_exactly_the_users_whose_access_may_have_changed(
    storage: Storage, event: Callable[[], DomainEvent], change: EntitlementChange
) -> None:
    assert await changed_by(storage, event()) == [change]


async def test_registrations_and_changes_of_plans_send_no_notification(storage: Storage) -> None:
    await storage.keep(ANN, PRO)
    assert storage.notified == []


async def test_a_transaction_without_commit_sends_no_notification(storage: Storage) -> None:
    await storage.keep(ANN, PRO)
    async with storage.unit_of_work() as work:
        await work.subscriptions.add(an_active(ANN, PRO))
    assert storage.notified == []


async def test_a_refused_write_sends_no_notification(storage: Storage) -> None:
    await storage.keep(ANN, PRO)
    async with storage.unit_of_work() as work:
        with pytest.raises(StaleVersion):
            await work.subscriptions.save(an_active(ANN, PRO).cancel_now(some_metadata(NOW + DAY)))
        with pytest.raises(StorageIntegrityError):
            await work.commit()
    assert storage.notified == []
