from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest

from smp.application.paging import PageRequest
from smp.domain.errors import StorageIntegrityError, UserNotFound
from tests.support.builders import IDS, a_session, a_user
from tests.support.storage import Storage

ANN, BOB = a_user(), a_user("bob@example.com")
PHONE, LAPTOP, BOBS = a_session(ANN, "phone"), a_session(ANN, "laptop"), a_session(BOB, "bob's")


@pytest.fixture(autouse=True)
async def people(storage: Storage) -> None:
    """Ann with two sessions, Bob with one."""
    await storage.keep(ANN, BOB, PHONE, LAPTOP, BOBS)


async def open_sessions(storage: Storage) -> set[UUID]:
    """The ids of all sessions."""
    pages = [await storage.sessions.list(user.id, PageRequest(100)) for user in (ANN, BOB)]
    return {session.id for page in pages for session in page.items}


async def test_a_session_belongs_to_a_known_user(storage: Storage) -> None:
    """A session of nobody is refused."""
    with pytest.raises(UserNotFound):
        await storage.keep(a_session(a_user("eve@example.com"), "eve's"))


async def test_a_token_is_of_one_session(storage: Storage) -> None:
    """Two of a user's sessions with one token, or one id, are a defect."""
    with pytest.raises(StorageIntegrityError):
        await storage.keep(a_session(ANN, "phone"))
    with pytest.raises(StorageIntegrityError):
        await storage.keep(replace(a_session(ANN, "another"), id=PHONE.id))


async def test_one_session_is_ended(storage: Storage) -> None:
    """Once; then there is none."""
    async with storage.unit_of_work() as work:
        assert await work.sessions.remove(ANN.id, PHONE.id) is True
        assert await work.sessions.remove(ANN.id, PHONE.id) is False
        await work.commit()
    assert await open_sessions(storage) == {LAPTOP.id, BOBS.id}


async def test_the_sessions_of_others_cannot_be_ended(storage: Storage) -> None:
    """Neither somebody else's nor one that does not exist."""
    async with storage.unit_of_work() as work:
        assert await work.sessions.remove(ANN.id, BOBS.id) is False
        assert await work.sessions.remove(ANN.id, IDS.new()) is False
        await work.commit()
    assert await open_sessions(storage) == {PHONE.id, LAPTOP.id, BOBS.id}


async def test_a_session_is_ended_by_its_token(storage: Storage) -> None:
    """An unknown one, or one under another's name, ends nothing."""
    async with storage.unit_of_work() as work:
        await work.sessions.remove_by_digest(BOB.id, BOBS.token_digest)
        await work.sessions.remove_by_digest(BOB.id, PHONE.token_digest)
        await work.sessions.remove_by_digest(ANN.id, b"\x00" * 32)
        await work.commit()
    assert await open_sessions(storage) == {PHONE.id, LAPTOP.id}


async def test_all_sessions_of_a_user_are_ended(storage: Storage) -> None:
    """And nobody else's."""
    async with storage.unit_of_work() as work:
        await work.sessions.remove_all(ANN.id)
        await work.commit()
    assert await open_sessions(storage) == {BOBS.id}


async def test_all_sessions_but_one_are_ended(storage: Storage) -> None:
    """The one that asks goes on, where it is the user's own."""
    async with storage.unit_of_work() as work:
        await work.sessions.remove_all(ANN.id, but=PHONE.id)
        await work.sessions.remove_all(BOB.id, but=PHONE.id)
        await work.commit()
    assert await open_sessions(storage) == {PHONE.id}


async def test_nothing_is_ended_without_commit(storage: Storage) -> None:
    """As with every other change."""
    async with storage.unit_of_work() as work:
        await work.sessions.remove(ANN.id, PHONE.id)
        await work.sessions.remove_by_digest(ANN.id, LAPTOP.token_digest)
        await work.sessions.remove_all(BOB.id)
    assert await open_sessions(storage) == {PHONE.id, LAPTOP.id, BOBS.id}
