from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

import pytest

from smp.application.commands.activate_subscription import ActivateSubscription
from smp.application.paging import PageRequest
from smp.application.queries.check_access import CheckAccess
from smp.domain.errors import (
    LiveSubscriptionExists,
    StaleVersion,
    StorageIntegrityError,
    TrialAlreadyUsed,
    UserNotFound,
)
from smp.domain.subscription.subscription import Subscription
from tests.support.builders import (
    ADMIN_CALLER,
    DAY,
    IDS,
    NOW,
    TICK,
    a_plan,
    a_trial,
    a_user,
    an_active,
    some_metadata,
    some_terms,
)
from tests.support.storage import Storage
from tests.support.use_cases import UseCases
from tests.support.waiting import made_to_wait

ANN, BOB = a_user(), a_user("bob@example.com")
PRO, MAX = a_plan("pro"), a_plan("max", some_terms(period=None))


@pytest.fixture(autouse=True)
async def users_and_plans(storage: Storage) -> None:
    """Store two users and two plans; the second plan is for life."""
    await storage.keep(ANN, BOB, PRO, MAX)


async def fetch(storage: Storage, user_id: UUID = ANN.id) -> Subscription | None:
    """Return the subscription whose stored status is live."""
    async with storage.unit_of_work() as work:
        return await work.subscriptions.find_open_for_update(user_id)


async def save(storage: Storage, *subscriptions: Subscription) -> None:
    """Save one change, or the ends of many, in one transaction."""
    async with storage.unit_of_work() as work:
        if len(subscriptions) == 1:
            await work.subscriptions.save(subscriptions[0])
        else:
            await work.subscriptions.save_ended(subscriptions)
        await work.commit()


def as_stored(subscription: Subscription) -> Subscription:
    """Return the subscription as it is read from the storage."""
    return replace(subscription, events=())


async def types(storage: Storage, subscription: Subscription) -> list[str]:
    """Return the types of the subscription's events."""
    page = await storage.subscriptions.events(subscription.id, PageRequest(100))
    return [event.type.removeprefix("subscription.") for event in page.items]


async def test_a_subscription_is_read_as_it_was_stored(storage: Storage) -> None:
    """In every live form: trial, paid, for life, converted, renewed, with a scheduled cancellation."""
    forms = [
        a_trial(ANN, PRO),
        an_active(ANN, PRO),
        an_active(ANN, MAX),
        as_stored(a_trial(ANN, PRO)).convert(MAX.revision, some_metadata(NOW + DAY)),
        as_stored(an_active(ANN, PRO)).renew(PRO.revision, some_metadata(NOW + DAY)),
        as_stored(an_active(ANN, PRO)).cancel_at_period_end(some_metadata(NOW + DAY)),
    ]
    for form in forms:
        async with storage.unit_of_work() as work:
            await work.subscriptions.add(form)
            assert await work.subscriptions.find_open_for_update(ANN.id) == as_stored(form)
    await storage.keep(forms[-1])
    assert await fetch(storage) == as_stored(forms[-1])


async def test_a_user_without_a_live_subscription_has_no_open_one(storage: Storage) -> None:
    assert await fetch(storage, IDS.new()) is None
    assert await fetch(storage) is None
    await storage.keep(as_stored(an_active(ANN, PRO)).cancel_now(some_metadata(NOW + DAY)))
    assert await fetch(storage) is None


async def test_an_overdue_subscription_stays_open_until_its_end_is_written(storage: Storage) -> None:
    trial = a_trial(ANN, PRO)
    await storage.keep(trial)
    assert await fetch(storage) == as_stored(trial)
    settled = as_stored(trial).apply_expiry(some_metadata(NOW + 14 * DAY))
    await save(storage, settled)
    assert await fetch(storage) is None
    assert await types(storage, trial) == ["trial_started", "expired"]


