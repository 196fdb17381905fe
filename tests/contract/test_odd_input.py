"""Unusual input: what cannot exist is not found, and no call fails."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from smp.application.paging import PageRequest
from smp.application.ports.subscription_reader import SubscriptionFilter
from smp.domain.errors import PlanNotFound
from tests.support.builders import IDS, NOW, a_plan, a_user, an_active
from tests.support.paging import read_all
from tests.support.storage import Storage

ODD = [
    "\x00",
    "a\x00b",
    "\ud800",
    "a\udfff",
    "\U0010ffff" * 1_000,
    "'; DROP TABLE users; --",
    "%",
    "\\",
    "{}",
    "x" * 100_000,
]
FIRST, LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


@pytest.fixture(autouse=True)
async def something_to_find(storage: Storage) -> None:
    """Store a user with a subscription to a plan."""
    ann, plan = a_user(), a_plan()
    await storage.keep(ann, plan, an_active(ann, plan))


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
async def test_an_unusual_name_finds_no_plan_and_no_user(storage: Storage, odd: str) -> None:
    with pytest.raises(PlanNotFound):
        await storage.plans.get(odd)
    with pytest.raises(PlanNotFound):
        await storage.plans.revisions(odd, PageRequest())
    assert await read_all(lambda page: storage.users.list(odd, page), 10) == []
    for filter_ in (SubscriptionFilter(plan=odd), SubscriptionFilter(email=odd)):
        assert await read_all(lambda page: storage.subscriptions.list(filter_, page, NOW), 10) == []  # noqa: B023
    async with storage.unit_of_work() as work:
        assert await work.users.find_by_email(odd) is None
        with pytest.raises(PlanNotFound):
            await work.plans.get(odd)


@pytest.mark.parametrize("odd", [b"", b"\x00", b"\xff" * 10_000])
async def test_an_unusual_digest_finds_no_session_and_no_api_key(storage: Storage, odd: bytes) -> None:
    assert await storage.sessions.find(UUID(int=0), odd) is None
    assert await storage.api_keys.find(odd) is None


@pytest.mark.parametrize("now", [FIRST, LAST])
async def test_the_first_and_the_last_instant_of_the_calendar_are_accepted(storage: Storage, now: datetime) -> None:
    assert len(await read_all(lambda page: storage.subscriptions.list(SubscriptionFilter(), page, now), 1)) == 1
    found = []
    for filter_ in (SubscriptionFilter(ends_after=now), SubscriptionFilter(ends_before=now)):
        page = await storage.subscriptions.list(filter_, PageRequest(10), NOW)
        found.append(len(page.items))
    assert sorted(found) == [0, 1]


async def test_a_page_after_the_end_of_a_list_is_empty(storage: Storage) -> None:
    """The position need not exist."""
    largest, word = 2**63 - 1, "\U0010ffff"
    plans = await storage.plans.list(None, PageRequest(10, (word, largest, word)))
    users = await storage.users.list("", PageRequest(10, (word,)))
    revisions = await storage.plans.revisions("pro", PageRequest(10, (0,)))
    history = await storage.subscriptions.history(IDS.new(), PageRequest(10, (FIRST, IDS.new())), NOW)
    by_end = await storage.subscriptions.list(
        SubscriptionFilter(ends_after=FIRST), PageRequest(10, (LAST, IDS.new())), NOW
    )
    for page in (plans, users, revisions, history, by_end):
        assert (list(page.items), page.next) == ([], None)


async def test_a_page_after_a_position_before_the_list_is_the_first_page(storage: Storage) -> None:
    plans = await storage.plans.list(None, PageRequest(10, ("", -(2**63), "")))
    users = await storage.users.list("", PageRequest(10, ("",)))
    revisions = await storage.plans.revisions("pro", PageRequest(10, (2**31 - 1,)))
    by_end = await storage.subscriptions.list(
        SubscriptionFilter(ends_after=FIRST), PageRequest(10, (FIRST, IDS.new())), NOW
    )
    for page in (plans, users, revisions, by_end):
        assert len(page.items) == 1
