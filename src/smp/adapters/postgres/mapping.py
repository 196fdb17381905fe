"""The mapping between rows and values: pure functions that accept every value of the domain.

``…_row`` returns the columns of a value by name, ``…_of`` the value of a row that has at least these columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, Protocol
from uuid import UUID

from smp.adapters.postgres.tables import subscriptions
from smp.application.queries.views import PlanReference, RevisionView, SubscriptionView, UserView
from smp.domain.api_key import ApiKey
from smp.domain.events import Actor, ActorType
from smp.domain.features import Features
from smp.domain.money import Money
from smp.domain.period import Period
from smp.domain.plan.plan import Plan, PlanRevision, PlanStatus, Terms
from smp.domain.subscription.lifecycle import Status
from smp.domain.subscription.subscription import Subscription
from smp.domain.user.session import Session
from smp.domain.user.user import Email, Role, User


class Row(Protocol):
    """A row whose columns are read by name: a mapping, or a record of the driver."""

    def keys(self) -> Iterable[str]:
        """Return the names of the columns."""

    def __getitem__(self, name: str, /) -> Any:  # noqa: ANN401 - it depends on the column
        """Return the value of the column."""


PLAN_COLUMNS: Final = (
    "p.id, p.code, p.name, p.description, p.status, p.revision, p.version, p.created_at AS plan_created_at,"
    " p.changed_at, r.plan_id, r.number, r.amount, r.currency, r.period, r.trial_period, r.features, r.created_at"
)
"""The columns of a plan and its revision, in a join of ``plans AS p`` and ``plan_revisions AS r``."""

JOIN_PLAN_SQL: Final = """
    LEFT JOIN LATERAL (SELECT code, name FROM plans WHERE id = s.plan_id LIMIT 1) AS p ON true
    LEFT JOIN LATERAL (
        SELECT amount, currency, features FROM plan_revisions
        WHERE plan_id = s.plan_id AND number = s.revision LIMIT 1
    ) AS r ON true
"""
"""Joins the plan and the revision of ``subscriptions AS s``.

