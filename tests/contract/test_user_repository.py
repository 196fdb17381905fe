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
    """Return the user as a new transaction reads it."""
    async with storage.unit_of_work() as work:
        return await work.users.get(user_id)


async def disable(storage: Storage, user_id: UUID) -> None:
    """Disable the user in a separate transaction."""
    async with storage.unit_of_work() as work:
        user = await work.users.get(user_id, for_update=True)
        await work.users.save(user.change_access(user.role, disabled=True, new_metadata=some_metadata))
        await work.commit()


async def test_a_user_is_read_as_it_was_stored(storage: Storage) -> None:
    for user in (a_user("Ann.O'Hara+x@Exämple.com", password_hash=PASSWORD), an_admin()):
        await storage.keep(user)
        assert await fetch(storage, user.id) == replace(user, events=())


async def test_an_unknown_user_is_not_found(storage: Storage) -> None:
    async with storage.unit_of_work() as work:
        with pytest.raises(UserNotFound):
            await work.users.get(IDS.new())
        with pytest.raises(UserNotFound):
            await work.users.get(IDS.new(), for_update=True)
        assert await work.users.find_by_email("nobody@example.com") is None


async def test_a_user_is_found_by_email_ignoring_case(storage: Storage) -> None:
    ann = a_user("Ann@Example.COM")
    await storage.keep(ann)
    async with storage.unit_of_work() as work:
        found = await work.users.find_by_email("ann@example.com")
        assert found is not None
        assert found.id == ann.id
        assert await work.users.find_by_email("Ann@Example.COM") is None
        assert await work.users.find_by_email("ann@example.co") is None


async def test_two_users_cannot_have_the_same_email_ignoring_case(storage: Storage) -> None:
    await storage.keep(a_user("ann@example.com"))
    with pytest.raises(EmailTaken):
        await storage.keep(a_user("ANN@Example.com"))
    with pytest.raises(EmailTaken):
        await storage.keep(a_user("bob@example.com"), a_user("bob@example.com"))
    assert await storage.event_types() == ["user.registered"]


async def test_a_second_user_with_the_same_id_is_an_integrity_error(storage: Storage) -> None:
    """No caller can cause this, so it is a defect and not a conflict."""
    ann = a_user()
    await storage.keep(ann)
    with pytest.raises(StorageIntegrityError):
        await storage.keep(replace(ann, email=Email("bob@example.com"), events=()))


async def test_a_save_changes_only_the_password_the_role_and_the_disabled_flag(storage: Storage) -> None:
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


async def test_the_second_of_two_changes_of_the_same_version_is_refused(storage: Storage) -> None:
    ann = a_user()
    await storage.keep(ann)
    await disable(storage, ann.id)
    async with storage.unit_of_work() as work:
        with pytest.raises(StaleVersion):
            await work.users.save(replace(ann, events=()).change_password("another hash", some_metadata()))


async def test_saving_never_creates_a_user(storage: Storage) -> None:
    async with storage.unit_of_work() as work:
        with pytest.raises(StaleVersion):
            await work.users.save(a_user())


async def test_only_enabled_administrators_are_counted(storage: Storage) -> None:
    await storage.keep(a_user(), an_admin(), an_admin("b@example.com"))
    disabled = replace(an_admin("c@example.com"), disabled=True)
    async with storage.unit_of_work() as work:
        assert await work.users.lock_enabled_admins() == 2
        await work.users.add(disabled)
        assert await work.users.lock_enabled_admins() == 2
        await work.users.add(an_admin("d@example.com"))
        assert await work.users.lock_enabled_admins() == 3


async def test_a_second_change_of_a_user_waits_for_the_first_and_sees_it(storage: Storage) -> None:
    ann = a_user()
    await storage.keep(ann)
    async with storage.unit_of_work() as work:
        user = await work.users.get(ann.id, for_update=True)
        async with made_to_wait(disable(storage, ann.id)):
            await work.users.save(user.change_password("another hash", some_metadata()))
            await work.commit()
    kept = await fetch(storage, ann.id)
    assert (kept.password_hash, kept.disabled) == ("another hash", True)


async def test_a_second_count_of_administrators_waits_for_the_first(storage: Storage) -> None:
    """Also while there is no administrator."""

    async def count() -> None:
        async with storage.unit_of_work() as other:
            assert await other.users.lock_enabled_admins() == 1

    async with storage.unit_of_work() as work:
        assert await work.users.lock_enabled_admins() == 0
        async with made_to_wait(count()):
            await work.users.add(an_admin())
            await work.commit()


async def test_no_administrator_is_added_or_disabled_while_they_are_counted(storage: Storage) -> None:
    """New users do not wait."""
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
