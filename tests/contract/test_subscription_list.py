"""The administrators' list of subscriptions: every filter at every instant, before and after the expiry job."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from uuid import UUID

import pytest

from smp.application.paging import PageRequest
from smp.application.ports.subscription_reader import SubscriptionFilter
from smp.application.queries.views import SubscriptionView
from smp.domain.subscription.lifecycle import Status
from smp.domain.subscription.subscription import Subscription
from smp.domain.user.user import User
from tests.support.builders import DAY, IDS, NOW, TICK, a_plan, a_trial, a_user, an_active, some_metadata, some_terms
from tests.support.paging import read_all
from tests.support.storage import Storage

PRO, LIFE = a_plan("pro"), a_plan("life", some_terms(period=None))
USERS = [a_user(f"User-{number}@Example.com") for number in range(8)]
TRIAL_END = NOW + 14 * DAY
MONTH_END = datetime(2026, 2, 28, 12, 0, 0, 123_456, tzinfo=NOW.tzinfo)


def as_stored(subscription: Subscription) -> Subscription:
    """Return the subscription as it is read from the storage."""
    return replace(subscription, events=())


SUBSCRIPTIONS = [
    a_trial(USERS[0], PRO),
    a_trial(USERS[1], PRO, NOW - DAY),
    a_trial(USERS[2], PRO).cancel_at_period_end(some_metadata()),
    an_active(USERS[3], PRO),
    an_active(USERS[4], PRO).cancel_at_period_end(some_metadata()),
    an_active(USERS[5], LIFE),
    as_stored(a_trial(USERS[6], PRO, NOW - 20 * DAY)).apply_expiry(some_metadata()),
    as_stored(an_active(USERS[6], PRO)).cancel_now(some_metadata(NOW + DAY)),
    as_stored(an_active(USERS[7], LIFE)).cancel_now(some_metadata(NOW + DAY)),
]
"""Every status, each live one with an end twice (of which one is to be cancelled), two of one user."""

STATUSES: list[frozenset[Status]] = [frozenset(), *(frozenset({status}) for status in Status)]
INSTANTS = [NOW + DAY, TRIAL_END - TICK, TRIAL_END, MONTH_END - TICK, MONTH_END, NOW + 1_000 * DAY]


@pytest.fixture
async def filled(storage: Storage) -> Storage:
    """Return a storage with users, plans and subscriptions."""
    await storage.keep(*USERS, PRO, LIFE, *SUBSCRIPTIONS)
    return storage


async def found(
    storage: Storage, filter_: SubscriptionFilter, now: datetime = NOW + DAY, limit: int = 100
) -> list[SubscriptionView]:
    """Return all pages of the list."""
    return await read_all(lambda page: storage.subscriptions.list(filter_, page, now), limit)


async def ids(storage: Storage, filter_: SubscriptionFilter, now: datetime = NOW + DAY, limit: int = 100) -> list[UUID]:
    """Return the ids on all pages of the list."""
    return [view.id for view in await found(storage, filter_, now, limit)]


def newest_first(*subscriptions: Subscription) -> list[UUID]:
    """Return the ids in the order of the list without a filter by end."""
    return sorted((subscription.id for subscription in subscriptions), reverse=True)


async def test_without_a_filter_all_subscriptions_are_listed_newest_first(filled: Storage) -> None:
    for limit in (1, 2, 4, 9, 100):
        assert await ids(filled, SubscriptionFilter(), limit=limit) == newest_first(*SUBSCRIPTIONS)


async def test_a_listed_subscription_looks_like_the_same_one_read_alone(filled: Storage) -> None:
    for now in INSTANTS:
        for view in await found(filled, SubscriptionFilter(), now):
            assert view == await filled.subscriptions.get(view.id, now)


@pytest.mark.parametrize("now", INSTANTS)
async def test_the_filter_by_status_uses_the_status_at_the_instant(filled: Storage, now: datetime) -> None:
    """The expiry job changes no answer."""
    for chosen in product([False, True], repeat=4):
        statuses = frozenset(status for status, is_chosen in zip(Status, chosen, strict=True) if is_chosen)
        expected = newest_first(*(row for row in SUBSCRIPTIONS if not statuses or row.status_at(now) in statuses))
        for limit in (1, 3, 100):
            assert await ids(filled, SubscriptionFilter(statuses), now, limit) == expected
    await run_expiry_job(filled, now)
    for status in Status:
        expected = newest_first(*(row for row in SUBSCRIPTIONS if row.status_at(now) is status))
        assert await ids(filled, SubscriptionFilter(frozenset({status})), now, 2) == expected


async def run_expiry_job(storage: Storage, now: datetime) -> None:
    """Store the effective status of every overdue subscription."""
    async with storage.unit_of_work() as work:
        due = await work.subscriptions.claim_overdue(now, 100)
        await work.subscriptions.save_ended([subscription.apply_expiry(some_metadata(now)) for subscription in due])
        await work.commit()


async def test_subscriptions_can_be_listed_by_the_code_or_id_of_a_plan(filled: Storage) -> None:
    expected = newest_first(SUBSCRIPTIONS[5], SUBSCRIPTIONS[8])
    for plan in ("life", str(LIFE.id)):
        for limit in (1, 100):
            assert await ids(filled, SubscriptionFilter(plan=plan), limit=limit) == expected
    for plan in ("nothing", str(IDS.new()), "", "LIFE", "%"):
        page = await filled.subscriptions.list(SubscriptionFilter(plan=plan), PageRequest(), NOW)
        assert (list(page.items), page.next) == ([], None)


async def test_subscriptions_can_be_listed_by_the_id_or_the_whole_email_of_a_user(filled: Storage) -> None:
    user, expected = USERS[6], newest_first(*SUBSCRIPTIONS[6:8])
    for filter_ in (
        SubscriptionFilter(user_id=user.id),
        SubscriptionFilter(email="user-6@example.com"),
        SubscriptionFilter(email="USER-6@EXAMPLE.COM", user_id=user.id),
    ):
        for limit in (1, 100):
            assert await ids(filled, filter_, limit=limit) == expected
    for filter_ in (
        SubscriptionFilter(user_id=IDS.new()),
        SubscriptionFilter(email="user-6@example.co"),
        SubscriptionFilter(email="user-_@example.com"),
        SubscriptionFilter(email=""),
        SubscriptionFilter(email="user-6@example.com", user_id=USERS[0].id),
    ):
        assert await ids(filled, filter_) == []


def by_end(after: datetime | None, before: datetime | None) -> list[UUID]:
    """Return the ids of those that end from ``after`` until before ``before``, soonest end first."""
    rows = [
        (row.ends_at, row.id)
        for row in SUBSCRIPTIONS
        if row.ends_at is not None
        and (after is None or row.ends_at >= after)
        and (before is None or row.ends_at < before)
    ]
    return [id_ for _, id_ in sorted(rows)]


@pytest.mark.parametrize(
    ("after", "before"),
    [
        (None, TRIAL_END),
        (None, TRIAL_END + TICK),
        (TRIAL_END, None),
        (TRIAL_END + TICK, None),
        (TRIAL_END, MONTH_END),
        (TRIAL_END - DAY, MONTH_END + TICK),
        (MONTH_END, TRIAL_END),
        (NOW + 1_000 * DAY, None),
    ],
)
async def test_subscriptions_can_be_listed_by_their_end_soonest_first(
    filled: Storage, after: datetime | None, before: datetime | None
) -> None:
    """Lifetime subscriptions have no end and are not listed."""
    filter_ = SubscriptionFilter(ends_after=after, ends_before=before)
    for limit in (1, 2, 100):
        assert await ids(filled, filter_, limit=limit) == by_end(after, before)


def real_ends(now: datetime, after: datetime | None, before: datetime | None) -> list[UUID]:
    """Return the ids of those that have ended from ``after`` until before ``before``, the earliest end first."""
    ended = [(row.as_of(now).ended_at, row.id) for row in SUBSCRIPTIONS]
    rows = [
        (end, id_)
        for end, id_ in ended
        if end is not None and (after is None or end >= after) and (before is None or end < before)
    ]
    return [id_ for _, id_ in sorted(rows)]


REAL_ENDS = [
    (None, NOW + DAY),
    (None, NOW + DAY + TICK),
    (NOW + DAY, None),
    (NOW + DAY + TICK, None),
    (TRIAL_END, MONTH_END + TICK),
    (MONTH_END, TRIAL_END),
    (None, NOW + 5_000 * DAY),
]


@pytest.mark.parametrize("now", INSTANTS)
@pytest.mark.parametrize(("after", "before"), REAL_ENDS)
async def test_those_who_left_in_a_period_are_listed_by_their_real_end(
    filled: Storage, now: datetime, after: datetime | None, before: datetime | None
) -> None:
    """Those who left early are in the period in which they left; the expiry job changes no answer."""
    for is_expired in (False, True):
        if is_expired:
            await run_expiry_job(filled, now)
        for statuses, plan, user in product(STATUSES, [None, "pro"], [None, USERS[6]]):
            filter_ = SubscriptionFilter(
                statuses=statuses,
                plan=plan,
                user_id=None if user is None else user.id,
                ended_after=after,
                ended_before=before,
            )
            wanted = {
                row.id
                for row in SUBSCRIPTIONS
                if (not statuses or row.status_at(now) in statuses)
                and (plan is None or row.plan_id == PRO.id)
                and (user is None or row.user_id == user.id)
            }
            expected = [id_ for id_ in real_ends(now, after, before) if id_ in wanted]
            assert await ids(filled, filter_, now, limit=1) == expected
            assert await ids(filled, filter_, now) == expected


async def test_the_planned_and_the_real_end_can_be_restricted_together(filled: Storage) -> None:
    """Who left earlier than planned: the order is that of the real ends."""
    now = NOW + 1_000 * DAY
    for after, before in ((TRIAL_END, None), (MONTH_END, None), (None, TRIAL_END), (TRIAL_END, MONTH_END)):
        filter_ = SubscriptionFilter(
            ends_after=after, ends_before=before, ended_after=NOW - DAY, ended_before=NOW + 2 * DAY
        )
        planned = by_end(after, before)
        expected = [id_ for id_ in real_ends(now, NOW - DAY, NOW + 2 * DAY) if id_ in planned]
        for limit in (1, 100):
            assert await ids(filled, filter_, now, limit=limit) == expected


@pytest.mark.parametrize("order", [SubscriptionFilter(ends_after=NOW), SubscriptionFilter(ended_after=NOW)])
async def test_the_last_instant_of_the_calendar_is_listed(storage: Storage, order: SubscriptionFilter) -> None:
    last = datetime.max.replace(tzinfo=UTC)
    active = an_active(USERS[0], PRO)
    ended = replace(active, ends_at=last, status=Status.EXPIRED, ended_at=last, events=active.events)
    await storage.keep(USERS[0], PRO, ended)
    assert await ids(storage, order, last) == [active.id]
    assert await ids(storage, replace(order, plan="pro"), last) == [active.id]
    assert await ids(storage, replace(order, user_id=USERS[0].id), last) == [active.id]


@pytest.mark.parametrize("now", INSTANTS)
@pytest.mark.parametrize("plan", [None, "pro"])
@pytest.mark.parametrize("user", [None, USERS[4], USERS[6]])
async def test_a_listed_subscription_matches_all_filters(
    filled: Storage, now: datetime, plan: str | None, user: User | None
) -> None:
    for statuses, end in product(STATUSES, [None, MONTH_END]):
        filter_ = SubscriptionFilter(
            statuses=statuses,
            plan=plan,
            user_id=None if user is None else user.id,
            email=None if user is None else user.email.text.upper(),
            ends_after=end,
        )
        rows = [
            row
            for row in SUBSCRIPTIONS
            if (not statuses or row.status_at(now) in statuses)
            and (plan is None or row.plan_id == PRO.id)
            and (user is None or row.user_id == user.id)
        ]
        expected = newest_first(*rows)
        if end is not None:
            expected = [id_ for id_ in by_end(end, None) if id_ in expected]
        for limit in (1, 2):
            assert await ids(filled, filter_, now, limit) == expected


@pytest.mark.parametrize("filter_", [SubscriptionFilter(), SubscriptionFilter(ends_after=NOW)])
async def test_new_subscriptions_make_no_page_skip_or_repeat_an_old_one(
    filled: Storage, filter_: SubscriptionFilter
) -> None:
    old = await ids(filled, filter_)
    numbers = iter(range(100))

    async def add_more() -> None:
        for plan, at in ((PRO, NOW - 5 * DAY), (PRO, NOW + 5 * DAY), (LIFE, NOW)):
            user = a_user(f"new-{next(numbers)}@example.com")
            await filled.keep(user, an_active(user, plan, at))

    listed = await read_all(lambda page: filled.subscriptions.list(filter_, page, NOW), 2, add_more)
    seen = [view.id for view in listed]
    assert [id_ for id_ in seen if id_ in old] == old
    assert len(set(seen)) == len(seen)
