from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime

from smp.application.ports.statistics_reader import StatisticsSnapshot
from smp.application.queries.views import PlanCount, RevisionRevenue, TrialCounts
from smp.domain.plan.plan import Plan
from smp.domain.subscription.lifecycle import Status
from smp.domain.subscription.subscription import Subscription
from tests.support.builders import ADMIN, DAY, NOW, TICK, a_plan, a_user, an_active, some_metadata, some_terms
from tests.support.builders import a_trial as begun_trial
from tests.support.storage import Storage

TRIAL_END = NOW + 14 * DAY


def kept(subscription: Subscription) -> Subscription:
    """The subscription as it comes back."""
    return replace(subscription, events=())


async def keep_trial(storage: Storage, trial: Subscription) -> Subscription:
    """Add the trial as a use case does, and give it as it comes back."""
    await storage.keep_trial(trial)
    return kept(trial)


async def save(storage: Storage, thing: Plan | Subscription) -> None:
    """Save it in a transaction of its own."""
    async with storage.unit_of_work() as work:
        if isinstance(thing, Plan):
            await work.plans.save(thing)
        else:
            await work.subscriptions.save(thing)
        await work.commit()


async def figures(storage: Storage, now: datetime, ending_before: datetime | None = None) -> StatisticsSnapshot:
    """The figures, with the lists that have no order put in one."""
    read = await storage.statistics.figures(now, ending_before or now + 7 * DAY)
    revenue = sorted(read.revenue, key=lambda part: (part.price.currency, part.price.amount, str(part.period)))
    return replace(read, subscriptions=dict(read.subscriptions), by_plan=list(read.by_plan), revenue=revenue)


def statuses(trial: int = 0, active: int = 0, expired: int = 0, cancelled: int = 0) -> dict[Status, int]:
    """So many of each."""
    return dict(zip(Status, (trial, active, expired, cancelled), strict=True))


async def test_an_empty_platform_counts_nothing(storage: Storage) -> None:
    """Every status is there, with 0."""
    assert await figures(storage, NOW) == StatisticsSnapshot(0, statuses(), [], [], TrialCounts(0, 0, 0), 0)


async def test_users_and_statuses_are_counted(storage: Storage) -> None:
    """Users without a subscription, too."""
    pro, life = a_plan("pro"), a_plan("life", some_terms(period=None))
    users = [a_user(f"user-{number}@example.com") for number in range(6)]
    await storage.keep(pro, life, *users)
    await keep_trial(storage, begun_trial(users[0], pro))
    await storage.keep(an_active(users[1], pro), an_active(users[2], life))
    await storage.keep(kept(an_active(users[3], pro)).cancel_now(some_metadata(NOW + DAY)))
    trial = await keep_trial(storage, begun_trial(users[4], pro, NOW - 20 * DAY))
    await save(storage, trial.apply_expiry(some_metadata()))
    read = await figures(storage, NOW)
    assert read.users == 6
    assert read.subscriptions == statuses(trial=1, active=2, expired=1, cancelled=1)
    assert read.by_plan == [PlanCount("life", 0, 1), PlanCount("pro", 1, 1)]


async def test_what_is_due_counts_as_what_time_has_made_it(storage: Storage) -> None:
    """At the end exactly; the sweep changes no figure."""
    pro = a_plan("pro")
    users = [a_user(f"user-{number}@example.com") for number in range(4)]
    await storage.keep(pro, *users)
    trials = [begun_trial(user, pro) for user in users[:3]]
    trials[1] = trials[1].cancel_at_period_end(some_metadata())
    await keep_trial(storage, trials[0])
    await keep_trial(storage, trials[1])
    converted = await keep_trial(storage, trials[2])
    await save(storage, converted.convert(pro.revision, some_metadata(NOW + DAY)))
    await storage.keep(an_active(users[3], pro))
    before = await figures(storage, TRIAL_END - TICK)
    assert before.subscriptions == statuses(trial=2, active=2)
    assert before.trials == TrialCounts(started=3, running=2, converted=1)
    assert before.by_plan == [PlanCount("pro", 2, 2)]
    assert before.revenue == [RevisionRevenue(pro.revision.terms.price, some_terms().period, 2)]  # type: ignore[arg-type]
    ended = await figures(storage, TRIAL_END)
    assert ended.subscriptions == statuses(active=2, expired=1, cancelled=1)
    assert ended.trials == TrialCounts(started=3, running=0, converted=1)
    assert (ended.trials.lost, ended.by_plan) == (2, [PlanCount("pro", 0, 2)])
    all_over = await figures(storage, NOW + 100 * DAY)
    assert all_over.subscriptions == statuses(expired=3, cancelled=1)
    assert (all_over.by_plan, all_over.revenue, all_over.ending) == ([], [], 0)
    for trial in trials[:2]:
        await save(storage, kept(trial).apply_expiry(some_metadata(TRIAL_END + DAY)))
    assert await figures(storage, TRIAL_END) == ended
    assert await figures(storage, NOW + 100 * DAY) == all_over


