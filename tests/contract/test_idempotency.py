from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from smp.application.errors import IdempotencyKeyReused, OutcomeUnknown, RequestInProgress, StorageUnavailable
from smp.application.idempotency import DuplicateRequest, IdempotentRequest, StoredResponse
from smp.domain.errors import UserNotFound
from smp.domain.user.user import User
from tests.support.builders import NOW, TICK, a_request, a_user
from tests.support.storage import Storage

A_DAY = timedelta(hours=24)


async def do(storage: Storage, request: IdempotentRequest, user: User, result: object = "done") -> None:
    """Take effect once: register the user."""
    async with storage.unit_of_work(request) as work:
        await work.users.add(user)
        await work.commit(result)


async def test_a_repeat_gets_the_first_answer_again(storage: Storage) -> None:
    """Byte for byte, with status and headers, and without a second effect."""
    request = replace(
        a_request(),
        render=lambda result: StoredResponse(
            201, {"Location": "/v1/x", "ETag": '"1"'}, b"\x00\xff" + str(result).encode()
        ),
    )
    await do(storage, request, a_user(), "first")
    with pytest.raises(DuplicateRequest) as caught:
        await do(storage, request, a_user("bob@example.com"), "second")
    assert caught.value.answer == StoredResponse(201, {"Location": "/v1/x", "ETag": '"1"'}, b"\x00\xfffirst")
    assert await storage.event_types() == ["user.registered"]


async def test_an_answer_may_be_empty(storage: Storage) -> None:
    """No headers and no body are an answer, too."""
    request = replace(a_request(), render=lambda _: StoredResponse(204, {}, b""))
    await do(storage, request, a_user())
    with pytest.raises(DuplicateRequest) as caught:
        await do(storage, request, a_user("bob@example.com"))
    assert caught.value.answer == StoredResponse(204, {}, b"")


async def test_another_request_under_the_same_key_is_refused(storage: Storage) -> None:
    """The fingerprint tells them apart."""
    await do(storage, a_request(fingerprint=b"one"), a_user())
    with pytest.raises(IdempotencyKeyReused):
        await do(storage, a_request(fingerprint=b"other"), a_user("bob@example.com"))


async def test_keys_belong_to_their_callers(storage: Storage) -> None:
    """Two callers may use the same key, and one caller many."""
    await do(storage, a_request(caller="user:1", key="k"), a_user("a@example.com"))
    await do(storage, a_request(caller="user:2", key="k"), a_user("b@example.com"))
    await do(storage, a_request(caller="user:1", key="l"), a_user("c@example.com"))
    # Nor do caller and key run into one another.
    await do(storage, a_request(caller="user:12", key="k"), a_user("d@example.com"))
    await do(storage, a_request(caller="user:1", key="2k"), a_user("e@example.com"))
    assert len(await storage.event_types()) == 5


async def test_while_the_first_runs_a_repeat_is_told_so(storage: Storage) -> None:
    """It does not wait for the other transaction, whatever the fingerprint."""
    async with storage.unit_of_work(a_request()) as work:
        await work.users.add(a_user())
        with pytest.raises(RequestInProgress):
            await do(storage, a_request(), a_user("bob@example.com"))
        with pytest.raises(RequestInProgress):
            await do(storage, a_request(fingerprint=b"other"), a_user("bob@example.com"))
        await do(storage, a_request(key="another key"), a_user("eve@example.com"))
        await work.commit("done")
    with pytest.raises(DuplicateRequest):
        await do(storage, a_request(), a_user("bob@example.com"))


async def test_a_request_that_failed_can_be_repeated(storage: Storage) -> None:
    """Left without commit, the key is free again, for another request even."""

    async def stumble() -> None:
        async with storage.unit_of_work(a_request()):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await stumble()
    async with storage.unit_of_work(a_request()):
        pass
    await do(storage, a_request(fingerprint=b"other"), a_user())


@pytest.mark.parametrize(
    ("age", "is_kept"),
    [(A_DAY - TICK, True), (A_DAY, True), (A_DAY + TICK, False)],
    ids=["just before", "at", "just after"],
)
async def test_an_answer_is_kept_for_a_day(storage: Storage, age: timedelta, is_kept: bool) -> None:  # noqa: FBT001
    """By the instants at which the requests came in: at 24 hours exactly it is still given, then it is as if never."""
    await do(storage, a_request(at=NOW), a_user(), "first")
    later = a_request(at=NOW + age)
    if is_kept:
        with pytest.raises(DuplicateRequest):
            await do(storage, later, a_user("bob@example.com"))
    else:
        await do(storage, later, a_user("bob@example.com"), "second")
        with pytest.raises(DuplicateRequest) as caught:
            await do(storage, a_request(at=NOW + age + A_DAY), a_user("eve@example.com"))
        assert caught.value.answer.body == b"'second'"


async def test_an_outdated_key_may_be_used_for_another_request(storage: Storage) -> None:
    """After a day the key is free."""
    await do(storage, a_request(fingerprint=b"one", at=NOW), a_user())
    await do(storage, a_request(fingerprint=b"other", at=NOW + A_DAY + TICK), a_user("bob@example.com"))


async def test_neither_answer_nor_effect_where_the_commit_fails(storage: Storage) -> None:
    """Both or neither: after a failed commit a repeat takes effect."""
    ann = a_user()

    async def lose() -> None:
        async with storage.unit_of_work(a_request()) as work:
            await work.users.add(ann)
            await storage.break_next_commit()
            await work.commit("done")

    with pytest.raises((StorageUnavailable, OutcomeUnknown)):
        await lose()
    with pytest.raises(UserNotFound):
        await storage.users.get(ann.id)
    await do(storage, a_request(), ann)
    assert (await storage.users.get(ann.id)).id == ann.id


async def test_neither_answer_nor_effect_where_the_answer_cannot_be_made(storage: Storage) -> None:
    """Rendering is part of the transaction."""

    def cannot(_: object) -> StoredResponse:
        raise ZeroDivisionError

    ann = a_user()
    with pytest.raises(ZeroDivisionError):
        await do(storage, replace(a_request(), render=cannot), ann)
    with pytest.raises(UserNotFound):
        await storage.users.get(ann.id)
    await do(storage, a_request(), ann)


async def test_without_a_request_nothing_is_kept(storage: Storage) -> None:
    """A transaction of nobody's request can be done any number of times."""
    for email in ("a@example.com", "b@example.com"):
        async with storage.unit_of_work() as work:
            await work.users.add(a_user(email))
            await work.commit("done")
    assert len(await storage.event_types()) == 2
