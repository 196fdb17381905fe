from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from smp.domain.errors import EmailTaken, StaleVersion, StorageIntegrityError, UserNotFound
from smp.domain.user.user import Email, Role, User
from tests.support.builders import IDS, PASSWORD, a_user, an_admin, some_metadata
from tests.support.storage import Storage
from tests.support.waiting import made_to_wait


async def fetch(storage: Storage, user_id: UUID) -> User:
    """The user as a new transaction finds it."""
    async with storage.unit_of_work() as work:
        return await work.users.get(user_id)


async def disable(storage: Storage, user_id: UUID) -> None:
    """Disable the user in a transaction of its own."""
    async with storage.unit_of_work() as work:
        user = await work.users.get(user_id, for_change=True)
        await work.users.save(user.change_access(user.role, disabled=True, new_metadata=some_metadata))
        await work.commit()


async def test_a_user_comes_back_as_it_was(storage: Storage) -> None:
    """Every field, to the microsecond; only the events are not carried along."""
    for user in (a_user("Ann.O'Hara+x@Exämple.com", password_hash=PASSWORD), an_admin()):
        await storage.keep(user)
        assert await fetch(storage, user.id) == replace(user, events=())


async def test_an_unknown_user_is_not_found(storage: Storage) -> None:
    """By id it is an error; by email it is a question."""
    async with storage.unit_of_work() as work:
        with pytest.raises(UserNotFound):
            await work.users.get(IDS.new())
        with pytest.raises(UserNotFound):
            await work.users.get(IDS.new(), for_change=True)
        assert await work.users.find_by_email("nobody@example.com") is None


async def test_a_user_is_found_by_the_key_of_its_email(storage: Storage) -> None:
    """The key has no case."""
    ann = a_user("Ann@Example.COM")
    await storage.keep(ann)
    async with storage.unit_of_work() as work:
        found = await work.users.find_by_email("ann@example.com")
        assert found is not None
        assert found.id == ann.id
        assert await work.users.find_by_email("Ann@Example.COM") is None
        assert await work.users.find_by_email("ann@example.co") is None


async def test_an_email_is_unique_without_regard_to_case(storage: Storage) -> None:
    """The storage itself refuses the second one, also within one transaction."""
    await storage.keep(a_user("ann@example.com"))
    with pytest.raises(EmailTaken):
        await storage.keep(a_user("ANN@Example.com"))
    with pytest.raises(EmailTaken):
        await storage.keep(a_user("bob@example.com"), a_user("bob@example.com"))
    assert await storage.event_types() == ["user.registered"]


async def test_an_id_is_unique(storage: Storage) -> None:
    """No caller can ask for this: it is a defect, not a conflict."""
    ann = a_user()
    await storage.keep(ann)
    with pytest.raises(StorageIntegrityError):
        await storage.keep(replace(ann, email=Email("bob@example.com"), events=()))


async def test_saving_keeps_password_role_and_switch_alone(storage: Storage) -> None:
    """Email and birth of an account never change."""
    ann = a_user()
    await storage.keep(ann)
    changed = replace(
        replace(ann, events=())
        .change_password("another hash", some_metadata())
        .change_access(Role.ADMIN, disabled=True, new_metadata=some_metadata),
        email=Email("eve@example.com"),
    )
    async with storage.unit_of_work() as work:
        await work.users.save(changed)
        await work.commit()
    assert await fetch(storage, ann.id) == replace(changed, email=ann.email, events=())
    assert await storage.event_types() == [
        "user.registered",
        "user.password_changed",
        "user.role_changed",
        "user.disabled",
    ]


async def test_a_user_that_was_changed_since_cannot_be_saved(storage: Storage) -> None:
    ann = a_user()
    await storage.keep(ann)
    await disable(storage, ann.id)
    async with storage.unit_of_work() as work:
        with pytest.raises(StaleVersion):
            await work.users.save(replace(ann, events=()).change_password("another hash", some_metadata()))


async def test_an_unknown_user_cannot_be_saved(storage: Storage) -> None:
    """Saving never makes an account."""
    async with storage.unit_of_work() as work:
        with pytest.raises(StaleVersion):
            await work.users.save(a_user())


async def test_enabled_admins_are_counted(storage: Storage) -> None:
    """Disabled ones and users do not count; changes of one's own do."""
    await storage.keep(a_user(), an_admin(), an_admin("b@example.com"))
    disabled = replace(an_admin("c@example.com"), disabled=True)
    async with storage.unit_of_work() as work:
        assert await work.users.lock_enabled_admins() == 2
        await work.users.add(disabled)
        assert await work.users.lock_enabled_admins() == 2
        await work.users.add(an_admin("d@example.com"))
        assert await work.users.lock_enabled_admins() == 3


async def test_a_user_that_is_to_be_changed_is_protected(storage: Storage) -> None:
    """Another who wants to change it waits until the transaction ends, and then sees what it did."""
    ann = a_user()
    await storage.keep(ann)
    async with storage.unit_of_work() as work:
        user = await work.users.get(ann.id, for_change=True)
        async with made_to_wait(disable(storage, ann.id)):
            await work.users.save(user.change_password("another hash", some_metadata()))
            await work.commit()
    kept = await fetch(storage, ann.id)
    assert (kept.password_hash, kept.disabled) == ("another hash", True)


async def test_the_set_of_enabled_admins_is_protected(storage: Storage) -> None:
    """Another who counts them waits, even where there is none yet to be locked."""

    async def count() -> None:
        async with storage.unit_of_work() as other:
            assert await other.users.lock_enabled_admins() == 1

    async with storage.unit_of_work() as work:
        assert await work.users.lock_enabled_admins() == 0
        async with made_to_wait(count()):
            await work.users.add(an_admin())
            await work.commit()


async def test_no_admin_comes_or_goes_while_they_are_counted(storage: Storage) -> None:
    """A new one waits, and so does who disables one; a new user does not."""
    root = an_admin()
    await storage.keep(root)
    for change in (storage.keep(an_admin("new@example.com")), disable(storage, root.id)):
        async with storage.unit_of_work() as work:
            await work.users.lock_enabled_admins()
            await storage.keep(a_user(f"user-{IDS.new()}@example.com"))
            async with made_to_wait(change):
                await work.commit()
    async with storage.unit_of_work() as work:
        assert await work.users.lock_enabled_admins() == 1
