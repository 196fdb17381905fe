from __future__ import annotations

from dataclasses import replace

import pytest

from smp.domain.errors import PlanCodeTaken, PlanNotFound, StaleVersion, StorageIntegrityError
from smp.domain.features import FeatureValue
from smp.domain.plan.plan import Plan, PlanStatus, Terms
from tests.support.builders import ADMIN, IDS, NOW, a_plan, some_metadata, some_terms
from tests.support.storage import Storage
from tests.support.waiting import made_to_wait

EVERY_KIND: dict[str, FeatureValue] = {
    "export": True,
    "beta": False,
    "seats": 5,
    "none": 0,
    "support": "priority",
    "empty": "",
    "odd": 'é\U0001f600\\"',
}


async def fetch(storage: Storage, plan: str) -> Plan:
    """The plan as a new transaction finds it."""
    async with storage.unit_of_work() as work:
        return await work.plans.get(plan)


async def save(storage: Storage, plan: Plan) -> None:
    """Save the plan in a transaction of its own."""
    async with storage.unit_of_work() as work:
        await work.plans.save(plan)
        await work.commit()


def with_price(plan: Plan, amount: int) -> Plan:
    """The kept plan at another price, with the event."""
    kept = replace(plan, events=())
    return kept.update(kept.name, kept.description, some_terms(amount), lambda: some_metadata(actor=ADMIN))


@pytest.mark.parametrize(
    "terms",
    [
        some_terms(),
        some_terms(0, "JPY", period=None, trial=None),
        some_terms(999_999_999_999_999, "KWD", period="PT1S", trial="P100Y"),
        some_terms(1, "EUR", period="P2W", trial="PT90M", **EVERY_KIND),
    ],
    ids=["common", "free for life", "largest", "every kind of feature"],
)
async def test_a_plan_comes_back_as_it_was(storage: Storage, terms: Terms) -> None:
    """Every field of it, by code and by id; features keep their types."""
    plan = a_plan("pro-2", terms)
    await storage.keep(plan)
    for name in ("pro-2", str(plan.id)):
        kept = await fetch(storage, name)
        assert kept == replace(plan, events=())
        assert [type(value) for value in kept.revision.terms.features.values()] == [
            type(value) for value in plan.revision.terms.features.values()
        ]


async def test_an_unknown_plan_is_not_found(storage: Storage) -> None:
    """Neither by code, nor by id, nor by anything else that a caller may send."""
    await storage.keep(a_plan("pro"))
    for plan in ("nothing", str(IDS.new()), "", "PRO", "pro ", "é", "x" * 1_000, "0" * 32):
        async with storage.unit_of_work() as work:
            with pytest.raises(PlanNotFound):
                await work.plans.get(plan)
            with pytest.raises(PlanNotFound):
                await work.plans.get(plan, for_change=True)


async def test_a_code_is_unique(storage: Storage) -> None:
    """The storage itself refuses the second one."""
    await storage.keep(a_plan("pro"))
    with pytest.raises(PlanCodeTaken):
        await storage.keep(a_plan("pro"))
    assert await storage.event_types() == ["plan.created"]


async def test_an_id_is_unique(storage: Storage) -> None:
    """No caller can ask for this: it is a defect, not a conflict."""
    plan = a_plan("pro")
    await storage.keep(plan)
    with pytest.raises(StorageIntegrityError):
        await storage.keep(replace(plan, code="other", events=()))


async def test_every_revision_is_kept(storage: Storage) -> None:
    """New terms are a new revision beside the old ones, which stay what they were."""
    plan = a_plan("pro", some_terms(100))
    await storage.keep(plan)
    dearer = with_price(plan, 200)
    await save(storage, dearer)
    dearest = with_price(dearer, 300)
    await save(storage, dearest)
    assert await fetch(storage, "pro") == replace(dearest, events=())
    async with storage.unit_of_work() as work:
        for number, amount in ((1, 100), (2, 200), (3, 300)):
            found, revision = await work.plans.revision(plan.id, number)
            assert found == replace(dearest, events=())
            assert (revision.plan_id, revision.number, revision.terms) == (plan.id, number, some_terms(amount))
    assert await storage.event_types() == ["plan.created", "plan.revised", "plan.revised"]