async def test_every_change_is_stored_with_its_event(storage: Storage) -> None:
    """Several changes between two saves are several events."""
    trial = a_trial(ANN, PRO)
    await storage.keep(trial)
    at = NOW + DAY
    active = as_stored(trial).convert(PRO.revision, some_metadata(at)).renew(PRO.revision, some_metadata(at))
    await save(storage, active)
    assert await fetch(storage) == as_stored(active)
    leaving = (
        as_stored(active)
        .cancel_at_period_end(some_metadata(at))
        .resume(some_metadata(at))
        .cancel_at_period_end(some_metadata(at))
    )
    await save(storage, leaving)
    assert await fetch(storage) == as_stored(leaving)
    await save(storage, as_stored(leaving).cancel_now(some_metadata(at)))
    assert await fetch(storage) is None
    assert await types(storage, trial) == [
        "trial_started",
        "converted",
        "renewed",
        "cancel_scheduled",
        "resumed",
        "cancel_scheduled",
        "cancelled",
    ]


@pytest.mark.parametrize("first", [a_trial(ANN, PRO), an_active(ANN, PRO), an_active(ANN, MAX)])
@pytest.mark.parametrize("second", [a_trial(ANN, MAX), an_active(ANN, PRO)])
async def test_a_user_has_at_most_one_live_subscription(
    storage: Storage, first: Subscription, second: Subscription
) -> None:
    await storage.keep(first)
    with pytest.raises(LiveSubscriptionExists):
        await storage.keep(second)
    await storage.keep(an_active(BOB, PRO))
    assert await fetch(storage) == as_stored(first)
    assert await storage.subscriptions.get(second.id, NOW) is None


async def test_an_overdue_subscription_must_be_ended_before_a_new_one_is_added(storage: Storage) -> None:
    """Both can be done in one transaction."""
    old, at = a_trial(ANN, PRO), NOW + 14 * DAY
    await storage.keep(old)
    new = an_active(ANN, PRO, at)
    with pytest.raises(LiveSubscriptionExists):
        await storage.keep(new)
    async with storage.unit_of_work() as work:
        found = await work.subscriptions.find_open_for_update(ANN.id)
        assert found is not None
        await work.subscriptions.save(found.apply_expiry(some_metadata(at)))
        await work.subscriptions.add(new)
        await work.commit()
    assert await fetch(storage) == as_stored(new)


async def test_two_subscriptions_of_a_user_never_overlap(storage: Storage) -> None:
    """One may start when the other ends. Only a server with a late clock can attempt an overlap."""
    ended = as_stored(an_active(ANN, PRO)).cancel_now(some_metadata(NOW + DAY))
    await storage.keep(ended)
    overlapping = as_stored(an_active(ANN, PRO, NOW + DAY - TICK)).cancel_now(some_metadata(NOW + 2 * DAY))
    with pytest.raises(LiveSubscriptionExists):
        await storage.keep(overlapping)
    await storage.keep(an_active(ANN, PRO, NOW + DAY))
    await storage.keep(replace(overlapping, id=IDS.new(), user_id=BOB.id, events=()))


async def test_a_change_that_would_make_two_subscriptions_overlap_is_refused(storage: Storage) -> None:
    active = an_active(ANN, PRO)
    later = as_stored(an_active(ANN, PRO, NOW + 40 * DAY)).cancel_now(some_metadata(NOW + 41 * DAY))
    await storage.keep(active, later)
    with pytest.raises(LiveSubscriptionExists):
        await save(storage, as_stored(active).renew(PRO.revision, some_metadata()))
    assert await fetch(storage) == as_stored(active)


async def test_a_subscription_may_start_and_be_cancelled_at_the_same_instant(storage: Storage) -> None:
    """Repeatedly, because a test clock stands still."""
    for _ in range(3):
        await storage.keep(as_stored(an_active(ANN, PRO)).cancel_now(some_metadata()))
    await storage.keep(an_active(ANN, PRO))