The limits make PostgreSQL look each up by its key. Otherwise it would read all plans if its statistics are older than
the newest plan.
"""

SUBSCRIPTION_VIEW_SQL: Final = (
    ", ".join(f"s.{column.name}" for column in subscriptions.columns)
    + ", p.code AS plan_code, p.name AS plan_name, r.amount, r.currency, r.features"
    + f" FROM page AS s {JOIN_PLAN_SQL}"
)
"""The columns of a subscription view, for the rows of ``page`` with their plan and revision."""

_STATUSES: Final[Mapping[str, Status]] = MappingProxyType({status.value: status for status in Status})


def instant_of(value: datetime) -> datetime:
    """Return the instant in a column; the driver returns the last one of the year 9999 without a time zone."""
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


def instant_if_any(value: datetime | None) -> datetime | None:
    """Return the instant in a column that may be null."""
    return value if value is None or value.tzinfo is not None else value.replace(tzinfo=UTC)


def user_row(user: User) -> dict[str, object]:
    """Return the columns of ``users``."""
    return {
        "id": user.id,
        "email": user.email.text,
        "email_key": user.email.key,
        "password_hash": user.password_hash,
        "role": user.role.value,
        "disabled": user.disabled,
        "created_at": user.created_at,
        "version": user.version,
        "changed_at": user.changed_at,
    }


def user_of(row: Row) -> User:
    """Return the user in a row of ``users``."""
    return User(
        id=row["id"],
        email=Email(row["email"]),
        password_hash=row["password_hash"],
        role=Role(row["role"]),
        disabled=row["disabled"],
        created_at=instant_of(row["created_at"]),
        version=row["version"],
        changed_at=instant_of(row["changed_at"] or row["created_at"]),
    )


def user_view_of(row: Row) -> UserView:
    """Return the view of the user in a row of ``users``."""
    return UserView(row["id"], row["email"], Role(row["role"]), row["disabled"], instant_of(row["created_at"]))


def session_row(session: Session) -> dict[str, object]:
    """Return the columns of ``sessions``."""
    return {
        "user_id": session.user_id,
        "id": session.id,
        "token_digest": session.token_digest,
        "created_at": session.created_at,
        "last_seen_at": session.last_seen_at,
        "source": session.source,
        "user_agent": session.user_agent,
        "token_role": session.token_role,
    }


def session_of(row: Row) -> Session:
    """Return the session in a row of ``sessions``."""
    return Session(
        id=row["id"],
        user_id=row["user_id"],
        token_digest=row["token_digest"],
        created_at=instant_of(row["created_at"]),
        last_seen_at=instant_of(row["last_seen_at"]),
        source=row["source"],
        user_agent=row["user_agent"],
        token_role=None if row["token_role"] is None else Role(row["token_role"]),
    )


def api_key_row(key: ApiKey) -> dict[str, object]:
    """Return the columns of ``api_keys``."""
    return {
        "id": key.id,
        "name": key.name,
        "digest": key.digest,
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
    }


def api_key_of(row: Row) -> ApiKey:
    """Return the key in a row of ``api_keys``."""
    return ApiKey(
        row["id"], row["name"], row["digest"], instant_of(row["created_at"]), instant_if_any(row["revoked_at"])
    )


def plan_row(plan: Plan) -> dict[str, object]:
    """Return the columns of ``plans``."""
    return {
        "id": plan.id,
        "code": plan.code,
        "name": plan.name,
        "description": plan.description,
        "status": plan.status.value,
        "revision": plan.revision.number,
        "amount": plan.revision.terms.price.amount,
        "version": plan.version,
        "created_at": plan.created_at,
        "changed_at": plan.changed_at,
    }


def revision_row(revision: PlanRevision) -> dict[str, object]:
    """Return the columns of ``plan_revisions``."""
    terms = revision.terms
    return {
        "plan_id": revision.plan_id,
        "number": revision.number,
        "amount": terms.price.amount,
        "currency": terms.price.currency,
        "period": None if terms.period is None else str(terms.period),
        "trial_period": None if terms.trial_period is None else str(terms.trial_period),
        "features": dict(terms.features),
        "created_at": revision.created_at,
    }


def revision_of(row: Row) -> PlanRevision:
    """Return the revision in a row of ``plan_revisions``."""
    return PlanRevision(row["plan_id"], row["number"], _terms_of(row), instant_of(row["created_at"]))


def revision_view_of(row: Row) -> RevisionView:
    """Return the view of the revision in a row of ``plan_revisions``."""
    return RevisionView.of(revision_of(row))


def plan_of(row: Row, revision: PlanRevision) -> Plan:
    """Return the plan in a row of ``PLAN_COLUMNS``, with its current revision."""
    return Plan(
        id=row["id"],
        code=row["code"],
        name=row["name"],
        description=row["description"],
        status=PlanStatus(row["status"]),
        revision=revision,
        version=row["version"],
        created_at=instant_of(row["plan_created_at"]),
        changed_at=instant_of(row["changed_at"] or row["plan_created_at"]),
    )


def features_of(values: Mapping[str, Any]) -> Features:
    """Return the features in the order of their keys, because ``jsonb`` has another order."""
    return MappingProxyType(dict(sorted(values.items())))


def money_of(row: Row) -> Money:
    """Return the price in a row with the columns ``amount`` and ``currency``."""
    return Money(row["amount"], row["currency"])


def subscription_row(subscription: Subscription) -> dict[str, object]:
    """Return the columns of ``subscriptions``."""
    return {
        "user_id": subscription.user_id,
        "id": subscription.id,
        "plan_id": subscription.plan_id,
        "revision": subscription.revision,
        "status": subscription.status.value,
        "starts_at": subscription.starts_at,
        "ends_at": subscription.ends_at,
        "trial_ends_at": subscription.trial_ends_at,
        "anchor_at": subscription.billing_anchor,
        "periods": subscription.periods_paid,
        "converted_at": subscription.converted_at,
        "cancel_at": subscription.cancel_at,
        "cancelled_at": subscription.cancelled_at,
        "ended_at": subscription.ended_at,
        "version": subscription.version,
        "created_at": subscription.created_at,
        "changed_at": subscription.changed_at,
    }


def subscription_of(row: Row) -> Subscription:
    """Return the subscription in a row of ``subscriptions``."""
    return Subscription(
        id=row["id"],
        user_id=row["user_id"],
        plan_id=row["plan_id"],
        revision=row["revision"],
        status=_STATUSES[row["status"]],
        starts_at=instant_of(row["starts_at"]),
        ends_at=instant_if_any(row["ends_at"]),
        trial_ends_at=instant_if_any(row["trial_ends_at"]),
        billing_anchor=instant_if_any(row["anchor_at"]),
        periods_paid=row["periods"],
        converted_at=instant_if_any(row["converted_at"]),
        cancel_at=instant_if_any(row["cancel_at"]),
        cancelled_at=instant_if_any(row["cancelled_at"]),
        ended_at=instant_if_any(row["ended_at"]),
        version=row["version"],
        created_at=instant_of(row["created_at"]),
        changed_at=instant_of(row["changed_at"] or row["created_at"]),
    )


def status_of(text: str) -> Status:
    """Return the status with this name."""
    return _STATUSES[text]


def actor_of(row: Row) -> Actor:
    """Return the actor in a row with the columns ``actor_type`` and ``actor_id``."""
    return Actor(ActorType(row["actor_type"]), row["actor_id"])


def plan_id_of(plan: str) -> UUID | None:
    """Return the id if ``plan`` is one in canonical form, else ``None``."""
    try:
        plan_id = UUID(plan)
    except ValueError:
        return None
    return plan_id if str(plan_id) == plan.lower() else None


def subscription_view_of(row: Row, now: datetime) -> SubscriptionView:
    """Return the view of the subscription at ``now``, of a row of ``SUBSCRIPTION_VIEW_SQL``."""
    reference = PlanReference(row["plan_id"], row["plan_code"], row["plan_name"], row["revision"])
    return SubscriptionView.of(subscription_of(row), reference, money_of(row), features_of(row["features"]), now)


def _terms_of(row: Row) -> Terms:
    return Terms(
        price=money_of(row),
        period=None if row["period"] is None else Period.parse(row["period"]),
        trial_period=None if row["trial_period"] is None else Period.parse(row["trial_period"]),
        features=features_of(row["features"]),
    )
