"""Plans: texts change in place, a change of terms creates a revision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from smp.domain.errors import ValidationError
from smp.domain.events import EventMetadata
from smp.domain.features import FeatureValue
from smp.domain.plan.plan import DESCRIPTION_MAX, NAME_MAX, Plan, PlanRevision, PlanStatus, Terms
from tests.support.builders import ADMIN, DURING, PLAN_ID, START, some_metadata, some_terms


def plan(of: Terms | None = None, code: str = "pro") -> Plan:
    """Return a plan as a repository loads it, created at START."""
    made = Plan.create(
        PLAN_ID, code, "Pro", "For teams", some_terms() if of is None else of, some_metadata(START, ADMIN)
    )
    return replace(made, events=())


def new_metadata() -> EventMetadata:
    """Return event metadata at DURING."""
    return some_metadata(DURING, ADMIN)


def test_a_new_plan_is_active_at_revision_1_and_its_event_contains_the_terms() -> None:
    why = some_metadata(START, ADMIN)
    made = Plan.create(PLAN_ID, "pro", "Pro", "For teams", some_terms(), why)
    assert (made.status, made.version, made.created_at) == (PlanStatus.ACTIVE, 1, START)
    assert made.revision == PlanRevision(PLAN_ID, 1, some_terms(), START)
    assert not made.is_archived
    (event,) = made.events
    assert (event.id, event.type, event.occurred_at, event.actor) == (why.event_id, "plan.created", START, ADMIN)
    assert (event.subject_id, event.version) == (PLAN_ID, 1)
    assert dict(event.data) == {
        "code": "pro",
        "name": "Pro",
        "revision": 1,
        "price": {"amount": 1_990, "currency": "USD"},
        "period": "P1M",
        "trial_period": "P14D",
        "features": {"export": True, "seats": 5},
    }


@pytest.mark.parametrize("code", ["a", "0", "pro", "pro-2024", "a-", "a--b", "z" * 63, "deadbeef", UUID(int=7).hex])
def test_a_plan_code_is_a_slug_of_up_to_63_characters(code: str) -> None:
    assert plan(code=code).code == code


@pytest.mark.parametrize(
    "code",
    [
        *("", "-a", "A", "Pro", "a_b", "a.b", "a b", "é", "a\n", "a/b", "z" * 64),
        *(str(UUID(int=7)), "0192f3a4-5b6c-7d8e-9fab-cdef01234567"),
    ],
)
def test_a_code_that_is_no_slug_or_looks_like_an_id_is_rejected(code: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        plan(code=code)
    assert refusal.value.pointer == "/code"


@pytest.mark.parametrize("name", ["", " ", "\n\t", "\u3000", "x" * (NAME_MAX + 1), "a\x00b", "a\ud800"])
def test_a_name_that_is_blank_too_long_or_not_storable_is_rejected(name: str) -> None:
    """This holds for a new plan and for a change."""
    with pytest.raises(ValidationError) as refusal:
        Plan.create(PLAN_ID, "pro", name, "", some_terms(), new_metadata())
    assert refusal.value.pointer == "/name"
    with pytest.raises(ValidationError) as refusal:
        plan().update(name, "", some_terms(), new_metadata)
    assert refusal.value.pointer == "/name"


@pytest.mark.parametrize("description", ["x" * (DESCRIPTION_MAX + 1), "a\x00b", "\udc00"])
def test_a_description_that_is_too_long_or_not_storable_is_rejected(description: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        plan().update("Pro", description, some_terms(), new_metadata)
    assert refusal.value.pointer == "/description"


def test_the_longest_name_and_description_are_accepted() -> None:
    changed = plan().update("n" * NAME_MAX, "d" * DESCRIPTION_MAX, some_terms(), new_metadata)
    assert (len(changed.name), len(changed.description)) == (NAME_MAX, DESCRIPTION_MAX)


def test_a_new_name_or_description_creates_no_revision() -> None:
    before = plan()
    changed = before.update("Pro+", "For larger teams", some_terms(), new_metadata)
    assert (changed.name, changed.description) == ("Pro+", "For larger teams")
    assert changed.revision is before.revision
    assert changed.version == 2
    (event,) = changed.events
    assert (event.type, event.version) == ("plan.updated", 2)
    assert dict(event.data) == {"name": "Pro+", "description": "For larger teams"}


@pytest.mark.parametrize(
    "new",
    [
        some_terms(amount=2_990),
        some_terms(currency="EUR"),
        some_terms(period="P1Y"),
        some_terms(period=None),
        some_terms(trial="P7D"),
        some_terms(trial=None),
        some_terms(export=True, seats=6),
        some_terms(export=True),
        some_terms(export=1, seats=5),
        some_terms(period="P12M"),
    ],
)
def test_a_change_of_terms_creates_the_next_revision(new: Terms) -> None:
    """Price, period, trial period or features. The revision before stays as it was."""
    before = plan()
    old = before.revision
    changed = before.update("Pro", "For teams", new, new_metadata)
    assert changed.revision == PlanRevision(PLAN_ID, 2, new, DURING)
    assert changed.revision.terms.same_as(new)
    assert before.revision is old
    assert changed.version == 2
    (event,) = changed.events
    assert (event.type, event.version, event.data["revision"]) == ("plan.revised", 2, 2)


@pytest.mark.parametrize(("old", "new"), [(True, 1), (1, True), (False, 0), (0, False)])
def test_a_switch_that_becomes_a_limit_is_a_change_of_terms(old: FeatureValue, new: FeatureValue) -> None:
    """In Python ``True == 1``; the change must not be lost."""
    changed = plan(some_terms(seats=old)).update("Pro", "For teams", some_terms(seats=new), new_metadata)
    assert changed.revision.number == 2
    assert type(changed.revision.terms.features["seats"]) is type(new)


def test_a_change_of_texts_and_terms_writes_two_events() -> None:
    """Each has a new id, and the versions have no gap."""
    changed = plan().update("Pro+", "For teams", some_terms(amount=1), new_metadata)
    assert [(event.type, event.version) for event in changed.events] == [("plan.updated", 2), ("plan.revised", 3)]
    assert len({event.id for event in changed.events}) == 2
    assert (changed.version, changed.revision.number) == (3, 2)


def test_no_event_is_dated_before_the_last_one() -> None:
    """Nor is a revision."""
    changed = plan().archive(new_metadata()).restore(some_metadata(START))
    changed = changed.update("Pro+", "For teams", some_terms(amount=1), lambda: some_metadata(START))
    assert {event.occurred_at for event in changed.events} == {changed.revision.created_at} == {DURING}


def test_a_change_to_the_same_values_writes_no_event() -> None:
    """It does not even ask for event metadata."""

    def never() -> EventMetadata:
        raise AssertionError("nothing has happened")

    before = plan()
    assert before.update("Pro", "For teams", some_terms(), never) is before


@pytest.mark.parametrize("verb", [Plan.archive, Plan.restore])
def test_archiving_or_restoring_a_second_time_changes_nothing(verb: Callable[[Plan, EventMetadata], Plan]) -> None:
    once = replace(verb(plan().archive(new_metadata()) if verb is Plan.restore else plan(), new_metadata()), events=())
    assert verb(once, new_metadata()) is once


def test_archiving_and_restoring_change_the_status_but_not_the_terms() -> None:
    """Each writes one event."""
    before = plan()
    archived = before.archive(new_metadata())
    assert (archived.status, archived.is_archived, archived.version) == (PlanStatus.ARCHIVED, True, 2)
    assert archived.revision is before.revision
    assert [(event.type, event.version, dict(event.data)) for event in archived.events] == [("plan.archived", 2, {})]
    restored = replace(archived, events=()).restore(new_metadata())
    assert (restored.status, restored.version) == (PlanStatus.ACTIVE, 3)
    assert [(event.type, event.version) for event in restored.events] == [("plan.restored", 3)]
    assert not before.is_archived


def test_an_archived_plan_can_be_changed() -> None:
    archived = replace(plan().archive(new_metadata()), events=())
    assert archived.update("Pro", "For teams", some_terms(amount=1), new_metadata).status is PlanStatus.ARCHIVED


def test_a_rejected_change_leaves_the_plan_as_it_was() -> None:
    before = plan()
    with pytest.raises(ValidationError):
        before.update("", "For teams", some_terms(amount=1), new_metadata)
    assert before == plan()
    assert before.created_at + timedelta(0) == START
