from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

import pytest

from smp.application.paging import PageRequest
from smp.domain.errors import (
    LiveSubscriptionExists,
    StaleVersion,
    StorageIntegrityError,
    TrialAlreadyUsed,
    UserNotFound,
)
from smp.domain.subscription.subscription import Subscription
from tests.support.builders import DAY, IDS, NOW, TICK, a_plan, a_trial, a_user, an_active, some_metadata, some_terms
from tests.support.storage import Storage
from tests.support.waiting import made_to_wait

ANN, BOB = a_user(), a_user("bob@example.com")
PRO, MAX = a_plan("pro"), a_plan("max", some_terms(period=None))


@pytest.fixture(autouse=True)
async def people_and_plans(storage: Storage) -> None:
    """Two users and two plans, the second one for life."""
    await storage.keep(ANN, BOB, PRO, MAX)


async def fetch(storage: Storage, user_id: UUID = ANN.id) -> Subscription | None:
    """The subscription that is written as live."""
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


def kept(subscription: Subscription) -> Subscription:
    """The subscription as it comes back."""
    return replace(subscription, events=())


async def types(storage: Storage, subscription: Subscription) -> list[str]:
    """The types of the subscription's events."""
    page = await storage.subscriptions.events(subscription.id, PageRequest(100))
    return [event.type.removeprefix("subscription.") for event in page.items]


async def test_a_subscription_comes_back_as_it_was(storage: Storage) -> None:
    """In every live form: trial, paid, for life, converted, renewed, with a cancellation scheduled."""
    forms = [
        a_trial(ANN, PRO),
        an_active(ANN, PRO),
        an_active(ANN, MAX),
        kept(a_trial(ANN, PRO)).convert(MAX.revision, some_metadata(NOW + DAY)),
        kept(an_active(ANN, PRO)).renew(PRO.revision, some_metadata(NOW + DAY)),
        kept(an_active(ANN, PRO)).cancel_at_period_end(some_metadata(NOW + DAY)),
    ]
    for form in forms:
        async with storage.unit_of_work() as work:
            await work.subscriptions.add(form)
            assert await work.subscriptions.find_open_for_update(ANN.id) == kept(form)
    await storage.keep(forms[-1])
    assert await fetch(storage) == kept(forms[-1])


async def test_nothing_unsettled_where_nothing_is_written_as_live(storage: Storage) -> None:
    """For an unknown user, for one without, and for one whose subscriptions are all over."""
    assert await fetch(storage, IDS.new()) is None
    assert await fetch(storage) is None
    await storage.keep(kept(an_active(ANN, PRO)).cancel_now(some_metadata(NOW + DAY)))
    assert await fetch(storage) is None


async def test_an_overdue_subscription_is_unsettled(storage: Storage) -> None:
    """What time has ended is still written as live until somebody writes so."""
    trial = a_trial(ANN, PRO)
    await storage.keep(trial)
    assert await fetch(storage) == kept(trial)
    settled = kept(trial).apply_expiry(some_metadata(NOW + 14 * DAY))
    await save(storage, settled)
    assert await fetch(storage) is None
    assert await types(storage, trial) == ["trial_started", "expired"]


async def test_every_change_is_kept_with_its_event(storage: Storage) -> None:
    """Through a whole life; several verbs between two saves are several events."""
    trial = a_trial(ANN, PRO)
    await storage.keep(trial)
    at = NOW + DAY
    active = kept(trial).convert(PRO.revision, some_metadata(at)).renew(PRO.revision, some_metadata(at))
    await save(storage, active)
    assert await fetch(storage) == kept(active)
    leaving = (
        kept(active)
        .cancel_at_period_end(some_metadata(at))
        .resume(some_metadata(at))
        .cancel_at_period_end(some_metadata(at))
    )
    await save(storage, leaving)
    assert await fetch(storage) == kept(leaving)
    await save(storage, kept(leaving).cancel_now(some_metadata(at)))
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
async def test_at_most_one_subscription_of_a_user_is_live(
    storage: Storage, first: Subscription, second: Subscription
) -> None:
    """The storage itself refuses a second one, of whatever kind; another user may have one."""
    await storage.keep(first)
    with pytest.raises(LiveSubscriptionExists):
        await storage.keep(second)
    await storage.keep(an_active(BOB, PRO))
    assert await fetch(storage) == kept(first)
    assert await storage.subscriptions.get(second.id, NOW) is None


