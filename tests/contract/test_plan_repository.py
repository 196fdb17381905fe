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
    """Return the plan as a new transaction reads it."""
    async with storage.unit_of_work() as work:
        return await work.plans.get(plan)


async def save(storage: Storage, plan: Plan) -> None:
    """Save the plan in a separate transaction."""
    async with storage.unit_of_work() as work:
        await work.plans.save(plan)
        await work.commit()


def with_price(plan: Plan, amount: int) -> Plan:
    """Return the stored plan with another price and its event."""
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
async def test_a_plan_is_read_as_it_was_stored(storage: Storage, terms: Terms) -> None:
    """By code and by id; features keep their types."""
    plan = a_plan("pro-2", terms)
    await storage.keep(plan)
    for name in ("pro-2", str(plan.id)):
        kept = await fetch(storage, name)
        assert kept == replace(plan, events=())
        assert [type(value) for value in kept.revision.terms.features.values()] == [
            type(value) for value in plan.revision.terms.features.values()
        ]


async def test_an_unknown_plan_is_not_found(storage: Storage) -> None:
    await storage.keep(a_plan("pro"))
    for plan in ("nothing", str(IDS.new()), "", "PRO", "pro ", "é", "x" * 1_000, "0" * 32):
        async with storage.unit_of_work() as work:
            with pytest.raises(PlanNotFound):
                await work.plans.get(plan)
            with pytest.raises(PlanNotFound):
                await work.plans.get(plan, for_update=True)


async def test_two_plans_cannot_have_the_same_code(storage: Storage) -> None:
    await storage.keep(a_plan("pro"))
    with pytest.raises(PlanCodeTaken):
        await storage.keep(a_plan("pro"))
    assert await storage.event_types() == ["plan.created"]


async def test_a_second_plan_with_the_same_id_is_an_integrity_error(storage: Storage) -> None:
    """No caller can cause this, so it is a defect and not a conflict."""
    plan = a_plan("pro")
    await storage.keep(plan)
    with pytest.raises(StorageIntegrityError):
        await storage.keep(replace(plan, code="other", events=()))


async def test_new_terms_are_a_new_revision_and_old_revisions_stay_unchanged(storage: Storage) -> None:
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
    plan = a_plan()
    await storage.keep(plan)
    async with storage.unit_of_work() as work:
        with pytest.raises(PlanNotFound):
            await work.plans.revision(plan.id, 2)
        with pytest.raises(PlanNotFound):
            await work.plans.revision(IDS.new(), 1)


async def test_a_change_of_texts_or_status_creates_no_revision(storage: Storage) -> None:
    """Two changes in one save are two events."""
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


async def test_the_second_of_two_changes_of_the_same_version_is_refused(storage: Storage) -> None:
    plan = a_plan()
    await storage.keep(plan)
    await save(storage, with_price(plan, 200))
    with pytest.raises(StaleVersion):
        await save(storage, with_price(plan, 300))
    kept = await fetch(storage, "pro")
    assert (kept.version, kept.revision.number, kept.revision.terms.price.amount) == (2, 2, 200)
    assert await storage.event_types() == ["plan.created", "plan.revised"]


async def test_saving_never_creates_a_plan(storage: Storage) -> None:
    with pytest.raises(StaleVersion):
        await save(storage, with_price(a_plan(), 300))


async def test_a_plan_is_changed_while_users_subscribe_to_it(storage: Storage) -> None:
    """A subscriber in progress gets the plan as it was when the subscription began; later ones get the new state."""
    await storage.keep(a_plan())
    async with storage.unit_of_work() as work:
        plan = await work.plans.get("pro")
        async with storage.unit_of_work() as other:
            found = await other.plans.get("pro", for_update=True)
            assert (await work.plans.get("pro")).revision == plan.revision
            await other.plans.save(with_price(found, 200).archive(some_metadata(NOW, ADMIN)))
            await other.commit()
        assert (await work.plans.get("pro")).is_archived
        assert (await work.plans.revision(plan.id, 1))[1] == plan.revision
    assert (await fetch(storage, "pro")).is_archived


async def test_a_change_of_a_plan_waits_for_another_one_and_gets_the_new_state(storage: Storage) -> None:
    plan = a_plan()
    await storage.keep(plan)

    async def look() -> None:
        async with storage.unit_of_work() as other:
            found = await other.plans.get(str(plan.id), for_update=True)
            assert found.revision.terms.price.amount == 200

    async with storage.unit_of_work() as work:
        found = await work.plans.get("pro", for_update=True)
        async with made_to_wait(look()):
            await work.plans.save(with_price(found, 200))
            await work.commit()
