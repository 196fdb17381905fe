"""Creating, changing, archiving and reading plans."""

from __future__ import annotations

from dataclasses import replace

import pytest

from smp.adapters.memory.store import MemoryStore
from smp.application.caller import ANONYMOUS, OPERATOR, Caller
from smp.application.commands.archive_plan import ArchivePlan
from smp.application.commands.create_plan import CreatePlan
from smp.application.commands.restore_plan import RestorePlan
from smp.application.commands.update_plan import PlanPatch, UpdatePlan
from smp.application.errors import Forbidden, NotAuthenticated
from smp.application.paging import PageRequest
from smp.application.preconditions import VersionPrecondition
from smp.application.queries.get_plan import GetPlan
from smp.application.queries.list_plan_revisions import ListPlanRevisions
from smp.application.queries.list_plans import ListPlans
from smp.application.queries.views import PlanView, RevisionView
from smp.domain.errors import PlanCodeTaken, PlanNotFound, StaleVersion, ValidationError
from smp.domain.features import features
from smp.domain.money import Money
from smp.domain.period import Period
from smp.domain.plan.plan import PlanStatus
from tests.support.builders import ADMIN, ADMIN_CALLER, DAY, IDS, NOW, a_plan, a_user, an_admin, caller_of, some_terms
from tests.support.refusals import refused
from tests.support.storage import Storage
from tests.support.use_cases import UseCases

LATER = NOW + DAY


async def test_a_new_plan_is_active_at_revision_1(store: MemoryStore, use_cases: UseCases) -> None:
    """Its event has the administrator as actor."""
    outcome = await use_cases(CreatePlan("pro", "Pro", "For pros", some_terms()), ADMIN_CALLER)
    plan = outcome.plan
    assert outcome.created
    assert (plan.code, plan.name, plan.description) == ("pro", "Pro", "For pros")
    assert (plan.status, plan.version, plan.created_at) == (PlanStatus.ACTIVE, 1, NOW)
    terms = some_terms()
    assert plan.revision == RevisionView(1, terms.price, terms.period, terms.trial_period, terms.features, NOW)
    assert await use_cases(GetPlan("pro"), ANONYMOUS) == plan
    (event,) = store.events
    assert (event.type, event.occurred_at, event.actor) == ("plan.created", NOW, ADMIN)
    assert event.data["price"] == {"amount": 1990, "currency": "USD"}


@pytest.mark.parametrize("code", ["", "Pro", "-pro", "pro plan", "x" * 64, "é", "pro\n", "pro/1"])
async def test_a_plan_code_that_is_no_slug_is_rejected(store: MemoryStore, use_cases: UseCases, code: str) -> None:
    with refused(store, ValidationError) as caught:
        await use_cases(CreatePlan(code, "Pro", "", some_terms()), ADMIN_CALLER)
    assert caught.value.pointer == "/code"


@pytest.mark.parametrize(
    ("name", "description", "pointer"),
    [
        ("", "", "/name"),
        (" ", "", "/name"),
        ("x" * 201, "", "/name"),
        ("a\x00", "", "/name"),
        ("a", "x" * 2_001, "/description"),
        ("a", "\x00", "/description"),
    ],
)
async def test_an_invalid_name_or_description_is_rejected(
    store: MemoryStore, storage: Storage, use_cases: UseCases, name: str, description: str, pointer: str
) -> None:
    """For a new plan and for a change."""
    with refused(store, ValidationError) as caught:
        await use_cases(CreatePlan("pro", name, description, some_terms()), ADMIN_CALLER)
    assert caught.value.pointer == pointer
    await storage.keep(a_plan())
    with refused(store, ValidationError) as caught:
        await use_cases(UpdatePlan("pro", PlanPatch(name=name, description=description)), ADMIN_CALLER)
    assert caught.value.pointer == pointer


async def test_a_taken_plan_code_is_rejected(store: MemoryStore, storage: Storage, use_cases: UseCases) -> None:
    """The code of an archived plan is taken too."""
    await storage.keep(a_plan())
    await use_cases(ArchivePlan("pro"), ADMIN_CALLER)
    with refused(store, PlanCodeTaken):
        await use_cases(CreatePlan("pro", "Pro", "", some_terms()), ADMIN_CALLER)