async def test_an_overdue_one_stands_in_the_way_until_it_is_written_as_over(storage: Storage) -> None:
    """In one transaction: settle the old one, add the new one."""
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
    assert await fetch(storage) == kept(new)


async def test_spans_of_one_user_do_not_overlap(storage: Storage) -> None:
    """Half-open spans may touch; the storage refuses those that share an instant.

    Only the clock of a server that lags behind asks for such: there, the one before has not ended yet.
    """
    ended = kept(an_active(ANN, PRO)).cancel_now(some_metadata(NOW + DAY))
    await storage.keep(ended)
    overlapping = kept(an_active(ANN, PRO, NOW + DAY - TICK)).cancel_now(some_metadata(NOW + 2 * DAY))
    with pytest.raises(LiveSubscriptionExists):
        await storage.keep(overlapping)
    await storage.keep(an_active(ANN, PRO, NOW + DAY))
    await storage.keep(replace(overlapping, id=IDS.new(), user_id=BOB.id, events=()))


async def test_a_span_does_not_grow_into_another(storage: Storage) -> None:
    """Also a change is refused that would make two share an instant."""
    active = an_active(ANN, PRO)
    later = kept(an_active(ANN, PRO, NOW + 40 * DAY)).cancel_now(some_metadata(NOW + 41 * DAY))
    await storage.keep(active, later)
    with pytest.raises(LiveSubscriptionExists):
        await save(storage, kept(active).renew(PRO.revision, some_metadata()))
    assert await fetch(storage) == kept(active)


async def test_a_span_may_be_empty(storage: Storage) -> None:
    """Started and cancelled at one instant, again and again: a test clock stands still."""
    for _ in range(3):
        await storage.keep(kept(an_active(ANN, PRO)).cancel_now(some_metadata()))
    await storage.keep(an_active(ANN, PRO))


async def test_a_subscription_belongs_to_a_known_user_and_revision(storage: Storage) -> None:
    """An unknown user is told so; an unknown revision is nobody's request."""
    with pytest.raises(UserNotFound):
        await storage.keep(an_active(a_user("eve@example.com"), PRO))
    with pytest.raises(StorageIntegrityError):
        await storage.keep(an_active(ANN, a_plan("other")))
    with pytest.raises(StorageIntegrityError):
        await storage.keep(an_active(ANN, replace(PRO.revision, number=2)))


async def test_an_id_is_unique(storage: Storage) -> None:
    """No caller can ask for this: it is a defect, not a conflict."""
    ended = kept(an_active(ANN, PRO)).cancel_now(some_metadata(NOW + DAY))
    await storage.keep(ended)
    with pytest.raises(StorageIntegrityError):
        await storage.keep(replace(an_active(ANN, PRO, NOW + DAY), id=ended.id, events=()))


async def test_a_subscription_that_has_moved_on_cannot_be_saved(storage: Storage) -> None:
    """The second of two changes of the same version is refused and leaves nothing."""
    active = an_active(ANN, PRO)
    await storage.keep(active)
    await save(storage, kept(active).renew(PRO.revision, some_metadata()))
    with pytest.raises(StaleVersion):
        await save(storage, kept(active).cancel_now(some_metadata()))
    found = await fetch(storage)
    assert found is not None
    assert (found.version, found.periods_paid) == (2, 2)
    assert await types(storage, active) == ["activated", "renewed"]


