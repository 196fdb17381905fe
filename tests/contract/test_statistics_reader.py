from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

from smp.application.ports.statistics_reader import StatisticsSnapshot
from smp.application.queries.views import PlanCount, RevisionRevenue, TrialCounts
from smp.domain.plan.plan import Plan
from smp.domain.subscription.lifecycle import Status
from smp.domain.subscription.subscription import Subscription
from tests.support.builders import ADMIN, DAY, NOW, TICK, a_plan, a_user, an_active, some_metadata, some_terms
from tests.support.builders import a_trial as begun_trial
from tests.support.storage import Storage

TRIAL_END = NOW + 14 * DAY


def as_stored(subscription: Subscription) -> Subscription:
    """Return the subscription as it is read from the storage."""
    return replace(subscription, events=())


async def add_trial(storage: Storage, trial: Subscription) -> Subscription:
    """Add the trial as a use case does; return it as it is read from the storage."""
    await storage.keep_trial(trial)
    return as_stored(trial)


async def save(storage: Storage, thing: Plan | Subscription) -> None:
    """Save the subscription in a separate transaction."""
    async with storage.unit_of_work() as work:
        if isinstance(thing, Plan):
            await work.plans.save(thing)
        else:
            await work.subscriptions.save(thing)
        await work.commit()


async def statistics(storage: Storage, now: datetime, ending_before: datetime | None = None) -> StatisticsSnapshot:
    """Return the statistics, with unordered lists sorted."""
    read = await storage.statistics.figures(now, ending_before or now + 7 * DAY)
    revenue = sorted(read.revenue, key=lambda part: (part.price.currency, part.price.amount, str(part.period)))
    return replace(read, subscriptions=dict(read.subscriptions), by_plan=list(read.by_plan), revenue=revenue)


def statuses(trial: int = 0, active: int = 0, expired: int = 0, cancelled: int = 0) -> dict[Status, int]:
    """Return a count for each status."""
    return dict(zip(Status, (trial, active, expired, cancelled), strict=True))


async def test_an_empty_platform_has_a_count_of_zero_for_every_status(storage: Storage) -> None:
    assert await statistics(storage, NOW) == StatisticsSnapshot(0, statuses(), [], [], TrialCounts(0, 0, 0), 0)


async def test_users_are_counted_with_and_without_subscriptions(storage: Storage) -> None:
    pro, life = a_plan("pro"), a_plan("life", some_terms(period=None))
    users = [a_user(f"user-{number}@example.com") for number in range(6)]
    await storage.keep(pro, life, *users)
    await add_trial(storage, begun_trial(users[0], pro))
    await storage.keep(an_active(users[1], pro), an_active(users[2], life))
    await storage.keep(as_stored(an_active(users[3], pro)).cancel_now(some_metadata(NOW + DAY)))
    trial = await add_trial(storage, begun_trial(users[4], pro, NOW - 20 * DAY))
    await save(storage, trial.apply_expiry(some_metadata()))
    read = await statistics(storage, NOW)
    assert read.users == 6
    assert read.subscriptions == statuses(trial=1, active=2, expired=1, cancelled=1)
    assert read.by_plan == [PlanCount("life", 0, 1), PlanCount("pro", 1, 1)]


async def test_an_overdue_subscription_counts_as_ended_before_the_expiry_job_runs(storage: Storage) -> None:
    pro = a_plan("pro")
    users = [a_user(f"user-{number}@example.com") for number in range(4)]
    await storage.keep(pro, *users)
    trials = [begun_trial(user, pro) for user in users[:3]]
    trials[1] = trials[1].cancel_at_period_end(some_metadata())
    await add_trial(storage, trials[0])
    await add_trial(storage, trials[1])
    converted = await add_trial(storage, trials[2])
    await save(storage, converted.convert(pro.revision, some_metadata(NOW + DAY)))
    await storage.keep(an_active(users[3], pro))
    before = await statistics(storage, TRIAL_END - TICK)
    assert before.subscriptions == statuses(trial=2, active=2)
    assert before.trials == TrialCounts(started=3, running=2, converted=1)
    assert before.by_plan == [PlanCount("pro", 2, 2)]
    assert before.revenue == [RevisionRevenue(pro.revision.terms.price, some_terms().period, 2)]  # type: ignore[arg-type]
    ended = await statistics(storage, TRIAL_END)
    assert ended.subscriptions == statuses(active=2, expired=1, cancelled=1)
    assert ended.trials == TrialCounts(started=3, running=0, converted=1)
    assert (ended.trials.lost, ended.by_plan) == (2, [PlanCount("pro", 0, 2)])
    all_over = await statistics(storage, NOW + 100 * DAY)
    assert all_over.subscriptions == statuses(expired=3, cancelled=1)
    assert (all_over.by_plan, all_over.revenue, all_over.ending) == ([], [], 0)
    for trial in trials[:2]:
        await save(storage, as_stored(trial).apply_expiry(some_metadata(TRIAL_END + DAY)))
    assert await statistics(storage, TRIAL_END) == ended
    assert await statistics(storage, NOW + 100 * DAY) == all_over


async def test_a_converted_trial_stays_converted_after_its_cancellation(storage: Storage) -> None:
    """A trial that is cancelled as a trial is lost."""
    pro = a_plan("pro")
    users = [a_user(f"user-{number}@example.com") for number in range(3)]
    await storage.keep(pro, *users)
    first, second, _ = [await add_trial(storage, begun_trial(user, pro)) for user in users]
    active = first.convert(pro.revision, some_metadata(NOW + DAY))
    await save(storage, active)
    await save(storage, as_stored(active).cancel_now(some_metadata(NOW + 2 * DAY)))
    await save(storage, second.cancel_now(some_metadata(NOW + DAY)))
    read = await statistics(storage, NOW + 2 * DAY)
    assert read.trials == TrialCounts(started=3, running=1, converted=1)
    assert read.trials.lost == 1