async def test_a_new_name_or_description_creates_no_revision(
    store: MemoryStore, storage: Storage, use_cases: UseCases
) -> None:
    """It writes one event. A value that is not given stays as it was."""
    plan = a_plan()
    await storage.keep(plan)
    await use_cases.set_clock(LATER)
    outcome = await use_cases(UpdatePlan("pro", PlanPatch(name="Gold")), ADMIN_CALLER)
    assert outcome.plan == replace(PlanView.of(plan), name="Gold", version=2)
    assert not outcome.created
    event = store.events[-1]
    assert (event.type, event.occurred_at, event.actor) == ("plan.updated", LATER, ADMIN)
    assert event.data == {"name": "Gold", "description": "The pro plan"}


async def test_a_change_of_terms_creates_a_revision(store: MemoryStore, storage: Storage, use_cases: UseCases) -> None:
    """Each term can be changed alone. The previous revision stays as it was."""
    await storage.keep(a_plan("pro", some_terms(export=True, seats=5)))
    await use_cases.set_clock(LATER)
    patches = [
        PlanPatch(amount=2990),
        PlanPatch(currency="EUR"),
        PlanPatch(period=None),
        PlanPatch(trial_period=Period.parse("P7D")),
        PlanPatch(features={"seats": None, "support": "priority"}),
        PlanPatch(features=None),
    ]
    for number, patch in enumerate(patches, start=2):
        outcome = await use_cases(UpdatePlan("pro", patch), ADMIN_CALLER)
        assert (outcome.plan.revision.revision, outcome.plan.version) == (number, number)
        assert (store.events[-1].type, store.events[-1].occurred_at) == ("plan.revised", LATER)
    page = await use_cases(ListPlanRevisions("pro"), OPERATOR)
    first, *_, last = reversed(page.items)
    assert (first.price, first.created_at, dict(first.features)) == (
        Money(1990, "USD"),
        NOW,
        {"export": True, "seats": 5},
    )
    assert (last.price, last.period, last.trial_period) == (Money(2990, "EUR"), None, Period.parse("P7D"))
    assert (last.features, last.created_at) == (features({}), LATER)
    assert dict(page.items[1].features) == {"export": True, "support": "priority"}


async def test_a_change_of_texts_and_terms_writes_two_events(
    store: MemoryStore, storage: Storage, use_cases: UseCases
) -> None:
    """Of the same instant, with different ids."""
    await storage.keep(a_plan())
    outcome = await use_cases(UpdatePlan("pro", PlanPatch(name="Gold", amount=1)), ADMIN_CALLER)
    assert outcome.plan.version == 3
    updated, revised = store.events[-2:]
    assert (updated.type, revised.type) == ("plan.updated", "plan.revised")
    assert updated.id != revised.id


async def test_a_change_to_the_same_values_changes_nothing(
    store: MemoryStore, storage: Storage, use_cases: UseCases
) -> None:
    """No event, no version, no revision."""
    await storage.keep(a_plan("pro", some_terms(1990, seats=5)))
    before = store.state
    for patch in (PlanPatch(), PlanPatch(name="Pro", amount=1990, features={"seats": 5, "gone": None})):
        outcome = await use_cases(UpdatePlan("pro", patch), ADMIN_CALLER)
        assert outcome.plan.version == 1
    assert store.state == before


@pytest.mark.parametrize(
    ("patch", "pointer"),
    [
        (PlanPatch(amount=-1), "/price/amount"),
        (PlanPatch(currency="usd"), "/price/currency"),
        (PlanPatch(features={"Bad Key": True}), "/features/Bad Key"),
        (PlanPatch(features={"seats": -1}), "/features/seats"),
        (PlanPatch(features={f"key-{n}": n for n in range(201)}), "/features"),
    ],
)
async def test_invalid_terms_are_rejected(
    store: MemoryStore, storage: Storage, use_cases: UseCases, patch: PlanPatch, pointer: str
) -> None:
    """The error points at the invalid field."""
    await storage.keep(a_plan())
    with refused(store, ValidationError) as caught:
        await use_cases(UpdatePlan("pro", patch), ADMIN_CALLER)
    assert caught.value.pointer == pointer


