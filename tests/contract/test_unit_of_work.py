from __future__ import annotations

import pytest

from smp.application.errors import OutcomeUnknown, StorageUnavailable
from smp.domain.errors import EmailTaken, StorageIntegrityError, UserNotFound
from smp.domain.user.user import Role
from tests.support.builders import NOW, a_plan, a_trial, a_user, an_active, some_metadata
from tests.support.storage import Storage, Thing, add


async def fail_to_commit(storage: Storage, *things: Thing) -> None:
    """Add the values in a transaction whose commit fails."""
    async with storage.unit_of_work() as work:
        for thing in things:
            await add(work, thing)
        await storage.break_next_commit()
        await work.commit()


async def test_committed_changes_are_visible_in_other_transactions(storage: Storage) -> None:
    ann = a_user()
    async with storage.unit_of_work() as work:
        await work.users.add(ann)
        await work.commit()
    assert (await storage.users.get(ann.id)).email == "ann@example.com"
    async with storage.unit_of_work() as work:
        assert (await work.users.get(ann.id)).id == ann.id
    assert await storage.event_types() == ["user.registered"]


async def test_a_transaction_without_commit_changes_nothing(storage: Storage) -> None:
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


async def test_an_exception_rolls_the_transaction_back_and_reaches_the_caller(storage: Storage) -> None:
    ann = a_user()

    async def fail() -> None:
        async with storage.unit_of_work() as work:
            await work.users.add(ann)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    with pytest.raises(UserNotFound):
        await storage.users.get(ann.id)


async def test_uncommitted_changes_are_visible_only_in_their_own_transaction(storage: Storage) -> None:
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


async def test_a_change_that_was_not_saved_is_not_committed(storage: Storage) -> None:
    ann = a_user()
    await storage.keep(ann)
    async with storage.unit_of_work() as work:
        user = await work.users.get(ann.id, for_update=True)
        user.change_access(Role.ADMIN, disabled=True, new_metadata=some_metadata)
        await work.commit()
    kept = await storage.users.get(ann.id)
    assert (kept.role, kept.disabled) == (Role.USER, False)


async def test_a_failed_commit_raises_an_error_and_stores_nothing(storage: Storage) -> None:
    ann, plan = a_user(), a_plan()
    with pytest.raises((StorageUnavailable, OutcomeUnknown)):
        await fail_to_commit(storage, ann, plan, an_active(ann, plan))
    with pytest.raises(UserNotFound):
        await storage.users.get(ann.id)
    assert await storage.event_types() == []


async def test_the_next_transaction_after_a_failed_commit_works(storage: Storage) -> None:
    with pytest.raises((StorageUnavailable, OutcomeUnknown)):
        await fail_to_commit(storage, a_user())
    ann = a_user()
    await storage.keep(ann)
    assert (await storage.users.get(ann.id)).id == ann.id


async def test_after_a_refused_write_the_transaction_cannot_be_committed(storage: Storage) -> None:
    """This holds even if the use case ignores the error."""
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


async def test_transactions_on_different_data_do_not_wait_for_each_other(storage: Storage) -> None:
    ann, bob = a_user(), a_user("bob@example.com")
    async with storage.unit_of_work() as one, storage.unit_of_work() as other:
        await one.users.add(ann)
        await other.users.add(bob)
        await other.commit()
        await one.commit()
    assert await storage.event_types() == ["user.registered", "user.registered"]
