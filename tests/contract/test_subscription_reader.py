from __future__ import annotations

from dataclasses import replace

import pytest

from smp.application.paging import PageRequest
from smp.application.queries.views import EventView, PlanReference, SubscriptionView
from smp.domain.access import EntitlementSnapshot, UserEntitlement
from smp.domain.errors import UserNotFound
from smp.domain.plan.plan import Plan
from smp.domain.subscription.lifecycle import Status
from smp.domain.subscription.subscription import Subscription
from tests.support.builders import (
    ADMIN,
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
from tests.support.paging import read_all
from tests.support.storage import Storage

ANN, BOB = a_user(), a_user("bob@example.com")
PRO = a_plan("pro", some_terms(1990, "USD", export=True, seats=5, support="priority"))
LIFE = a_plan("life", some_terms(period=None))
TRIAL_END = NOW + 14 * DAY


@pytest.fixture(autouse=True)
async def users_and_plans(storage: Storage) -> None:
    """Store two users and two plans; the second plan is for life."""
    await storage.keep(ANN, BOB, PRO, LIFE)


async def save(storage: Storage, thing: Plan | Subscription) -> None:
    """Save the subscription in a separate transaction."""
    async with storage.unit_of_work() as work:
        if isinstance(thing, Plan):
            await work.plans.save(thing)
        else:
            await work.subscriptions.save(thing)
        await work.commit()


def as_stored(subscription: Subscription) -> Subscription:
    """Return the subscription as it is read from the storage."""
    return replace(subscription, events=())


def shown(subscription: Subscription, plan: Plan, now: object) -> SubscriptionView:
    """Return the expected view."""
    return SubscriptionView.bound_to(subscription, plan, plan.revision, now)  # type: ignore[arg-type]


async def test_a_subscription_of_every_status_is_shown_with_all_fields(storage: Storage) -> None:
    forms = [
        as_stored(a_trial(ANN, PRO)).apply_expiry(some_metadata(TRIAL_END)),
        as_stored(an_active(ANN, PRO, TRIAL_END)).cancel_now(some_metadata(TRIAL_END + DAY)),
        as_stored(a_trial(ANN, PRO, TRIAL_END + DAY))
        .convert(PRO.revision, some_metadata(TRIAL_END + 2 * DAY))
        .cancel_at_period_end(some_metadata(TRIAL_END + 3 * DAY)),
        a_trial(BOB, PRO),
    ]
    await storage.keep(*forms)
    assert [form.status for form in forms] == [Status.EXPIRED, Status.CANCELLED, Status.ACTIVE, Status.TRIAL]
    for form in forms:
        assert await storage.subscriptions.get(form.id, NOW) == shown(form, PRO, NOW)


async def test_an_unknown_subscription_is_not_found_and_has_no_events(storage: Storage) -> None:
    assert await storage.subscriptions.get(IDS.new(), NOW) is None
    page = await storage.subscriptions.events(IDS.new(), PageRequest())
    assert (list(page.items), page.next) == ([], None)


@pytest.mark.parametrize("scheduled", [False, True])
async def test_a_late_expiry_job_changes_nothing_in_what_is_shown(storage: Storage, scheduled: bool) -> None:  # noqa: FBT001
    """Before the job, the view is the one that the job will write."""
    trial = a_trial(ANN, PRO)
    if scheduled:
        trial = trial.cancel_at_period_end(some_metadata())
    await storage.keep(trial)
    before, at = TRIAL_END - TICK, TRIAL_END
    for view in (
        await storage.subscriptions.get(trial.id, before),
        await storage.subscriptions.current(ANN.id, before),
    ):
        assert view == shown(trial, PRO, before)
        assert view.status is Status.TRIAL
    for now in (at, at + 1_000 * DAY):
        unswept = await storage.subscriptions.get(trial.id, now)
        assert unswept is not None
        assert unswept.status is (Status.CANCELLED if scheduled else Status.EXPIRED)
        assert (unswept.ended_at, unswept.cancelled_at) == (at, at if scheduled else None)
        assert await storage.subscriptions.current(ANN.id, now) is None
    unswept = await storage.subscriptions.get(trial.id, at)
    await save(storage, as_stored(trial).apply_expiry(some_metadata(at + DAY)))
    assert await storage.subscriptions.get(trial.id, at) == unswept


async def test_the_current_subscription_is_the_live_one_of_the_user(storage: Storage) -> None:
    assert await storage.subscriptions.current(ANN.id, NOW) is None
    assert await storage.subscriptions.current(IDS.new(), NOW) is None
    old = as_stored(an_active(ANN, PRO)).cancel_now(some_metadata(NOW + DAY))
    await storage.keep(old, an_active(BOB, PRO))
    assert await storage.subscriptions.current(ANN.id, NOW) is None
    new = an_active(ANN, LIFE, NOW + DAY)
    await storage.keep(new)
    assert await storage.subscriptions.current(ANN.id, NOW + 100_000 * DAY) == shown(new, LIFE, NOW)


async def test_a_new_revision_of_the_plan_does_not_change_an_existing_subscription(storage: Storage) -> None:
    """Only the name of the plan is the present one."""
    active = an_active(ANN, PRO)
    await storage.keep(active)
    terms = some_terms(99_900, "EUR", export=False)
    await save(storage, replace(PRO, events=()).update("Pro Plus", "", terms, lambda: some_metadata(actor=ADMIN)))
    view = await storage.subscriptions.get(active.id, NOW)
    assert view is not None
    assert view.plan == PlanReference(PRO.id, "pro", "Pro Plus", 1)
    assert (view.price, view.features) == (PRO.revision.terms.price, PRO.revision.terms.features)
    assert await snapshot_of(storage) == EntitlementSnapshot(
        Status.ACTIVE, active.ends_at, None, "pro", PRO.revision.terms.features
    )


async def add_history(storage: Storage, count: int) -> list[Subscription]:
    """Add subscriptions of Ann, each of a day, one after the other; the last is live."""
    history = []
    for number in range(count):
        at = NOW + number * DAY
        history.append(an_active(ANN, PRO, at))
        if number < count - 1:
            history[-1] = as_stored(history[-1]).cancel_now(some_metadata(at + DAY))
    await storage.keep(*history)
    return history


async def test_the_history_of_a_user_is_newest_first(storage: Storage) -> None:
    history = await add_history(storage, 5)
    await storage.keep(an_active(BOB, PRO))
    for now in (NOW, NOW + 1_000 * DAY):
        expected = [shown(subscription, PRO, now) for subscription in reversed(history)]
        for limit in (1, 2, 5, 100):
            read = await read_all(lambda page: storage.subscriptions.history(ANN.id, page, now), limit)  # noqa: B023
            assert read == expected
    assert expected[0].status is Status.EXPIRED


async def test_an_unknown_user_has_an_empty_history(storage: Storage) -> None:
    for user_id in (ANN.id, IDS.new()):
        page = await storage.subscriptions.history(user_id, PageRequest(10), NOW)
        assert (list(page.items), page.next) == ([], None)


async def test_subscriptions_that_start_at_one_instant_are_paged_by_id(storage: Storage) -> None:
    """Several can start at one instant because a test clock stands still."""
    history = [as_stored(an_active(ANN, PRO)).cancel_now(some_metadata()) for _ in range(4)]
    await storage.keep(*history)
    read = await read_all(lambda page: storage.subscriptions.history(ANN.id, page, NOW), 1)
    assert [view.id for view in read] == sorted((subscription.id for subscription in history), reverse=True)


async def test_the_events_of_a_subscription_are_listed_oldest_first(storage: Storage) -> None:
    trial = a_trial(ANN, PRO)
    active = trial.convert(PRO.revision, some_metadata(NOW + DAY, ADMIN)).cancel_at_period_end(
        some_metadata(NOW + 2 * DAY)
    )
    await storage.keep(active, an_active(BOB, PRO))
    expected = [
        EventView(event.id, event.type.value, event.occurred_at, event.actor, active.id, ANN.id, event.data, version)
        for version, event in enumerate(active.events, start=1)
    ]
    assert [event.version for event in expected] == [1, 2, 3]
    for limit in (1, 2, 3, 100):
        assert await read_all(lambda page: storage.subscriptions.events(active.id, page), limit) == expected


async def snapshot_of(storage: Storage) -> EntitlementSnapshot | None:
    """Return the snapshot of Ann's entitlement."""
    return (await storage.access.entitlement(ANN.id)).snapshot


async def test_an_entitlement_has_the_switch_of_the_account(storage: Storage) -> None:
    """Disabling touches no subscription."""
    active = an_active(ANN, PRO)
    await storage.keep(active)
    before = await storage.access.entitlement(ANN.id)
    assert not before.disabled
    for disabled in (True, False):
        async with storage.unit_of_work() as work:
            user = await work.users.get(ANN.id, for_update=True)
            await work.users.save(user.change_access(user.role, disabled=disabled, new_metadata=some_metadata))
            await work.commit()
        assert await storage.access.entitlement(ANN.id) == replace(before, disabled=disabled)
    assert await storage.access.entitlement(BOB.id) == UserEntitlement(disabled=False, snapshot=None)


async def test_the_entitlement_snapshot_is_that_of_the_newest_subscription(storage: Storage) -> None:
    """It has the stored status. There is none if the user never had a subscription."""
    assert await snapshot_of(storage) is None
    with pytest.raises(UserNotFound):
        await storage.access.entitlement(IDS.new())
    trial = a_trial(ANN, PRO).cancel_at_period_end(some_metadata())
    await storage.keep(trial, an_active(BOB, LIFE))
    features = PRO.revision.terms.features
    assert await snapshot_of(storage) == EntitlementSnapshot(Status.TRIAL, TRIAL_END, TRIAL_END, "pro", features)
    await save(storage, as_stored(trial).cancel_now(some_metadata(NOW + DAY)))
    snapshot = await snapshot_of(storage)
    assert snapshot == EntitlementSnapshot(Status.CANCELLED, TRIAL_END, None, "pro", features)
    new = an_active(ANN, LIFE, NOW + DAY)
    await storage.keep(new)
    assert await snapshot_of(storage) == EntitlementSnapshot(
        Status.ACTIVE, None, None, "life", LIFE.revision.terms.features
    )


async def test_the_live_subscription_decides_access_whatever_the_order_of_the_starts(storage: Storage) -> None:
    """A clock that was set back can have dated an ended subscription later than the one that followed it."""
    ended = as_stored(an_active(ANN, PRO, NOW + DAY)).cancel_now(some_metadata(NOW + DAY))
    live = an_active(ANN, LIFE, NOW)
    await storage.keep(ended, live)
    assert await snapshot_of(storage) == EntitlementSnapshot(
        Status.ACTIVE, None, None, "life", LIFE.revision.terms.features
    )
    await save(storage, as_stored(live).cancel_now(some_metadata(NOW)))
    snapshot = await snapshot_of(storage)
    assert snapshot is not None
    assert (snapshot.status, snapshot.plan) == (Status.CANCELLED, "pro")


async def test_true_and_1_are_different_values_of_a_feature(storage: Storage) -> None:
    terms = some_terms(yes=True, no=False, one=1, none=0, word="true", largest=2**53 - 1)
    typed = a_plan("typed", terms)
    await storage.keep(typed, an_active(ANN, typed))
    snapshot = await snapshot_of(storage)
    view = await storage.subscriptions.current(ANN.id, NOW)
    assert snapshot is not None
    assert view is not None
    for features in (snapshot.features, view.features):
        assert {key: (type(value), value) for key, value in features.items()} == {
            key: (type(value), value) for key, value in terms.features.items()
        }
