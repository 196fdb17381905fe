"""The mapping between values and rows: every value is read back from its row unchanged."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from smp.adapters.postgres import tables
from smp.adapters.postgres.event_log import event_row
from smp.adapters.postgres.mapping import (
    Row,
    actor_of,
    api_key_of,
    api_key_row,
    plan_id_of,
    plan_of,
    plan_row,
    revision_of,
    revision_row,
    session_of,
    session_row,
    subscription_of,
    subscription_row,
    user_of,
    user_row,
    user_view_of,
)
from smp.domain.api_key import ApiKey
from smp.domain.events import Actor, EventMetadata
from smp.domain.plan.plan import CODE_PATTERN, Plan, PlanRevision, PlanStatus, Terms
from smp.domain.subscription.lifecycle import Status, SubscriptionEventType
from smp.domain.subscription.subscription import Subscription
from smp.domain.user.session import Session
from smp.domain.user.user import Email, Role, User
from tests.property.strategies import (
    actors,
    attempt,
    ids,
    instants,
    new_metadata,
    revisions,
    storable_texts,
    terms,
)

USER_ID: Final = UUID(int=1)
INSTANT: Final = datetime(2024, 1, 31, tzinfo=UTC)


def is_email(text: str) -> bool:
    """Return whether the text is a valid email."""
    return attempt(lambda: Email(text))[1] is None


maybe_instants = st.none() | instants
counts = st.integers(0, 2**31)
spellings = st.from_regex(r"[A-Za-z0-9éßΣя.+-]{1,20}@[a-zA-Z0-9я]{1,20}\.[a-z]{2}", fullmatch=True)
emails = spellings.filter(is_email).map(Email)
subscriptions = st.builds(
    Subscription,
    id=ids,
    user_id=ids,
    plan_id=ids,
    revision=counts,
    status=st.sampled_from(Status),
    starts_at=instants,
    ends_at=maybe_instants,
    trial_ends_at=maybe_instants,
    billing_anchor=maybe_instants,
    periods_paid=counts,
    converted_at=maybe_instants,
    cancel_at=maybe_instants,
    cancelled_at=maybe_instants,
    ended_at=maybe_instants,
    version=counts,
    created_at=instants,
    changed_at=instants,
    events=st.just(()),
)
users = st.builds(User, ids, emails, storable_texts, st.sampled_from(Role), st.booleans(), instants, counts, instants)
sessions = st.builds(
    Session, ids, ids, st.binary(min_size=32, max_size=32), instants, instants, storable_texts, storable_texts
)
api_keys = st.builds(ApiKey, ids, storable_texts, st.binary(min_size=32, max_size=32), instants, maybe_instants)


def through_jsonb(row: Row, column: str) -> dict[str, Any]:
    """Return the row as PostgreSQL returns it: with the keys of the JSON document in another order."""
    document = json.loads(json.dumps(row[column]))
    return {**row, column: dict(reversed(document.items()))}


@given(subscriptions)
def test_a_subscription_is_read_back_from_its_row(subscription: Subscription) -> None:
    """Its events are stored in a table of events."""
    assert subscription_of(subscription_row(subscription)) == subscription


def test_every_field_has_a_column() -> None:
    columns = {"billing_anchor": "anchor_at", "periods_paid": "periods"}
    stored = {columns.get(field.name, field.name) for field in fields(Subscription)} - {"events"}
    assert stored == set(tables.subscriptions.columns.keys())
    assert {field.name for field in fields(Session)} == set(tables.sessions.columns.keys())
    assert {field.name for field in fields(ApiKey)} == set(tables.api_keys.columns.keys())


@given(users)
def test_a_user_is_read_back_from_its_row(user: User) -> None:
    """The email keeps its spelling, and its key is a second column."""
    row = user_row(user)
    assert user_of(row) == user
    assert row["email_key"] == user.email.key
    assert row.keys() == set(tables.users.columns.keys())
    view = user_view_of(row)
    assert (view.id, view.email, view.role, view.disabled) == (user.id, user.email.text, user.role, user.disabled)


@given(sessions)
def test_a_session_is_read_back_from_its_row(session: Session) -> None:
    assert session_of(session_row(session)) == session


@given(api_keys)
def test_an_api_key_is_read_back_from_its_row(key: ApiKey) -> None:
    assert api_key_of(api_key_row(key)) == key


@given(revisions)
def test_a_revision_is_read_back_from_its_row(revision: PlanRevision) -> None:
    """This includes the type of each feature's value. The features are in the order of their keys."""
    row = revision_row(revision)
    read = revision_of(through_jsonb(row, "features"))
    assert read == revision
    assert read.terms.same_as(revision.terms)
    assert list(read.terms.features) == sorted(revision.terms.features)
    assert row.keys() == set(tables.plan_revisions.columns.keys())


