from __future__ import annotations

from dataclasses import replace

import pytest

from smp.application.paging import PageRequest
from smp.application.queries.views import PlanView, RevisionView
from smp.domain.errors import PlanNotFound
from smp.domain.plan.plan import Plan, PlanStatus
from tests.support.builders import ADMIN, DAY, IDS, NOW, a_plan, some_metadata, some_terms
from tests.support.paging import read_all
from tests.support.storage import Storage


async def save(storage: Storage, plan: Plan) -> None:
    """Save the plan in a separate transaction."""
    async with storage.unit_of_work() as work:
        await work.plans.save(plan)
        await work.commit()


def archived(plan: Plan) -> Plan:
    """Return the stored plan, archived."""
    return replace(plan, events=()).archive(some_metadata(actor=ADMIN))


async def codes(storage: Storage, status: PlanStatus | None, limit: int = 100) -> list[str]:
    """Return the codes of all plans with this status."""
    return [plan.code for plan in await read_all(lambda page: storage.plans.list(status, page), limit)]


async def test_a_plan_is_shown_with_its_newest_revision(storage: Storage) -> None:
    plan = a_plan()
    await storage.keep(plan)
    dearer = replace(plan, events=()).update("Gold", "", some_terms(9_900), lambda: some_metadata(NOW + DAY, ADMIN))
    await save(storage, dearer)
    assert await storage.plans.get("pro") == PlanView.of(dearer)
    assert await storage.plans.get(str(plan.id)) == PlanView.of(dearer)
    await save(storage, archived(dearer))
    assert (await storage.plans.get("pro")).status is PlanStatus.ARCHIVED


async def test_an_unknown_plan_is_not_found(storage: Storage) -> None:
    await storage.keep(a_plan("pro"))
    for plan in ("nothing", str(IDS.new()), "", "PRO", "x" * 1_000):
        with pytest.raises(PlanNotFound):
            await storage.plans.get(plan)
        with pytest.raises(PlanNotFound):
            await storage.plans.revisions(plan, PageRequest())


async def test_plans_are_listed_cheapest_first_then_by_code(storage: Storage) -> None:
    prices = {"z": 0, "b": 500, "a-b": 500, "ab": 500, "a1": 500, "c": 100_000_000_000, "d": 20}
    await storage.keep(*(a_plan(code, some_terms(amount)) for code, amount in prices.items()))
    for limit in (1, 2, 3, 7, 100):
        assert await codes(storage, PlanStatus.ACTIVE, limit) == ["z", "d", "a-b", "a1", "ab", "b", "c"]


async def test_plans_are_listed_by_currency_because_amounts_of_two_currencies_cannot_be_compared(
    storage: Storage,
) -> None:
    prices = {
        "yen": (500, "JPY"),
        "cents": (900, "USD"),
        "euro": (700, "EUR"),
        "none": (0, "USD"),
        "dear": (901, "EUR"),
    }
    await storage.keep(*(a_plan(code, some_terms(*price)) for code, price in prices.items()))
    for limit in (1, 2, 3, 100):
        assert await codes(storage, None, limit) == ["euro", "dear", "yen", "none", "cents"]


@pytest.mark.parametrize("status", [None, PlanStatus.ACTIVE])
async def test_only_a_plan_whose_own_price_changes_can_be_skipped_between_two_pages(
    storage: Storage, status: PlanStatus | None
) -> None:
    """All others are listed once. The moved plan has its new place, which may be before the page or after it."""
    plans = [a_plan(code, some_terms(amount)) for amount, code in enumerate("abcdef", start=10)]
    await storage.keep(*plans)
    to_the_front = replace(plans[4], events=()).update("E", "", some_terms(1), lambda: some_metadata(actor=ADMIN))
    to_the_end = replace(plans[0], events=()).update("A", "", some_terms(99), lambda: some_metadata(actor=ADMIN))
    moves = iter([to_the_front, to_the_end])

    async def move() -> None:
        moved = next(moves, None)
        if moved is not None:
            await save(storage, moved)

    listed = await read_all(lambda page: storage.plans.list(status, page), 2, move)
    assert [plan.code for plan in listed] == ["a", "b", "c", "d", "f", "a"]
    assert await codes(storage, status, 2) == ["e", "b", "c", "d", "f", "a"]


async def test_a_plan_moves_back_in_the_list_when_its_price_rises(storage: Storage) -> None:
    first, second = a_plan("first", some_terms(1)), a_plan("second", some_terms(2))
    await storage.keep(first, second)
    kept = replace(first, events=())
    await save(storage, kept.update(kept.name, "", some_terms(3), lambda: some_metadata(actor=ADMIN)))
    assert await codes(storage, None) == ["second", "first"]


async def test_a_plan_moves_in_the_list_when_its_currency_changes(storage: Storage) -> None:
    first, second = a_plan("first", some_terms(1, "EUR")), a_plan("second", some_terms(1, "JPY"))
    await storage.keep(first, second)
    kept = replace(first, events=())
    await save(storage, kept.update(kept.name, "", some_terms(1, "USD"), lambda: some_metadata(actor=ADMIN)))
    for status in (None, PlanStatus.ACTIVE):
        assert await codes(storage, status) == ["second", "first"]


async def test_plans_can_be_listed_by_status(storage: Storage) -> None:
    plans = [a_plan(code, some_terms(amount)) for amount, code in enumerate("abcd")]
    await storage.keep(*plans)
    await save(storage, archived(plans[1]))
    await save(storage, archived(plans[3]))
    for limit in (1, 2, 100):
        assert await codes(storage, PlanStatus.ACTIVE, limit) == ["a", "c"]
        assert await codes(storage, PlanStatus.ARCHIVED, limit) == ["b", "d"]
        assert await codes(storage, None, limit) == ["a", "b", "c", "d"]


async def test_an_empty_list_is_one_empty_page_without_a_next(storage: Storage) -> None:
    for status in (None, *PlanStatus):
        page = await storage.plans.list(status, PageRequest(10))
        assert (list(page.items), page.next) == ([], None)


async def test_the_revisions_of_a_plan_are_listed_newest_first(storage: Storage) -> None:
    plan, other = a_plan("pro", some_terms(0)), a_plan("other")
    await storage.keep(plan, other)
    revisions = [plan.revision]
    for amount in range(1, 5):
        kept = replace(plan, events=())
        plan = kept.update(kept.name, "", some_terms(amount), lambda: some_metadata(NOW + DAY, ADMIN))
        await save(storage, plan)
        revisions.append(plan.revision)
    in_order = [RevisionView.of(revision) for revision in reversed(revisions)]
    for limit in (1, 2, 5, 100):
        assert await read_all(lambda page: storage.plans.revisions("pro", page), limit) == in_order
    assert await read_all(lambda page: storage.plans.revisions(str(plan.id), page), 100) == in_order