async def test_an_unknown_revision_is_not_found(storage: Storage) -> None:
    """Of a known plan and of an unknown one."""
    plan = a_plan()
    await storage.keep(plan)
    async with storage.unit_of_work() as work:
        with pytest.raises(PlanNotFound):
            await work.plans.revision(plan.id, 2)
        with pytest.raises(PlanNotFound):
            await work.plans.revision(IDS.new(), 1)


async def test_texts_and_status_change_in_place(storage: Storage) -> None:
    """They make no revision; two changes in one save are two events."""
    plan = a_plan()
    await storage.keep(plan)
    changed = replace(plan, events=()).update("Gold", "Shiny", plan.revision.terms, lambda: some_metadata(actor=ADMIN))
    await save(storage, changed.archive(some_metadata(actor=ADMIN)))
    kept = await fetch(storage, "pro")
    assert (kept.name, kept.description, kept.status) == ("Gold", "Shiny", PlanStatus.ARCHIVED)
    assert (kept.revision.number, kept.version) == (1, 3)
    await save(storage, kept.restore(some_metadata(actor=ADMIN)))
    assert (await fetch(storage, "pro")).status is PlanStatus.ACTIVE
    assert await storage.event_types() == ["plan.created", "plan.updated", "plan.archived", "plan.restored"]


async def test_a_plan_that_has_moved_on_cannot_be_saved(storage: Storage) -> None:
    """The second of two changes of the same version is refused and leaves nothing."""
    plan = a_plan()
    await storage.keep(plan)
    await save(storage, with_price(plan, 200))
    with pytest.raises(StaleVersion):
        await save(storage, with_price(plan, 300))
    kept = await fetch(storage, "pro")
    assert (kept.version, kept.revision.number, kept.revision.terms.price.amount) == (2, 2, 200)
    assert await storage.event_types() == ["plan.created", "plan.revised"]


async def test_an_unknown_plan_cannot_be_saved(storage: Storage) -> None:
    """Saving never makes a plan."""
    with pytest.raises(StaleVersion):
        await save(storage, with_price(a_plan(), 300))


async def test_a_plan_in_use_cannot_be_archived_meanwhile(storage: Storage) -> None:
    """Who subscribes to a plan keeps it open until the transaction ends."""
    plan = a_plan()
    await storage.keep(plan)

    async def archive() -> None:
        async with storage.unit_of_work() as other:
            found = await other.plans.get("pro", for_change=True)
            await other.plans.save(found.archive(some_metadata(NOW, ADMIN)))
            await other.commit()

    async with storage.unit_of_work() as work:
        await work.plans.get("pro")
        async with made_to_wait(archive()):
            await work.commit()
    assert (await fetch(storage, "pro")).is_archived


async def test_a_plan_may_be_used_by_many_at_once(storage: Storage) -> None:
    """Subscribing to a plan does not make others wait who do so as well."""
    await storage.keep(a_plan())
    async with storage.unit_of_work() as one, storage.unit_of_work() as other:
        await one.plans.get("pro")
        await other.plans.get("pro")


async def test_a_plan_that_is_to_be_changed_is_protected(storage: Storage) -> None:
    """Who wants to subscribe waits for the change, and gets the plan as it then is."""
    plan = a_plan()
    await storage.keep(plan)

    async def look() -> None:
        async with storage.unit_of_work() as other:
            assert (await other.plans.get(str(plan.id))).revision.terms.price.amount == 200

    async with storage.unit_of_work() as work:
        found = await work.plans.get("pro", for_change=True)
        async with made_to_wait(look()):
            await work.plans.save(with_price(found, 200))
            await work.commit()
