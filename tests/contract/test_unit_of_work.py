from __future__ import annotations

import pytest

from smp.application.errors import OutcomeUnknown, StorageUnavailable
from smp.domain.errors import EmailTaken, StorageIntegrityError, UserNotFound
from smp.domain.user.user import Role
from tests.support.builders import NOW, a_plan, a_trial, a_user, an_active, some_metadata
from tests.support.storage import Storage, Thing, add


async def keep_and_break(storage: Storage, *things: Thing) -> None:
    """Add the things in a transaction whose commit fails."""
    async with storage.unit_of_work() as work:
        for thing in things:
            await add(work, thing)
        await storage.break_next_commit()
        await work.commit()


async def test_committed_changes_are_seen_by_everybody(storage: Storage) -> None:
    """What was committed is there for readers and for the next transaction, with its event."""
    ann = a_user()
    async with storage.unit_of_work() as work:
        await work.users.add(ann)
        await work.commit()
    assert (await storage.users.get(ann.id)).email == "ann@example.com"
    async with storage.unit_of_work() as work:
        assert (await work.users.get(ann.id)).id == ann.id
    assert await storage.event_types() == ["user.registered"]


async def test_leaving_without_commit_undoes_everything(storage: Storage) -> None:
    """A transaction that ends well but was not committed never was, its events included."""
    ann, plan = a_user(), a_plan()
    async with storage.unit_of_work() as work:
        await work.users.add(ann)
        await work.plans.add(plan)
        trial = a_trial(ann, plan)
        await work.subscriptions.claim_trial(trial, once_per_user=False)
        await work.subscriptions.add(trial)
    with pytest.raises(UserNotFound):
        await storage.users.get(ann.id)
    assert await storage.subscriptions.get(trial.id, NOW) is None
    assert await storage.event_types() == []
    # The ledger has forgotten it too: the same trial can be claimed again.
    async with storage.unit_of_work() as work:
        await work.users.add(ann)
        await work.plans.add(plan)
        await work.subscriptions.claim_trial(trial, once_per_user=True)
        await work.commit()


async def test_an_exception_undoes_everything(storage: Storage) -> None:
    """Whatever leaves the block goes on to the caller, and nothing stays."""
    ann = a_user()

    async def stumble() -> None:
        async with storage.unit_of_work() as work:
            await work.users.add(ann)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await stumble()
    with pytest.raises(UserNotFound):
        await storage.users.get(ann.id)


async def test_own_changes_are_seen_before_commit_and_by_nobody_else(storage: Storage) -> None:
    """Inside, one sees what one did; outside, it is not there until the commit."""
    ann = a_user()
    async with storage.unit_of_work() as work:
        await work.users.add(ann)
        assert (await work.users.get(ann.id)).email.key == "ann@example.com"
        assert await work.users.find_by_email("ann@example.com") is not None
        with pytest.raises(UserNotFound):
            await storage.users.get(ann.id)
        async with storage.unit_of_work() as other:
            assert await other.users.find_by_email("ann@example.com") is None
        await work.commit()
    assert (await storage.users.get(ann.id)).id == ann.id


async def test_a_change_that_was_not_saved_is_not_there(storage: Storage) -> None:
    """Values are immutable: changing one and forgetting to save it changes nothing, however much is committed."""
    ann = a_user()
    await storage.keep(ann)
    async with storage.unit_of_work() as work:
        user = await work.users.get(ann.id, for_change=True)
        user.change_access(Role.ADMIN, disabled=True, new_metadata=some_metadata)
        await work.commit()
    kept = await storage.users.get(ann.id)
    assert (kept.role, kept.disabled) == (Role.USER, False)


async def test_a_commit_that_fails_raises_and_leaves_nothing(storage: Storage) -> None:
    """Where the storage is lost at the commit, the caller is told, and none of the changes is there."""
    ann, plan = a_user(), a_plan()
    with pytest.raises((StorageUnavailable, OutcomeUnknown)):
        await keep_and_break(storage, ann, plan, an_active(ann, plan))
    with pytest.raises(UserNotFound):
        await storage.users.get(ann.id)
    assert await storage.event_types() == []


async def test_the_storage_recovers_after_a_failed_commit(storage: Storage) -> None:
    """The next transaction is not harmed by the one that failed."""
    with pytest.raises((StorageUnavailable, OutcomeUnknown)):
        await keep_and_break(storage, a_user())
    ann = a_user()
    await storage.keep(ann)
    assert (await storage.users.get(ann.id)).id == ann.id


async def test_after_a_refused_write_nothing_can_be_committed(storage: Storage) -> None:
    """Who swallows a refusal and commits is told: never half a transaction, never a commit that did nothing."""
    await storage.keep(a_user())
    bob = a_user("bob@example.com")
    async with storage.unit_of_work() as work:
        await work.users.add(bob)
        with pytest.raises(EmailTaken):
            await work.users.add(a_user("ANN@example.com"))
        with pytest.raises(StorageIntegrityError):
            await work.commit()
    with pytest.raises(UserNotFound):
        await storage.users.get(bob.id)


async def test_many_transactions_may_be_open_at_once(storage: Storage) -> None:
    """Transactions over different things neither wait for each other nor see each other."""
    ann, bob = a_user(), a_user("bob@example.com")
    async with storage.unit_of_work() as one, storage.unit_of_work() as other:
        await one.users.add(ann)
        await other.users.add(bob)
        await other.commit()
        await one.commit()
    assert await storage.event_types() == ["user.registered", "user.registered"]