async def test_a_trial_that_is_converted_to_another_plan_counts_for_that_plan(storage: Storage) -> None:
    pro, best, ann = a_plan("pro"), a_plan("best", some_terms(9_900, "EUR", "P1Y")), a_user()
    await storage.keep(pro, best, ann)
    trial = await add_trial(storage, begun_trial(ann, pro))
    await save(storage, trial.convert(best.revision, some_metadata(NOW + DAY)))
    read = await statistics(storage, NOW + DAY)
    assert read.by_plan == [PlanCount("best", 0, 1)]
    assert [(part.price, part.active) for part in read.revenue] == [(best.revision.terms.price, 1)]
    assert read.trials == TrialCounts(started=1, running=0, converted=1)


async def test_only_an_activation_with_a_price_converts_a_trial(storage: Storage) -> None:
    """A trial that becomes a free subscription is lost, although that subscription is active."""
    pro, free, ann, ben = a_plan("pro"), a_plan("free", some_terms(0)), a_user(), a_user("ben@example.com")
    await storage.keep(pro, free, ann, ben)
    to_free = await add_trial(storage, begun_trial(ann, pro))
    paid = await add_trial(storage, begun_trial(ben, pro))
    await save(storage, to_free.convert(free.revision, some_metadata(NOW + DAY)))
    await save(storage, paid.convert(pro.revision, some_metadata(NOW + DAY)))
    read = await statistics(storage, NOW + DAY)
    assert read.subscriptions == statuses(active=2)
    assert read.trials == TrialCounts(started=2, running=0, converted=1)
    assert (read.trials.lost, read.trials.conversion_rate) == (1, 0.5)


async def test_revenue_uses_the_price_that_each_subscriber_pays(storage: Storage) -> None:
    """Free, lifetime and trial subscriptions have no revenue."""
    pro, free, life = a_plan("pro"), a_plan("free", some_terms(0)), a_plan("life", some_terms(period=None))
    users = [a_user(f"user-{number}@example.com") for number in range(6)]
    await storage.keep(pro, free, life, *users)
    await storage.keep(
        *(an_active(user, pro) for user in users[:2]), an_active(users[2], free), an_active(users[3], life)
    )
    dearer = replace(pro, events=()).update("Pro", "", some_terms(2_990), lambda: some_metadata(actor=ADMIN))
    await save(storage, dearer)
    await storage.keep(an_active(users[4], dearer), begun_trial(users[5], dearer))
    read = await statistics(storage, NOW)
    assert Counter({part.price.amount: part.active for part in read.revenue}) == {1_990: 2, 2_990: 1}
    assert {str(part.period) for part in read.revenue} == {"P1M"}


async def test_ending_subscriptions_are_live_and_end_before_the_given_instant(storage: Storage) -> None:
    pro, life = a_plan("pro"), a_plan("life", some_terms(period=None))
    users = [a_user(f"user-{number}@example.com") for number in range(4)]
    await storage.keep(pro, life, *users)
    await storage.keep(begun_trial(users[0], pro), begun_trial(users[1], pro, NOW + DAY), an_active(users[2], life))
    await storage.keep(as_stored(begun_trial(users[3], pro)).cancel_now(some_metadata(NOW + DAY)))
    at = NOW + 10 * DAY
    assert (await statistics(storage, at, TRIAL_END)).ending == 0
    assert (await statistics(storage, at, TRIAL_END + TICK)).ending == 1
    assert (await statistics(storage, at, TRIAL_END + 2 * DAY)).ending == 2
    assert (await statistics(storage, TRIAL_END, TRIAL_END + 2 * DAY)).ending == 1


async def test_a_transaction_that_was_rolled_back_is_not_counted(storage: Storage) -> None:
    pro, ann = a_plan("pro"), a_user()
    await storage.keep(pro)
    async with storage.unit_of_work() as work:
        await work.users.add(ann)
        await work.subscriptions.add(an_active(ann, pro))
    assert await statistics(storage, NOW) == StatisticsSnapshot(0, statuses(), [], [], TrialCounts(0, 0, 0), 0)


async def test_every_subscription_counts_as_ended_from_the_instant_of_its_end(storage: Storage) -> None:
    """At any time of the day, and also if the expiry job has not run for days."""
    pro, midnight = a_plan("pro"), datetime(2026, 3, 1, tzinfo=UTC)
    ends = [midnight + days * DAY + rest for days in (0, 1, 6, 7, 8) for rest in (-TICK, TICK * 0, TICK, DAY / 2)]
    users = [a_user(f"user-{number}@example.com") for number, _ in enumerate(ends)]
    await storage.keep(pro, *users)
    for number, (user, end) in enumerate(zip(users, ends, strict=True)):
        trial = begun_trial(user, pro, end - 14 * DAY)
        await add_trial(storage, trial.cancel_at_period_end(some_metadata(trial.starts_at)) if number % 2 else trial)
    instants = [end + rest for end in ends for rest in (-TICK, TICK * 0, DAY / 3)]
    for now in instants:
        read = await statistics(storage, now)
        live = [end for end in ends if now < end]
        ended = [number % 2 for number, end in enumerate(ends) if end <= now]
        assert read.subscriptions == statuses(trial=len(live), expired=ended.count(0), cancelled=ended.count(1)), now
        assert read.ending == len([end for end in live if end < now + 7 * DAY]), now
        assert read.trials.running == len(live)
