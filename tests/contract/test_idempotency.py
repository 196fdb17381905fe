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


async def do(storage: Storage, key: IdempotencyKey, user: User, outcome: Outcome | None = None) -> None:
    """Take effect once: register the user."""
    async with storage.unit_of_work(key) as work:
        await work.users.add(user)
        await work.commit(outcome or an_outcome(user))


def outcomes() -> list[Outcome]:
    """One of every shape, with every kind of value."""
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
async def test_a_repeat_gets_the_outcome_of_the_first_request_again(storage: Storage, number: int) -> None:
    """Of every kind of outcome each value comes back, and there is no second effect."""
    outcome = outcomes()[number]
    await do(storage, a_key(), a_user(), outcome)
    with pytest.raises(DuplicateRequest) as caught:
        await do(storage, a_key(), a_user("bob@example.com"))
    assert caught.value.outcome == outcome
    assert await storage.event_types() == ["user.registered"]


async def test_another_request_under_the_same_key_is_refused(storage: Storage) -> None:
    """The fingerprint is another one."""
    await do(storage, a_key(fingerprint=b"one"), a_user())
    with pytest.raises(IdempotencyKeyReused):
        await do(storage, a_key(fingerprint=b"other"), a_user("bob@example.com"))


async def test_keys_belong_to_their_callers(storage: Storage) -> None:
    """Two callers may use the same key, and one caller many."""
    await do(storage, a_key(caller="user:1", key="k"), a_user("a@example.com"))
    await do(storage, a_key(caller="user:2", key="k"), a_user("b@example.com"))
    await do(storage, a_key(caller="user:1", key="l"), a_user("c@example.com"))
    # Nor do caller and key run into one another.
    await do(storage, a_key(caller="user:12", key="k"), a_user("d@example.com"))
    await do(storage, a_key(caller="user:1", key="2k"), a_user("e@example.com"))
    assert len(await storage.event_types()) == 5


async def test_a_repeat_is_refused_while_the_first_request_still_runs(storage: Storage) -> None:
    """It does not wait for the other transaction, whatever the fingerprint."""
    async with storage.unit_of_work(a_key()) as work:
        await work.users.add(a_user())
        with pytest.raises(RequestInProgress):
            await do(storage, a_key(), a_user("bob@example.com"))
        with pytest.raises(RequestInProgress):
            await do(storage, a_key(fingerprint=b"other"), a_user("bob@example.com"))
        await do(storage, a_key(key="another key"), a_user("eve@example.com"))
        await work.commit(an_outcome())
    with pytest.raises(DuplicateRequest):
        await do(storage, a_key(), a_user("bob@example.com"))


async def test_repeats_that_arrive_together_all_get_the_outcome(storage: Storage) -> None:
    """Reading a stored outcome holds nothing that another repeat would have to wait for."""
    ann = a_user()
    await do(storage, a_key(), ann)
    results = await all_at_once(*(do(storage, a_key(), a_user("bob@example.com")) for _ in range(20)))
    assert [type(result) for result in results] == [DuplicateRequest] * 20
    assert {result.outcome for result in results if isinstance(result, DuplicateRequest)} == {an_outcome(ann)}


async def test_a_request_that_failed_can_be_repeated(storage: Storage) -> None:
    """Left without commit, the key is free again, for another request even."""

    async def stumble() -> None:
        async with storage.unit_of_work(a_key()):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await stumble()
    async with storage.unit_of_work(a_key()):
        pass
    await do(storage, a_key(fingerprint=b"other"), a_user())


async def test_a_refused_request_is_decided_again(storage: Storage) -> None:
    """A refusal changed nothing and is not stored: the repeat finds what is there now."""
    await do(storage, a_key("another key"), a_user("ann@example.com"))
    for _ in range(2):
        with pytest.raises(EmailTaken):
            await do(storage, a_key(), a_user("ann@example.com"))
    await do(storage, a_key(), a_user("bob@example.com"))


@pytest.mark.parametrize(
    ("age", "is_stored"),
    [(A_DAY - TICK, True), (A_DAY, True), (A_DAY + TICK, False)],
    ids=["just before", "at", "just after"],
)
async def test_an_outcome_is_stored_for_a_day(storage: Storage, age: timedelta, is_stored: bool) -> None:  # noqa: FBT001
    """By the instants at which the requests were received; at 24 hours exactly it is still given."""
    await do(storage, a_key(at=NOW), a_user())
    later, bob = a_key(at=NOW + age), a_user("bob@example.com")
    if is_stored:
        with pytest.raises(DuplicateRequest):
            await do(storage, later, bob)
    else:
        await do(storage, later, bob)
        with pytest.raises(DuplicateRequest) as caught:
            await do(storage, a_key(at=NOW + age + A_DAY), a_user("eve@example.com"))
        assert caught.value.outcome == an_outcome(bob)


async def test_an_expired_key_may_be_used_for_another_request(storage: Storage) -> None:
    """After a day the key is free."""
    await do(storage, a_key(fingerprint=b"one", at=NOW), a_user())
    await do(storage, a_key(fingerprint=b"other", at=NOW + A_DAY + TICK), a_user("bob@example.com"))


async def test_neither_outcome_nor_effect_is_stored_where_the_commit_fails(storage: Storage) -> None:
    """Both or neither: after a failed commit a repeat takes effect."""
    ann = a_user()

    async def lose() -> None:
        async with storage.unit_of_work(a_key()) as work:
            await work.users.add(ann)
            await storage.break_next_commit()
            await work.commit(an_outcome(ann))

    with pytest.raises((StorageUnavailable, OutcomeUnknown)):
        await lose()
    with pytest.raises(UserNotFound):
        await storage.users.get(ann.id)
    await do(storage, a_key(), ann)
    assert (await storage.users.get(ann.id)).id == ann.id


async def test_an_idempotent_request_cannot_be_committed_without_an_outcome(storage: Storage) -> None:
    """A repeat could not be answered."""
    ann = a_user()

    async def forget() -> None:
        async with storage.unit_of_work(a_key()) as work:
            await work.users.add(ann)
            await work.commit()

    with pytest.raises(AssertionError):
        await forget()
    with pytest.raises(UserNotFound):
        await storage.users.get(ann.id)


async def test_without_a_key_nothing_is_stored(storage: Storage) -> None:
    """The same may be done any number of times."""
    for email in (f"{IDS.new()}@example.com", f"{IDS.new()}@example.com"):
        async with storage.unit_of_work() as work:
            await work.users.add(a_user(email))
            await work.commit(an_outcome())
    assert len(await storage.event_types()) == 2