async def test_a_plan_can_be_archived_and_restored(store: MemoryStore, storage: Storage, use_cases: UseCases) -> None:
    """A second time writes no event."""
    plan = a_plan()
    await storage.keep(plan)
    for name in ("pro", str(plan.id)):
        archived = await use_cases(ArchivePlan(name), ADMIN_CALLER)
        assert (archived.plan.status, archived.plan.version) == (PlanStatus.ARCHIVED, 2)
    for name in ("pro", str(plan.id)):
        restored = await use_cases(RestorePlan(name), ADMIN_CALLER)
        assert (restored.plan.status, restored.plan.version) == (PlanStatus.ACTIVE, 3)
    assert [event.type for event in store.events] == ["plan.created", "plan.archived", "plan.restored"]
    assert {event.actor for event in store.events} == {ADMIN}


async def test_an_unknown_plan_is_not_found(store: MemoryStore, use_cases: UseCases) -> None:
    """For every operation."""
    for plan in ("nothing", str(IDS.new())):
        with refused(store, PlanNotFound):
            await use_cases(UpdatePlan(plan, PlanPatch(name="Gold")), ADMIN_CALLER)
        with refused(store, PlanNotFound):
            await use_cases(ArchivePlan(plan), ADMIN_CALLER)
        with refused(store, PlanNotFound):
            await use_cases(RestorePlan(plan), ADMIN_CALLER)
        with refused(store, PlanNotFound):
            await use_cases(GetPlan(plan), ANONYMOUS)
        with refused(store, PlanNotFound):
            await use_cases(ListPlanRevisions(plan), OPERATOR)


async def test_a_change_with_another_version_than_expected_is_rejected(
    store: MemoryStore, storage: Storage, use_cases: UseCases
) -> None:
    """With ``*`` any version is accepted."""
    await storage.keep(a_plan())
    stale = VersionPrecondition(frozenset({0, 2}))
    with refused(store, StaleVersion):
        await use_cases(UpdatePlan("pro", PlanPatch(name="Gold"), stale), ADMIN_CALLER)
    with refused(store, StaleVersion):
        await use_cases(ArchivePlan("pro", stale), ADMIN_CALLER)
    with refused(store, StaleVersion):
        await use_cases(RestorePlan("pro", stale), ADMIN_CALLER)
    await use_cases(UpdatePlan("pro", PlanPatch(name="Gold"), VersionPrecondition(frozenset({1}))), ADMIN_CALLER)
    await use_cases(ArchivePlan("pro", VersionPrecondition(frozenset({1, 2}))), ADMIN_CALLER)
    outcome = await use_cases(RestorePlan("pro", VersionPrecondition(None)), ADMIN_CALLER)
    assert outcome.plan.version == 4


async def test_every_caller_sees_the_active_plans(storage: Storage, use_cases: UseCases) -> None:
    """Cheapest first, page by page."""
    await storage.keep(
        a_plan("b", some_terms(2)), a_plan("a", some_terms(2)), a_plan("z", some_terms(1)), a_plan("old")
    )
    await use_cases(ArchivePlan("old"), ADMIN_CALLER)
    page = await use_cases(ListPlans(), ANONYMOUS)
    assert [plan.code for plan in page.items] == ["z", "a", "b"]
    first = await use_cases(ListPlans(page=PageRequest(2)), ANONYMOUS)
    rest = await use_cases(ListPlans(page=PageRequest(2, first.next)), ANONYMOUS)
    assert [plan.code for plan in (*first.items, *rest.items)] == ["z", "a", "b"]
    assert rest.next is None


@pytest.mark.parametrize("status", [PlanStatus.ARCHIVED, None])
async def test_only_administrators_can_list_archived_plans(
    store: MemoryStore, storage: Storage, use_cases: UseCases, status: PlanStatus | None
) -> None:
    """A caller that has the code or the id can read one archived plan."""
    await storage.keep(a_plan("old"))
    await use_cases(ArchivePlan("old"), ADMIN_CALLER)
    page = await use_cases(ListPlans(status), caller_of(an_admin()))
    assert [plan.code for plan in page.items] == ["old"]
    with refused(store, NotAuthenticated):
        await use_cases(ListPlans(status), ANONYMOUS)
    for caller in (caller_of(a_user()), Caller.of_service(IDS.new())):
        with refused(store, Forbidden):
            await use_cases(ListPlans(status), caller)
    assert (await use_cases(GetPlan("old"), ANONYMOUS)).status is PlanStatus.ARCHIVED