async def test_a_trial_counts_once_whatever_becomes_of_it(storage: Storage) -> None:
    """Converted and then cancelled is still converted; cancelled as a trial is lost."""
    pro = a_plan("pro")
    users = [a_user(f"user-{number}@example.com") for number in range(3)]
    await storage.keep(pro, *users)
    first, second, _ = [await keep_trial(storage, begun_trial(user, pro)) for user in users]
    active = first.convert(pro.revision, some_metadata(NOW + DAY))
    await save(storage, active)
    await save(storage, kept(active).cancel_now(some_metadata(NOW + 2 * DAY)))
    await save(storage, second.cancel_now(some_metadata(NOW + DAY)))
    read = await figures(storage, NOW + 2 * DAY)
    assert read.trials == TrialCounts(started=3, running=1, converted=1)
    assert read.trials.lost == 1


async def test_a_conversion_to_another_plan_counts_there(storage: Storage) -> None:
    """And no longer with the plan of the trial."""
    pro, best, ann = a_plan("pro"), a_plan("best", some_terms(9_900, "EUR", "P1Y")), a_user()
    await storage.keep(pro, best, ann)
    trial = await keep_trial(storage, begun_trial(ann, pro))
    await save(storage, trial.convert(best.revision, some_metadata(NOW + DAY)))
    read = await figures(storage, NOW + DAY)
    assert read.by_plan == [PlanCount("best", 0, 1)]
    assert [(part.price, part.active) for part in read.revenue] == [(best.revision.terms.price, 1)]
    assert read.trials == TrialCounts(started=1, running=0, converted=1)


async def test_revenue_is_by_what_each_subscriber_pays(storage: Storage) -> None:
    """By revision; what is free, for life, or a trial brings nothing."""
    pro, free, life = a_plan("pro"), a_plan("free", some_terms(0)), a_plan("life", some_terms(period=None))
    users = [a_user(f"user-{number}@example.com") for number in range(6)]
    await storage.keep(pro, free, life, *users)
    await storage.keep(
        *(an_active(user, pro) for user in users[:2]), an_active(users[2], free), an_active(users[3], life)
    )
    dearer = replace(pro, events=()).update("Pro", "", some_terms(2_990), lambda: some_metadata(actor=ADMIN))
    await save(storage, dearer)
    await storage.keep(an_active(users[4], dearer), begun_trial(users[5], dearer))
    read = await figures(storage, NOW)
    assert Counter({part.price.amount: part.active for part in read.revenue}) == {1_990: 2, 2_990: 1}
    assert {str(part.period) for part in read.revenue} == {"P1M"}


async def test_the_ending_are_live_now_and_end_before_the_instant(storage: Storage) -> None:
    """Before it exactly; neither what is over, nor what is for life."""
    pro, life = a_plan("pro"), a_plan("life", some_terms(period=None))
    users = [a_user(f"user-{number}@example.com") for number in range(4)]
    await storage.keep(pro, life, *users)
    await storage.keep(begun_trial(users[0], pro), begun_trial(users[1], pro, NOW + DAY), an_active(users[2], life))
    await storage.keep(kept(begun_trial(users[3], pro)).cancel_now(some_metadata(NOW + DAY)))
    at = NOW + 10 * DAY
    assert (await figures(storage, at, TRIAL_END)).ending == 0
    assert (await figures(storage, at, TRIAL_END + TICK)).ending == 1
    assert (await figures(storage, at, TRIAL_END + 2 * DAY)).ending == 2
    assert (await figures(storage, TRIAL_END, TRIAL_END + 2 * DAY)).ending == 1


async def test_what_was_rolled_back_is_not_counted(storage: Storage) -> None:
    """However the counting is done."""
    pro, ann = a_plan("pro"), a_user()
    await storage.keep(pro)
    async with storage.unit_of_work() as work:
        await work.users.add(ann)
        await work.subscriptions.add(an_active(ann, pro))
    assert await figures(storage, NOW) == StatisticsSnapshot(0, statuses(), [], [], TrialCounts(0, 0, 0), 0)