async def test_a_subscription_needs_an_existing_user_and_revision(storage: Storage) -> None:
    with pytest.raises(UserNotFound):
        await storage.keep(an_active(a_user("eve@example.com"), PRO))
    with pytest.raises(StorageIntegrityError):
        await storage.keep(an_active(ANN, a_plan("other")))
    with pytest.raises(StorageIntegrityError):
        await storage.keep(an_active(ANN, replace(PRO.revision, number=2)))


async def test_a_second_subscription_with_the_same_id_is_an_integrity_error(storage: Storage) -> None:
    """No caller can cause this, so it is a defect and not a conflict."""
    ended = as_stored(an_active(ANN, PRO)).cancel_now(some_metadata(NOW + DAY))
    await storage.keep(ended)
    with pytest.raises(StorageIntegrityError):
        await storage.keep(replace(an_active(ANN, PRO, NOW + DAY), id=ended.id, events=()))


async def test_the_second_of_two_changes_of_the_same_version_is_refused(storage: Storage) -> None:
    active = an_active(ANN, PRO)
    await storage.keep(active)
    await save(storage, as_stored(active).renew(PRO.revision, some_metadata()))
    with pytest.raises(StaleVersion):
        await save(storage, as_stored(active).cancel_now(some_metadata()))
    found = await fetch(storage)
    assert found is not None
    assert (found.version, found.periods_paid) == (2, 2)
    assert await types(storage, active) == ["activated", "renewed"]


async def test_saving_never_creates_a_subscription(storage: Storage) -> None:
    with pytest.raises(StaleVersion):
        await save(storage, as_stored(an_active(ANN, PRO)).cancel_now(some_metadata()))


async def test_the_ends_of_many_subscriptions_are_saved_with_their_events(storage: Storage) -> None:
    trials = [a_trial(ANN, PRO), a_trial(BOB, PRO)]
    await storage.keep(*trials)
    at = NOW + 14 * DAY
    await save(storage, *(as_stored(trial).apply_expiry(some_metadata(at)) for trial in trials))
    for trial in trials:
        assert await types(storage, trial) == ["trial_started", "expired"]
        found = await storage.subscriptions.get(trial.id, NOW)
        assert found is not None
        assert (found.status, found.ended_at, found.version) == ("expired", at, 2)


async def test_no_end_of_a_batch_is_saved_if_one_subscription_has_changed(storage: Storage) -> None:
    trials = [a_trial(ANN, PRO), a_trial(BOB, PRO)]
    await storage.keep(*trials)
    await save(storage, as_stored(trials[1]).convert(PRO.revision, some_metadata()))
    at = NOW + 14 * DAY
    for order in (1, -1):
        with pytest.raises(StaleVersion):
            await save(storage, *[as_stored(trial).apply_expiry(some_metadata(at)) for trial in trials][::order])
    assert await fetch(storage) == as_stored(trials[0])
    assert await types(storage, trials[0]) == ["trial_started"]


async def test_saving_an_empty_batch_changes_nothing(storage: Storage) -> None:
    async with storage.unit_of_work() as work:
        await work.subscriptions.save_ended([])
        await work.commit()


async def claim_trial(
    storage: Storage, trial: Subscription, *, once_per_user: bool = False, person: str | None = None
) -> None:
    """Claim the trial in a separate transaction."""
    async with storage.unit_of_work() as work:
        await work.subscriptions.claim_trial(trial, once_per_user=once_per_user, person=person)
        await work.subscriptions.add(trial)
        await work.subscriptions.save(as_stored(trial).cancel_now(some_metadata(trial.starts_at)))
        await work.commit()


async def test_a_user_gets_one_trial_of_each_plan(storage: Storage) -> None:
    await claim_trial(storage, a_trial(ANN, PRO))
    for later in (NOW, NOW + 10_000 * DAY):
        with pytest.raises(TrialAlreadyUsed):
            await claim_trial(storage, a_trial(ANN, PRO, later))
    await claim_trial(storage, a_trial(ANN, MAX))
    await claim_trial(storage, a_trial(BOB, PRO))


