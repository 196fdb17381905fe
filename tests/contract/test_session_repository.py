from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from smp.application.paging import PageRequest
from smp.application.queries.views import UserView
from smp.domain.errors import StorageIntegrityError, UserNotFound
from smp.domain.user.session import Session
from smp.domain.user.user import Role
from tests.support.builders import IDS, TICK, a_session, a_user
from tests.support.storage import Storage

ANN, BOB = a_user(), a_user("bob@example.com")
PHONE, LAPTOP, BOBS = a_session(ANN, "phone"), a_session(ANN, "laptop"), a_session(BOB, "bob's")


@pytest.fixture(autouse=True)
async def users_with_sessions(storage: Storage) -> None:
    """Store Ann with two sessions and Bob with one."""
    await storage.keep(ANN, BOB, PHONE, LAPTOP, BOBS)


async def open_sessions(storage: Storage) -> set[UUID]:
    """Return the ids of all sessions."""
    pages = [await storage.sessions.list(user.id, PageRequest(100)) for user in (ANN, BOB)]
    return {session.id for page in pages for session in page.items}


async def test_a_session_of_an_unknown_user_is_refused(storage: Storage) -> None:
    with pytest.raises(UserNotFound):
        await storage.keep(a_session(a_user("eve@example.com"), "eve's"))


async def test_two_sessions_of_a_user_with_one_token_or_id_are_an_integrity_error(storage: Storage) -> None:
    with pytest.raises(StorageIntegrityError):
        await storage.keep(a_session(ANN, "phone"))
    with pytest.raises(StorageIntegrityError):
        await storage.keep(replace(a_session(ANN, "another"), id=PHONE.id))


async def test_a_session_can_be_ended_once(storage: Storage) -> None:
    async with storage.unit_of_work() as work:
        assert await work.sessions.remove(ANN.id, PHONE.id) is True
        assert await work.sessions.remove(ANN.id, PHONE.id) is False
        await work.commit()
    assert await open_sessions(storage) == {LAPTOP.id, BOBS.id}


async def test_a_user_cannot_end_the_session_of_another(storage: Storage) -> None:
    async with storage.unit_of_work() as work:
        assert await work.sessions.remove(ANN.id, BOBS.id) is False
        assert await work.sessions.remove(ANN.id, IDS.new()) is False
        await work.commit()
    assert await open_sessions(storage) == {PHONE.id, LAPTOP.id, BOBS.id}


async def test_a_session_is_ended_by_its_owners_id_and_token(storage: Storage) -> None:
    async with storage.unit_of_work() as work:
        await work.sessions.remove_by_digest(BOB.id, BOBS.token_digest)
        await work.sessions.remove_by_digest(BOB.id, PHONE.token_digest)
        await work.sessions.remove_by_digest(ANN.id, b"\x00" * 32)
        await work.commit()
    assert await open_sessions(storage) == {PHONE.id, LAPTOP.id}


async def test_all_sessions_of_one_user_can_be_ended(storage: Storage) -> None:
    async with storage.unit_of_work() as work:
        await work.sessions.remove_all(ANN.id)
        await work.commit()
    assert await open_sessions(storage) == {BOBS.id}


async def test_all_sessions_of_one_user_but_the_present_one_can_be_ended(storage: Storage) -> None:
    async with storage.unit_of_work() as work:
        await work.sessions.remove_all(ANN.id, except_=PHONE.id)
        await work.sessions.remove_all(BOB.id, except_=PHONE.id)
        await work.commit()
    assert await open_sessions(storage) == {PHONE.id}


async def test_a_session_ends_only_with_the_commit(storage: Storage) -> None:
    async with storage.unit_of_work() as work:
        await work.sessions.remove(ANN.id, PHONE.id)
        await work.sessions.remove_by_digest(ANN.id, LAPTOP.token_digest)
        await work.sessions.remove_all(BOB.id)
    assert await open_sessions(storage) == {PHONE.id, LAPTOP.id, BOBS.id}


async def test_all_but_the_newest_sessions_of_a_user_can_be_ended(storage: Storage) -> None:
    older = replace(a_session(ANN, "older"), created_at=PHONE.created_at - TICK)
    await storage.keep(older)
    async with storage.unit_of_work() as work:
        assert list(await work.sessions.remove_oldest(ANN.id, keep=2)) == [older.id]
        assert list(await work.sessions.remove_oldest(ANN.id, keep=2)) == []
        await work.commit()
    assert await open_sessions(storage) == {PHONE.id, LAPTOP.id, BOBS.id}


async def test_the_token_of_a_session_is_replaced_once_for_a_new_role(storage: Storage) -> None:
    """A session of version 0.1, of which the role is not known, keeps its token, and so does another user's."""
    tablet = replace(a_session(ANN, "tablet"), token_role=Role.USER)
    await storage.keep(tablet)

    async def renew(user_id: UUID, session_id: UUID, digest: bytes, role: Role) -> Session | None:
        async with storage.unit_of_work() as work:
            renewed = await work.sessions.renew_token(user_id, session_id, digest, role)
            await work.commit()
        return renewed

    renewed = replace(tablet, token_digest=b"n" * 32, token_role=Role.ADMIN)
    assert await renew(ANN.id, tablet.id, b"x" * 32, Role.USER) is None
    assert await renew(ANN.id, PHONE.id, b"x" * 32, Role.ADMIN) is None
    assert await renew(BOB.id, tablet.id, b"x" * 32, Role.ADMIN) is None
    assert await renew(ANN.id, IDS.new(), b"x" * 32, Role.ADMIN) is None
    assert await renew(ANN.id, tablet.id, renewed.token_digest, Role.ADMIN) == renewed
    assert await renew(ANN.id, tablet.id, b"x" * 32, Role.ADMIN) is None
    assert await storage.sessions.find(ANN.id, tablet.token_digest) is None
    assert await storage.sessions.find(ANN.id, renewed.token_digest) == (renewed, UserView.of(ANN))
    assert renewed in (await storage.sessions.list(ANN.id, PageRequest(100))).items