async def test_an_unknown_subscription_cannot_be_saved(storage: Storage) -> None:
    """Saving never makes a subscription."""
    with pytest.raises(StaleVersion):
        await save(storage, kept(an_active(ANN, PRO)).cancel_now(some_metadata()))


async def test_the_ends_of_many_are_saved_together(storage: Storage) -> None:
    """With all of their events."""
    trials = [a_trial(ANN, PRO), a_trial(BOB, PRO)]
    await storage.keep(*trials)
    at = NOW + 14 * DAY
    await save(storage, *(kept(trial).apply_expiry(some_metadata(at)) for trial in trials))
    for trial in trials:
        assert await types(storage, trial) == ["trial_started", "expired"]
        found = await storage.subscriptions.get(trial.id, NOW)
        assert found is not None
        assert (found.status, found.ended_at, found.version) == ("expired", at, 2)


async def test_no_end_of_a_batch_is_saved_if_one_subscription_has_changed(storage: Storage) -> None:
    """The position of the stale one in the batch does not matter."""
    trials = [a_trial(ANN, PRO), a_trial(BOB, PRO)]
    await storage.keep(*trials)
    await save(storage, kept(trials[1]).convert(PRO.revision, some_metadata()))
    at = NOW + 14 * DAY
    for order in (1, -1):
        with pytest.raises(StaleVersion):
            await save(storage, *[kept(trial).apply_expiry(some_metadata(at)) for trial in trials][::order])
    assert await fetch(storage) == kept(trials[0])
    assert await types(storage, trials[0]) == ["trial_started"]


async def test_saving_an_empty_batch_changes_nothing(storage: Storage) -> None:
    """An empty batch changes nothing."""
    async with storage.unit_of_work() as work:
        await work.subscriptions.save_ended([])
        await work.commit()


async def claim_trial(storage: Storage, trial: Subscription, *, once_per_user: bool = False) -> None:
    """Claim the trial in a transaction of its own."""
    async with storage.unit_of_work() as work:
        await work.subscriptions.claim_trial(trial, once_per_user=once_per_user)
        await work.subscriptions.add(trial)
        await work.subscriptions.save(kept(trial).cancel_now(some_metadata(trial.starts_at)))
        await work.commit()


async def test_a_trial_can_be_claimed_once_for_each_plan(storage: Storage) -> None:
    """For ever: the ledger does not care what became of the trial."""
    await claim_trial(storage, a_trial(ANN, PRO))
    for later in (NOW, NOW + 10_000 * DAY):
        with pytest.raises(TrialAlreadyUsed):
            await claim_trial(storage, a_trial(ANN, PRO, later))
    await claim_trial(storage, a_trial(ANN, MAX))
    await claim_trial(storage, a_trial(BOB, PRO))


async def test_a_trial_can_be_claimed_once_for_each_user(storage: Storage) -> None:
    """Where the scope is the user, an earlier trial of any plan counts, also from when the scope was the plan."""
    await claim_trial(storage, a_trial(ANN, PRO))
    for plan in (PRO, MAX):
        with pytest.raises(TrialAlreadyUsed):
            await claim_trial(storage, a_trial(ANN, plan), once_per_user=True)
    await claim_trial(storage, a_trial(BOB, MAX), once_per_user=True)
    with pytest.raises(TrialAlreadyUsed):
        await claim_trial(storage, a_trial(BOB, PRO), once_per_user=True)


async def test_an_unknown_user_has_no_trial(storage: Storage) -> None:
    """It is told so."""
    for once_per_user in (True, False):
        with pytest.raises(UserNotFound):
            await claim_trial(storage, a_trial(a_user("eve@example.com"), PRO), once_per_user=once_per_user)


async def test_a_live_subscription_is_protected(storage: Storage) -> None:
    """Another who asks for it waits until the transaction ends, and then sees what it did."""
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


