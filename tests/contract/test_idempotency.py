from __future__ import annotations

from datetime import timedelta

import pytest

from smp.application.errors import IdempotencyKeyReused, OutcomeUnknown, RequestInProgress, StorageUnavailable
from smp.application.idempotency import DuplicateRequest, IdempotencyKey
from smp.application.outcomes import Outcome, PaymentDeclinedOutcome, PlanOutcome, SubscriptionOutcome, UserOutcome
from smp.application.queries.views import PlanView, SubscriptionView, UserView
from smp.domain.errors import EmailTaken, UserNotFound
from smp.domain.user.user import User
from tests.support.builders import (
    DAY,
    IDS,
    NOW,
    TICK,
    a_key,
    a_plan,
    a_trial,
    a_user,
    an_active,
    an_admin,
    an_outcome,
    some_terms,
)
from tests.support.storage import Storage
from tests.support.waiting import all_at_once

A_DAY = timedelta(hours=24)
ANN = a_user()
LIFE = a_plan("life", some_terms(0, "JPY", None, None, support="priority ☎", seats=5, export=True, api=False))
MONTHLY = a_plan()


async def take_effect(storage: Storage, key: IdempotencyKey, user: User, outcome: Outcome | None = None) -> None:
    """Register the user, under the key."""
    async with storage.unit_of_work(key) as work:
        await work.users.add(user)
        await work.commit(outcome or an_outcome(user))


def outcomes() -> list[Outcome]:
    """Outcomes of every type, with every kind of value."""
    trial, active = a_trial(ANN, MONTHLY), an_active(ANN, LIFE)
    views = [
        SubscriptionView.bound_to(trial, MONTHLY, MONTHLY.revision, NOW),
        SubscriptionView.bound_to(active, LIFE, LIFE.revision, NOW),
        SubscriptionView.bound_to(trial, MONTHLY, MONTHLY.revision, NOW + 100 * DAY),
    ]
    return [
        an_outcome(ANN),
        UserOutcome(UserView.of(an_admin())),
        PlanOutcome(PlanView.of(MONTHLY), created=True),
        PlanOutcome(PlanView.of(LIFE)),
        *(SubscriptionOutcome(view, created=True) for view in views),
        PaymentDeclinedOutcome(),
    ]


@pytest.mark.parametrize("number", range(len(outcomes())))
async def test_a_repeat_gets_the_outcome_of_the_first_request_and_has_no_effect(storage: Storage, number: int) -> None:
    outcome = outcomes()[number]
    await take_effect(storage, a_key(), a_user(), outcome)
    with pytest.raises(DuplicateRequest) as caught:
        await take_effect(storage, a_key(), a_user("bob@example.com"))
    assert caught.value.outcome == outcome
    assert await storage.event_types() == ["user.registered"]


async def test_a_different_request_with_a_used_key_is_refused(storage: Storage) -> None:
    await take_effect(storage, a_key(fingerprint=b"one"), a_user())
    with pytest.raises(IdempotencyKeyReused):
        await take_effect(storage, a_key(fingerprint=b"other"), a_user("bob@example.com"))


async def test_two_callers_may_use_the_same_key(storage: Storage) -> None:
    await take_effect(storage, a_key(caller="user:1", key="k"), a_user("a@example.com"))
    await take_effect(storage, a_key(caller="user:2", key="k"), a_user("b@example.com"))
    await take_effect(storage, a_key(caller="user:1", key="l"), a_user("c@example.com"))
    # The caller and the key are not simply joined to one text.
    await take_effect(storage, a_key(caller="user:12", key="k"), a_user("d@example.com"))
    await take_effect(storage, a_key(caller="user:1", key="2k"), a_user("e@example.com"))
    assert len(await storage.event_types()) == 5


async def test_a_repeat_is_refused_at_once_while_the_first_request_runs(storage: Storage) -> None:
    async with storage.unit_of_work(a_key()) as work:
        await work.users.add(a_user())
        with pytest.raises(RequestInProgress):
            await take_effect(storage, a_key(), a_user("bob@example.com"))
        with pytest.raises(RequestInProgress):
            await take_effect(storage, a_key(fingerprint=b"other"), a_user("bob@example.com"))
        await take_effect(storage, a_key(key="another key"), a_user("eve@example.com"))
        await work.commit(an_outcome())
    with pytest.raises(DuplicateRequest):
        await take_effect(storage, a_key(), a_user("bob@example.com"))


