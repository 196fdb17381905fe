from __future__ import annotations

from dataclasses import replace

from smp.application.paging import PageRequest
from smp.application.queries.views import UserView
from smp.domain.user.user import Role
from tests.support.builders import DAY, NOW, TICK, a_session, a_user
from tests.support.paging import read_all
from tests.support.storage import Storage

ANN, BOB = a_user(), a_user("bob@example.com")


async def test_a_session_is_found_by_its_token_with_its_user(storage: Storage) -> None:
    """Expired sessions too; the caller applies the time-outs."""
    odd = replace(a_session(ANN, at=NOW - 10_000 * DAY), source="2001:db8::1", user_agent="\U0001f600" * 100)
    await storage.keep(ANN, odd)
    assert await storage.sessions.find(ANN.id, odd.token_digest) == (odd, UserView.of(ANN))


async def test_an_unknown_token_finds_nothing(storage: Storage) -> None:
    await storage.keep(ANN, a_session(ANN))
    for digest in (b"", b"\x00" * 32, a_session(ANN).token_digest[:-1]):
        assert await storage.sessions.find(ANN.id, digest) is None


async def test_a_token_with_the_id_of_another_user_finds_nothing(storage: Storage) -> None:
    session = a_session(ANN)
    await storage.keep(ANN, BOB, session)
    for stranger in (BOB, a_user("eve@example.com")):
        assert await storage.sessions.find(stranger.id, session.token_digest) is None


async def test_a_change_of_role_or_a_disabled_user_is_visible_at_once(storage: Storage) -> None:
    session = a_session(ANN)
    await storage.keep(ANN, session)
    async with storage.unit_of_work() as work:
        await work.users.save(replace(ANN, role=Role.ADMIN, disabled=True, events=()))
        await work.commit()
    found = await storage.sessions.find(ANN.id, session.token_digest)
    assert found is not None
    assert (found[1].role, found[1].disabled) == (Role.ADMIN, True)


async def test_the_use_of_a_session_is_recorded(storage: Storage) -> None:
    phone, laptop = a_session(ANN, "phone"), a_session(ANN, "laptop")
    await storage.keep(ANN, phone, laptop)
    await storage.session_activity.record_use(phone, NOW + DAY)
    assert await storage.sessions.find(ANN.id, phone.token_digest) == (
        replace(phone, last_seen_at=NOW + DAY),
        UserView.of(ANN),
    )
    assert await storage.sessions.find(ANN.id, laptop.token_digest) == (laptop, UserView.of(ANN))


async def test_an_earlier_use_that_is_recorded_late_does_not_replace_a_later_one(storage: Storage) -> None:
    session = a_session(ANN)
    await storage.keep(ANN, session)
    await storage.session_activity.record_use(session, NOW + DAY)
    await storage.session_activity.record_use(session, NOW + DAY - TICK)
    found = await storage.sessions.find(ANN.id, session.token_digest)
    assert found is not None
    assert found[0].last_seen_at == NOW + DAY


async def test_recording_the_use_of_an_ended_session_does_not_restore_it(storage: Storage) -> None:
    session = a_session(ANN)
    await storage.keep(ANN, session)
    async with storage.unit_of_work() as work:
        await work.sessions.remove(ANN.id, session.id)
        await work.commit()
    await storage.session_activity.record_use(session, NOW + DAY)
    assert await storage.sessions.find(ANN.id, session.token_digest) is None


async def test_the_sessions_of_a_user_are_listed_newest_first(storage: Storage) -> None:
    sessions = [a_session(ANN, f"token {number}", NOW + (number // 2) * DAY) for number in range(5)]
    await storage.keep(ANN, BOB, a_session(BOB, "bob's"), *sessions)
    in_order = sorted(sessions, key=lambda session: (session.created_at, session.id), reverse=True)
    for limit in (1, 2, 5, 100):
        assert await read_all(lambda page: storage.sessions.list(ANN.id, page), limit) == in_order


async def test_an_unknown_user_has_no_sessions(storage: Storage) -> None:
    page = await storage.sessions.list(ANN.id, PageRequest(10))
    assert (list(page.items), page.next) == ([], None)