async def test_with_the_scope_user_a_user_gets_one_trial_of_any_plan(storage: Storage) -> None:
    """Trials from the time when the scope was the plan count too."""
    await claim_trial(storage, a_trial(ANN, PRO))
    for plan in (PRO, MAX):
        with pytest.raises(TrialAlreadyUsed):
            await claim_trial(storage, a_trial(ANN, plan), once_per_user=True)
    await claim_trial(storage, a_trial(BOB, MAX), once_per_user=True)
    with pytest.raises(TrialAlreadyUsed):
        await claim_trial(storage, a_trial(BOB, PRO), once_per_user=True)


@pytest.mark.parametrize("since_the_scope", [True, False])
async def test_with_the_scope_person_emails_that_differ_by_a_tag_get_one_trial_of_any_plan(
    storage: Storage, *, since_the_scope: bool
) -> None:
    emails = ("eve+1@example.com", "EVE@example.com", "eve+2+x@Example.com", "eve+@example.com")
    first, *others = [a_user(email) for email in emails]
    unlike = ("eve1@example.com", "ev+1@example.com", "eve-1@example.com", "eve+1@b.example.com", "eve+1@2example.com")
    strangers = [a_user(email) for email in unlike]
    await storage.keep(first, *others, *strangers)
    person = first.email.person if since_the_scope else None
    await claim_trial(storage, a_trial(first, PRO), once_per_user=since_the_scope, person=person)
    for user in (first, *others):
        for plan in (PRO, MAX):
            with pytest.raises(TrialAlreadyUsed):
                await claim_trial(storage, a_trial(user, plan), once_per_user=True, person=user.email.person)
    for user in strangers:
        await claim_trial(storage, a_trial(user, PRO), once_per_user=True, person=user.email.person)


async def test_an_unknown_user_cannot_claim_a_trial(storage: Storage) -> None:
    for once_per_user in (True, False):
        with pytest.raises(UserNotFound):
            await claim_trial(storage, a_trial(a_user("eve@example.com"), PRO), once_per_user=once_per_user)


async def test_a_second_change_of_a_subscription_waits_for_the_first_and_sees_it(storage: Storage) -> None:
    active = an_active(ANN, PRO)
    await storage.keep(active)

    async def renew() -> None:
        async with storage.unit_of_work() as other:
            found = await other.subscriptions.find_open_for_update(ANN.id)
            assert found is not None
            await other.subscriptions.save(found.renew(PRO.revision, some_metadata()))
            await other.commit()

    async with storage.unit_of_work() as work:
        found = await work.subscriptions.find_open_for_update(ANN.id)
        assert found is not None
        async with made_to_wait(renew()):
            await work.subscriptions.save(found.renew(PRO.revision, some_metadata()))
            await work.commit()
    assert await types(storage, active) == ["activated", "renewed", "renewed"]


async def test_a_change_that_waited_for_a_cancellation_finds_no_subscription(storage: Storage) -> None:
    await storage.keep(an_active(ANN, PRO))

    async def look() -> None:
        assert await fetch(storage) is None

    async with storage.unit_of_work() as work:
        found = await work.subscriptions.find_open_for_update(ANN.id)
        assert found is not None
        async with made_to_wait(look()):
            await work.subscriptions.save(found.cancel_now(some_metadata()))
            await work.commit()


async def add_overdue(storage: Storage, count: int) -> list[Subscription]:
    """Add trials, each of another user; the n-th one ends n days after the first."""
    trials = []
    for number in range(count):
        user = a_user(f"user-{number}@example.com")
        trials.append(a_trial(user, PRO, NOW + number * DAY))
        await storage.keep(user, trials[-1])
    return trials


async def overdue(storage: Storage, now: datetime, limit: int = 100) -> list[Subscription]:
    """Return the subscriptions that an expiry job would claim."""
    async with storage.unit_of_work() as work:
        return list(await work.subscriptions.claim_overdue(now, limit))