async def test_simultaneous_repeats_all_get_the_outcome(storage: Storage) -> None:
    ann = a_user()
    await take_effect(storage, a_key(), ann)
    results = await all_at_once(*(take_effect(storage, a_key(), a_user("bob@example.com")) for _ in range(20)))
    assert [type(result) for result in results] == [DuplicateRequest] * 20
    assert {result.outcome for result in results if isinstance(result, DuplicateRequest)} == {an_outcome(ann)}


async def test_a_failed_request_leaves_its_key_free(storage: Storage) -> None:
    async def fail() -> None:
        async with storage.unit_of_work(a_key()):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with storage.unit_of_work(a_key()):
        pass
    await take_effect(storage, a_key(fingerprint=b"other"), a_user())


async def test_a_refused_request_may_be_repeated_and_is_decided_again(storage: Storage) -> None:
    await take_effect(storage, a_key("another key"), a_user("ann@example.com"))
    for _ in range(2):
        with pytest.raises(EmailTaken):
            await take_effect(storage, a_key(), a_user("ann@example.com"))
    await take_effect(storage, a_key(), a_user("bob@example.com"))


@pytest.mark.parametrize(
    ("age", "is_stored"),
    [(A_DAY - TICK, True), (A_DAY, True), (A_DAY + TICK, False)],
    ids=["just before", "at", "just after"],
)
async def test_an_outcome_is_stored_for_24_hours(storage: Storage, age: timedelta, is_stored: bool) -> None:  # noqa: FBT001
    """Measured between the instants at which the requests were received; the outcome is still returned at 24 hours."""
    await take_effect(storage, a_key(at=NOW), a_user())
    later, bob = a_key(at=NOW + age), a_user("bob@example.com")
    if is_stored:
        with pytest.raises(DuplicateRequest):
            await take_effect(storage, later, bob)
    else:
        await take_effect(storage, later, bob)
        with pytest.raises(DuplicateRequest) as caught:
            await take_effect(storage, a_key(at=NOW + age + A_DAY), a_user("eve@example.com"))
        assert caught.value.outcome == an_outcome(bob)


async def test_after_24_hours_a_key_may_be_used_for_another_request(storage: Storage) -> None:
    await take_effect(storage, a_key(fingerprint=b"one", at=NOW), a_user())
    await take_effect(storage, a_key(fingerprint=b"other", at=NOW + A_DAY + TICK), a_user("bob@example.com"))


async def test_a_failed_commit_stores_neither_the_outcome_nor_the_effect(storage: Storage) -> None:
    ann = a_user()

    async def lose_connection() -> None:
        async with storage.unit_of_work(a_key()) as work:
            await work.users.add(ann)
            await storage.break_next_commit()
            await work.commit(an_outcome(ann))

    with pytest.raises((StorageUnavailable, OutcomeUnknown)):
        await lose_connection()
    with pytest.raises(UserNotFound):
        await storage.users.get(ann.id)
    await take_effect(storage, a_key(), ann)
    assert (await storage.users.get(ann.id)).id == ann.id


async def test_an_idempotent_request_cannot_be_committed_without_an_outcome(storage: Storage) -> None:
    """Without an outcome, a repeat could not be answered."""
    ann = a_user()

    async def commit_without_outcome() -> None:
        async with storage.unit_of_work(a_key()) as work:
            await work.users.add(ann)
            await work.commit()

    with pytest.raises(AssertionError):
        await commit_without_outcome()
    with pytest.raises(UserNotFound):
        await storage.users.get(ann.id)


async def test_a_request_without_a_key_may_be_repeated_with_effect(storage: Storage) -> None:
    for email in (f"{IDS.new()}@example.com", f"{IDS.new()}@example.com"):
        async with storage.unit_of_work() as work:
            await work.users.add(a_user(email))
            await work.commit(an_outcome())
    assert len(await storage.event_types()) == 2