@given(
    ids,
    st.from_regex(CODE_PATTERN, fullmatch=True),
    storable_texts,
    terms,
    st.sampled_from(PlanStatus),
    counts,
    new_metadata,
    instants,
)
def test_a_plan_is_read_back_from_its_row_and_its_newest_revision(
    plan_id: UUID,
    code: str,
    text: str,
    of: Terms,
    status: PlanStatus,
    version: int,
    metadata: EventMetadata,
    changed_at: datetime,
) -> None:
    revision = PlanRevision(plan_id, 3, of, metadata.at)
    plan = Plan(plan_id, code, text, text, status, revision, version, metadata.at, changed_at)
    row = plan_row(plan)
    joined = {**row, "plan_created_at": row["created_at"]}
    assert plan_of(joined, revision_of(revision_row(revision))) == plan
    assert row.keys() | {"currency"} == set(tables.plans.columns.keys())


@given(actors)
def test_every_actor_but_the_system_has_an_id(actor: Actor) -> None:
    event = EventMetadata(INSTANT, actor, USER_ID).event(
        SubscriptionEventType.RENEWED, USER_ID, {}, user_id=USER_ID, version=1
    )
    row = event_row(event)
    assert actor_of(row) == actor
    assert (row["actor_id"] is None) == (row["actor_type"] == "system")


@given(ids, ids, revisions, new_metadata)
def test_an_event_is_stored_with_every_field(
    subscription_id: UUID, user_id: UUID, revision: PlanRevision, metadata: EventMetadata
) -> None:
    (event,) = Subscription.activate(subscription_id, user_id, revision, metadata).events
    row = event_row(event)
    assert row.keys() | {"transaction_id"} == set(tables.event_log.columns.keys())
    assert through_jsonb(row, "data")["data"] == event.data
    values = {name: row[name] for name in ("user_id", "id", "subject_id", "version", "type", "occurred_at")}
    assert values == {
        "user_id": user_id,
        "id": metadata.event_id,
        "subject_id": subscription_id,
        "version": 1,
        "type": "subscription.activated",
        "occurred_at": metadata.at,
    }
    assert row["recorded_at"] == metadata.at


@given(ids, ids, revisions, new_metadata)
def test_events_are_sharded_by_their_user_or_else_by_their_subject(
    id_: UUID, user_id: UUID, revision: PlanRevision, metadata: EventMetadata
) -> None:
    (event,) = Subscription.activate(id_, user_id, revision, metadata).events
    assert event_row(event)["shard_key"] == user_id
    (event,) = Plan.create(id_, "pro", "Pro", "", revision.terms, metadata).events
    assert event_row(event)["shard_key"] == id_
    (event,) = User.register(user_id, Email("ada@example.com"), "hash", Role.USER, metadata).events
    assert event_row(event)["shard_key"] == user_id


@given(ids, st.text(max_size=40))
def test_a_plan_id_is_recognized_in_its_canonical_form_only(plan_id: UUID, text: str) -> None:
    """Letters of any case. Any other text is a code."""
    assert plan_id_of(str(plan_id)) == plan_id_of(str(plan_id).upper()) == plan_id
    assert plan_id_of(plan_id.hex) is None
    assert plan_id_of(f"{{{plan_id}}}") is None
    assert plan_id_of(text) is None