async def test_a_subscription_is_overdue_exactly_from_its_end(storage: Storage) -> None:
    """The earliest end comes first. Lifetime and ended subscriptions are never overdue."""
    trials = [as_stored(trial) for trial in await add_overdue(storage, 3)]
    await storage.keep(an_active(ANN, MAX), as_stored(a_trial(BOB, PRO)).cancel_now(some_metadata(NOW + DAY)))
    first_end = NOW + 14 * DAY
    assert await overdue(storage, first_end - TICK) == []
    assert await overdue(storage, first_end) == trials[:1]
    assert await overdue(storage, first_end + DAY) == trials[:2]
    assert await overdue(storage, first_end + 10_000 * DAY) == trials
    assert await overdue(storage, first_end + 10_000 * DAY, limit=2) == trials[:2]
    await save(storage, *(trial.apply_expiry(some_metadata(first_end + DAY)) for trial in trials[:2]))
    assert await overdue(storage, first_end + 10_000 * DAY) == trials[2:]


async def test_overdue_subscriptions_are_claimed_page_by_page(storage: Storage) -> None:
    """This includes several that end at the same instant."""
    trials = [a_trial(user, PRO) for user in (ANN, BOB)]
    await storage.keep(*trials)
    in_order = [as_stored(trial) for trial in sorted(trials, key=lambda trial: trial.id)]
    end = NOW + 14 * DAY
    async with storage.unit_of_work() as work:
        assert await work.subscriptions.claim_overdue(end, 1) == in_order[:1]
        assert await work.subscriptions.claim_overdue(end, 9, (end, in_order[0].id)) == in_order[1:]
        assert await work.subscriptions.claim_overdue(end, 9, (end, in_order[1].id)) == []
        assert await work.subscriptions.claim_overdue(end, 9, (end - TICK, in_order[1].id)) == in_order


async def test_two_expiry_jobs_share_the_overdue_subscriptions_without_waiting(storage: Storage) -> None:
    trials = [as_stored(trial) for trial in await add_overdue(storage, 4)]
    later = NOW + 100 * DAY
    async with storage.unit_of_work() as one, storage.unit_of_work() as other:
        assert await one.subscriptions.claim_overdue(later, 2) == trials[:2]
        assert await other.subscriptions.claim_overdue(later, 9) == trials[2:]
        await other.subscriptions.save_ended([trial.apply_expiry(some_metadata(later)) for trial in trials[2:]])
        await other.commit()
    assert await overdue(storage, later) == trials[:2]


async def test_an_expiry_job_skips_a_subscription_that_a_user_is_changing(storage: Storage) -> None:
    trials = [as_stored(trial) for trial in await add_overdue(storage, 2)]
    async with storage.unit_of_work() as work:
        assert await work.subscriptions.find_open_for_update(trials[0].user_id) == trials[0]
        assert await overdue(storage, NOW + 100 * DAY) == trials[1:]


async def test_a_subscription_that_ended_in_the_future_does_not_prevent_a_new_one(
    storage: Storage, use_cases: UseCases
) -> None:
    """A clock that was ahead has ended it. The new one starts where it ended, and gives access at once."""
    ann = a_user("early@example.com")
    await storage.keep(ann, plan := a_plan("early"), early := an_active(ann, plan))
    async with storage.unit_of_work() as work:
        await work.subscriptions.save(replace(early, events=()).apply_expiry(some_metadata(NOW + 40 * DAY)))
        await work.commit()
    assert await storage.subscriptions.current(ann.id, NOW) is None
    await use_cases(ActivateSubscription(ann.id, "early"), ADMIN_CALLER)
    current = await storage.subscriptions.current(ann.id, NOW)
    assert current is not None
    assert current.starts_at == early.ends_at
    assert (await use_cases(CheckAccess(ann.id, "export"), ADMIN_CALLER)).allowed