async def test_what_ended_meanwhile_is_not_found(storage: Storage) -> None:
    """Who waited for a subscription that was cancelled by then finds none."""
    await storage.keep(an_active(ANN, PRO))

    async def look() -> None:
        assert await fetch(storage) is None

    async with storage.unit_of_work() as work:
        found = await work.subscriptions.find_open_for_update(ANN.id)
        assert found is not None
        async with made_to_wait(look()):
            await work.subscriptions.save(found.cancel_now(some_metadata()))
            await work.commit()


async def keep_due(storage: Storage, count: int) -> list[Subscription]:
    """So many trials of as many users; the n-th one ends n days after the first."""
    trials = []
    for number in range(count):
        user = a_user(f"user-{number}@example.com")
        trials.append(a_trial(user, PRO, NOW + number * DAY))
        await storage.keep(user, trials[-1])
    return trials


async def due(storage: Storage, now: datetime, limit: int = 100) -> list[Subscription]:
    """What a sweep would claim."""
    async with storage.unit_of_work() as work:
        return list(await work.subscriptions.claim_overdue(now, limit))


async def test_due_is_what_time_has_ended(storage: Storage) -> None:
    """At ``ends_at`` exactly it is due; earliest end first; what is for life or over never is."""
    trials = [kept(trial) for trial in await keep_due(storage, 3)]
    await storage.keep(an_active(ANN, MAX), kept(a_trial(BOB, PRO)).cancel_now(some_metadata(NOW + DAY)))
    first_end = NOW + 14 * DAY
    assert await due(storage, first_end - TICK) == []
    assert await due(storage, first_end) == trials[:1]
    assert await due(storage, first_end + DAY) == trials[:2]
    assert await due(storage, first_end + 10_000 * DAY) == trials
    assert await due(storage, first_end + 10_000 * DAY, limit=2) == trials[:2]
    await save(storage, *(trial.apply_expiry(some_metadata(first_end + DAY)) for trial in trials[:2]))
    assert await due(storage, first_end + 10_000 * DAY) == trials[2:]


async def test_due_ones_are_claimed_behind_a_position(storage: Storage) -> None:
    """End and id tell where to go on, also among those that end at one instant."""
    trials = [a_trial(user, PRO) for user in (ANN, BOB)]
    await storage.keep(*trials)
    in_order = [kept(trial) for trial in sorted(trials, key=lambda trial: trial.id)]
    end = NOW + 14 * DAY
    async with storage.unit_of_work() as work:
        assert await work.subscriptions.claim_overdue(end, 1) == in_order[:1]
        assert await work.subscriptions.claim_overdue(end, 9, (end, in_order[0].id)) == in_order[1:]
        assert await work.subscriptions.claim_overdue(end, 9, (end, in_order[1].id)) == []
        assert await work.subscriptions.claim_overdue(end, 9, (end - TICK, in_order[1].id)) == in_order


async def test_two_sweeps_share_what_is_due(storage: Storage) -> None:
    """What one has claimed the other leaves out, without waiting; let go, it can be claimed again."""
    trials = [kept(trial) for trial in await keep_due(storage, 4)]
    later = NOW + 100 * DAY
    async with storage.unit_of_work() as one, storage.unit_of_work() as other:
        assert await one.subscriptions.claim_overdue(later, 2) == trials[:2]
        assert await other.subscriptions.claim_overdue(later, 9) == trials[2:]
        await other.subscriptions.save_ended([trial.apply_expiry(some_metadata(later)) for trial in trials[2:]])
        await other.commit()
    assert await due(storage, later) == trials[:2]


async def test_a_sweep_leaves_out_what_a_user_is_changing(storage: Storage) -> None:
    """Neither waits for the other."""
    trials = [kept(trial) for trial in await keep_due(storage, 2)]
    async with storage.unit_of_work() as work:
        assert await work.subscriptions.find_open_for_update(trials[0].user_id) == trials[0]
        assert await due(storage, NOW + 100 * DAY) == trials[1:]
