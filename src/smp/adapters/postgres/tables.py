"""The tables, as the statements need them; a test compares them with the migrated schema."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP, TSTZRANGE, UUID, ExcludeConstraint
from sqlalchemy.types import UserDefinedType

from smp.adapters.postgres.effective_state import LIVE_PREDICATE

METADATA: Final = MetaData()

_ACTOR: Final = "actor_type IN ('user', 'admin', 'service', 'system') AND (actor_type = 'system') = (actor_id IS NULL)"
_PERIOD: Final = "^P([1-9][0-9]{0,9}[DWMY]|T[1-9][0-9]{0,9}[HMS])$"


def _instant(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, TIMESTAMP(timezone=True), nullable=nullable)


class Xid8(UserDefinedType[int]):
    """The type of a transaction's id, which is unique in a cluster."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """Return the name of the type in SQL."""
        return "xid8"


def _id(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, UUID(as_uuid=True), nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, Text(), nullable=nullable)


def _key_text(name: str) -> Column[object]:
    """Return a text column that is sorted by code points, which is the same on every server."""
    return Column(name, Text(collation="C"), nullable=False)


def _number(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, BigInteger(), autoincrement=False, nullable=nullable)


users: Final = Table(
    "users",
    METADATA,
    _id("id"),
    _text("email"),
    _key_text("email_key"),
    _text("password_hash"),
    _text("role"),
    Column("disabled", Boolean(), nullable=False),
    _instant("created_at"),
    Column("version", BigInteger(), autoincrement=False, nullable=False, server_default=text("1")),
    PrimaryKeyConstraint("id", name="users_pkey"),
    CheckConstraint("char_length(email) BETWEEN 3 AND 254", name="users_email_length"),
    CheckConstraint("email_key = lower(email_key)", name="users_email_key_lower_case"),
    CheckConstraint("role IN ('user', 'admin')", name="users_role"),
    CheckConstraint("version >= 1", name="users_version"),
    Index("users_admins_idx", "id", postgresql_where=text("role = 'admin'")),
    Index("users_email_idx", "email_key"),
)

user_emails: Final = Table(
    "user_emails",
    METADATA,
    _key_text("email_key"),
    _id("user_id"),
    PrimaryKeyConstraint("email_key", name="user_emails_pkey"),
)

sessions: Final = Table(
    "sessions",
    METADATA,
    _id("user_id"),
    _id("id"),
    Column("token_digest", LargeBinary(), nullable=False),
    _instant("created_at"),
    _instant("last_seen_at"),
    _text("source"),
    _text("user_agent"),
    PrimaryKeyConstraint("user_id", "id", name="sessions_pkey"),
    ForeignKeyConstraint(["user_id"], ["users.id"], name="sessions_user_fkey", ondelete="CASCADE"),
    UniqueConstraint("user_id", "token_digest", name="sessions_token_digest_key"),
    CheckConstraint("octet_length(token_digest) = 32", name="sessions_token_digest_length"),
    CheckConstraint("last_seen_at >= created_at", name="sessions_seen_after_creation"),
    Index("sessions_user_idx", "user_id", "created_at", "id"),
    Index("sessions_created_at_idx", "created_at"),
    Index("sessions_last_seen_at_idx", "last_seen_at"),
)

api_keys: Final = Table(
    "api_keys",
    METADATA,
    _id("id"),
    _text("name"),
    Column("digest", LargeBinary(), nullable=False),
    _instant("created_at"),
    _instant("revoked_at", nullable=True),
    PrimaryKeyConstraint("id", name="api_keys_pkey"),
    UniqueConstraint("digest", name="api_keys_digest_key"),
    CheckConstraint("octet_length(digest) = 32", name="api_keys_digest_length"),
    CheckConstraint("revoked_at >= created_at", name="api_keys_revoked_after_creation"),
)

login_throttle: Final = Table(
    "login_throttle",
    METADATA,
    _key_text("key"),
    _number("attempts"),
    _instant("last_attempt_at"),
    _instant("blocked_until", nullable=True),
    PrimaryKeyConstraint("key", name="login_throttle_pkey"),
    CheckConstraint("key ~ '^(account|source):[0-9a-f]{64}$'", name="login_throttle_key_is_digest"),
    CheckConstraint("attempts >= 0", name="login_throttle_attempts"),
    Index("login_throttle_last_attempt_at_idx", "last_attempt_at"),
)

plans: Final = Table(
    "plans",
    METADATA,
    _id("id"),
    _key_text("code"),
    _text("name"),
    _text("description"),
    _text("status"),
    _number("revision"),
    _number("amount"),
    _number("version"),
    _instant("created_at"),
    PrimaryKeyConstraint("id", name="plans_pkey"),
    UniqueConstraint("code", name="plans_code_key"),
    ForeignKeyConstraint(
        ["id", "revision", "amount"],
        ["plan_revisions.plan_id", "plan_revisions.number", "plan_revisions.amount"],
        name="plans_revision_fkey",
        use_alter=True,
    ),
    CheckConstraint("code ~ '^[a-z0-9][a-z0-9-]{0,62}$'", name="plans_code_shape"),
    CheckConstraint("char_length(name) BETWEEN 1 AND 200", name="plans_name_length"),
    CheckConstraint("char_length(description) <= 2000", name="plans_description_length"),
    CheckConstraint("status IN ('active', 'archived')", name="plans_status"),
    CheckConstraint("version >= 1", name="plans_version"),
    Index("plans_amount_idx", "amount", "code"),
    Index("plans_status_amount_idx", "status", "amount", "code"),
)

plan_revisions: Final = Table(
    "plan_revisions",
    METADATA,
    _id("plan_id"),
    _number("number"),
    _number("amount"),
    _text("currency"),
    _text("period", nullable=True),
    _text("trial_period", nullable=True),
    Column("features", JSONB(), nullable=False),
    _instant("created_at"),
    PrimaryKeyConstraint("plan_id", "number", name="plan_revisions_pkey"),
    UniqueConstraint("plan_id", "number", "amount", name="plan_revisions_amount_key"),
    ForeignKeyConstraint(["plan_id"], ["plans.id"], name="plan_revisions_plan_fkey"),
    CheckConstraint("number >= 1", name="plan_revisions_number"),
    CheckConstraint("amount BETWEEN 0 AND 999999999999999", name="plan_revisions_amount"),
    CheckConstraint("currency ~ '^[A-Z]{3}$'", name="plan_revisions_currency"),
    CheckConstraint(f"period ~ '{_PERIOD}'", name="plan_revisions_period"),
    CheckConstraint(f"trial_period ~ '{_PERIOD}'", name="plan_revisions_trial_period"),
    CheckConstraint("jsonb_typeof(features) = 'object'", name="plan_revisions_features"),
)

subscriptions: Final = Table(
    "subscriptions",
    METADATA,
    _id("user_id"),
    _id("id"),
    _id("plan_id"),
    _number("revision"),
    _text("status"),
    _instant("starts_at"),
    _instant("ends_at", nullable=True),
    _instant("trial_ends_at", nullable=True),
    _instant("anchor_at", nullable=True),
    _number("periods"),
    _instant("converted_at", nullable=True),
    _instant("cancel_at", nullable=True),
    _instant("cancelled_at", nullable=True),
    _instant("ended_at", nullable=True),
    _number("version"),
    _instant("created_at"),
    PrimaryKeyConstraint("user_id", "id", name="subscriptions_pkey"),
    ForeignKeyConstraint(["user_id"], ["users.id"], name="subscriptions_user_fkey"),
    ForeignKeyConstraint(
        ["plan_id", "revision"],
        ["plan_revisions.plan_id", "plan_revisions.number"],
        name="subscriptions_revision_fkey",
    ),
    CheckConstraint("status IN ('trial', 'active', 'expired', 'cancelled')", name="subscriptions_status"),
    CheckConstraint("version >= 1", name="subscriptions_version"),
    CheckConstraint("starts_at < ends_at", name="subscriptions_starts_before_end"),
    CheckConstraint(
        "cancel_at IS NULL OR (ends_at IS NOT NULL AND cancel_at = ends_at)", name="subscriptions_cancel_at_end"
    ),
    CheckConstraint(f"(ended_at IS NULL) = ({LIVE_PREDICATE})", name="subscriptions_ended_unless_live"),
    CheckConstraint(
        "ended_at >= starts_at AND ended_at <= coalesce(ends_at, ended_at)", name="subscriptions_ended_within_span"
    ),
    CheckConstraint(
        "status <> 'cancelled' OR (cancelled_at IS NOT NULL AND ended_at IS NOT NULL AND cancelled_at = ended_at)",
        name="subscriptions_cancelled",
    ),
    CheckConstraint(
        "status <> 'expired' OR (ends_at IS NOT NULL AND ended_at IS NOT NULL AND ended_at = ends_at"
        " AND cancel_at IS NULL)",
        name="subscriptions_expired",
    ),
    CheckConstraint(
        "cancelled_at IS NULL OR status = 'cancelled'", name="subscriptions_cancelled_at_only_if_cancelled"
    ),
    CheckConstraint(
        "status <> 'trial' OR (trial_ends_at IS NOT NULL AND ends_at IS NOT NULL AND trial_ends_at = ends_at"
        " AND converted_at IS NULL)",
        name="subscriptions_trial",
    ),
    CheckConstraint("status <> 'active' OR anchor_at IS NOT NULL", name="subscriptions_active"),
    CheckConstraint(
        "(anchor_at IS NULL) = (trial_ends_at IS NOT NULL AND converted_at IS NULL)",
        name="subscriptions_paid_has_anchor",
    ),
    CheckConstraint("periods >= 0 AND (periods >= 1) = (anchor_at IS NOT NULL)", name="subscriptions_periods"),
    CheckConstraint("anchor_at = coalesce(converted_at, starts_at)", name="subscriptions_anchor"),
    CheckConstraint(
        "converted_at IS NULL OR (trial_ends_at IS NOT NULL AND trial_ends_at = converted_at"
        " AND converted_at >= starts_at)",
        name="subscriptions_converted",
    ),
    Index("subscriptions_one_live", "user_id", unique=True, postgresql_where=text(LIVE_PREDICATE)),
    Index("subscriptions_due_idx", "ends_at", "id", postgresql_where=text(LIVE_PREDICATE)),
    Index("subscriptions_history_idx", "user_id", "starts_at", "id"),
    Index("subscriptions_status_idx", "status", "id"),
    Index("subscriptions_plan_idx", "plan_id", "status", "id"),
    Index("subscriptions_end_idx", "status", "ends_at", "id"),
    Index("subscriptions_plan_end_idx", "plan_id", "status", "ends_at", "id"),
)

subscription_spans: Final = Table(
    "subscription_spans",
    METADATA,
    _id("user_id"),
    _id("subscription_id"),
    Column("span", TSTZRANGE(), nullable=False),
    PrimaryKeyConstraint("user_id", "subscription_id", name="subscription_spans_pkey"),
    ForeignKeyConstraint(
        ["user_id", "subscription_id"],
        ["subscriptions.user_id", "subscriptions.id"],
        name="subscription_spans_subscription_fkey",
    ),
    ExcludeConstraint(("user_id", "="), ("span", "&&"), name="subscriptions_no_overlap", using="gist"),
)

trials: Final = Table(
    "trials",
    METADATA,
    _id("user_id"),
    _id("plan_id"),
    _id("subscription_id"),
    _instant("started_at"),
    Column("per_user", Boolean(), nullable=False),
    PrimaryKeyConstraint("user_id", "plan_id", name="trials_once_per_plan"),
    ForeignKeyConstraint(["user_id"], ["users.id"], name="trials_user_fkey"),
    ForeignKeyConstraint(["plan_id"], ["plans.id"], name="trials_plan_fkey"),
    Index("trials_once_per_user", "user_id", unique=True, postgresql_where=text("per_user")),
)

event_log: Final = Table(
    "event_log",
    METADATA,
    _id("shard_key"),
    _id("id"),
    _id("user_id", nullable=True),
    _id("subject_id"),
    _number("version", nullable=True),
    _text("type"),
    _instant("occurred_at"),
    _instant("recorded_at"),
    Column("transaction_id", Xid8(), nullable=False, server_default=text("pg_current_xact_id()")),
    _text("actor_type"),
    _id("actor_id", nullable=True),
    Column("data", JSONB(), nullable=False),
    PrimaryKeyConstraint("shard_key", "id", name="event_log_pkey"),
    UniqueConstraint("shard_key", "subject_id", "version", name="event_log_version_key"),
    ForeignKeyConstraint(["user_id"], ["users.id"], name="event_log_user_fkey"),
    CheckConstraint("shard_key = coalesce(user_id, subject_id)", name="event_log_shard_key"),
    CheckConstraint("version >= 1", name="event_log_version"),
    CheckConstraint(
        "type IN ('subscription.trial_started', 'subscription.activated', 'subscription.converted',"
        " 'subscription.renewed', 'subscription.cancel_scheduled', 'subscription.resumed', 'subscription.cancelled',"
        " 'subscription.expired', 'plan.created', 'plan.revised', 'plan.updated', 'plan.archived', 'plan.restored',"
        " 'user.registered', 'user.password_changed', 'user.role_changed', 'user.disabled', 'user.enabled',"
        " 'session.revoked', 'api_key.created', 'api_key.revoked', 'test_clock.set')",
        name="event_log_type",
    ),
    CheckConstraint(
        "CASE split_part(type, '.', 1)"
        " WHEN 'subscription' THEN user_id IS NOT NULL AND version IS NOT NULL"
        " WHEN 'user' THEN user_id IS NOT NULL AND subject_id = user_id AND version IS NOT NULL"
        " WHEN 'plan' THEN user_id IS NULL AND version IS NOT NULL"
        " WHEN 'session' THEN user_id IS NOT NULL AND version IS NULL ELSE user_id IS NULL AND version IS NULL END",
        name="event_log_subject",
    ),
    CheckConstraint(_ACTOR, name="event_log_actor"),
    CheckConstraint("jsonb_typeof(data) = 'object'", name="event_log_data"),
)

_RESPONSE_HEADERS: Final = '{"content-type": "application/problem+json"}'
_RESPONSE_BODY: Final = (
    '{"type": "/problems/outcome-unknown", "title": "The outcome is unknown", "status": 503,'
    ' "detail": "another version of SMP stored the outcome; read the current state"}'
)

idempotency_keys: Final = Table(
    "idempotency_keys",
    METADATA,
    _key_text("caller"),
    _key_text("key"),
    Column("fingerprint", LargeBinary(), nullable=False),
    # The response of the previous release; the defaults are what it answers where this release stored the outcome.
    Column("status", BigInteger(), autoincrement=False, nullable=False, server_default=text("503")),
    Column("headers", JSONB(), nullable=False, server_default=text(f"'{_RESPONSE_HEADERS}'")),
    Column("body", LargeBinary(), nullable=False, server_default=text(f"'{_RESPONSE_BODY}'")),
    _instant("created_at"),
    _text("outcome_type", nullable=True),
    Column("outcome", LargeBinary(), nullable=True),
    PrimaryKeyConstraint("caller", "key", name="idempotency_keys_pkey"),
    CheckConstraint("char_length(key) BETWEEN 1 AND 255", name="idempotency_keys_key_length"),
    CheckConstraint("status BETWEEN 100 AND 599", name="idempotency_keys_status"),
    CheckConstraint("jsonb_typeof(headers) = 'object'", name="idempotency_keys_headers"),
    Index("idempotency_keys_created_at_idx", "created_at"),
)

test_clock: Final = Table(
    "test_clock",
    METADATA,
    Column("only_row", Boolean(), nullable=False),
    _instant("now"),
    PrimaryKeyConstraint("only_row", name="test_clock_pkey"),
    CheckConstraint("only_row", name="test_clock_one_row"),
)

subscription_counts: Final = Table(
    "subscription_counts",
    METADATA,
    _id("plan_id"),
    _number("revision"),
    _text("status"),
    _text("origin"),
    Column("shard", SmallInteger(), autoincrement=False, nullable=False),
    _number("n"),
    PrimaryKeyConstraint("plan_id", "revision", "status", "origin", "shard", name="subscription_counts_pkey"),
    ForeignKeyConstraint(
        ["plan_id", "revision"],
        ["plan_revisions.plan_id", "plan_revisions.number"],
        name="subscription_counts_revision_fkey",
    ),
    CheckConstraint("origin IN ('paid', 'trial', 'converted')", name="subscription_counts_origin"),
    postgresql_with={"fillfactor": 50},
)

user_counts: Final = Table(
    "user_counts",
    METADATA,
    Column("shard", SmallInteger(), autoincrement=False, nullable=False),
    _number("n"),
    PrimaryKeyConstraint("shard", name="user_counts_pkey"),
    postgresql_with={"fillfactor": 50},
)

DISTRIBUTED_BY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "users": "id",
        "sessions": "user_id",
        "subscriptions": "user_id",
        "subscription_spans": "user_id",
        "trials": "user_id",
        "event_log": "shard_key",
        "user_emails": "email_key",
        "idempotency_keys": "caller",
        "login_throttle": "key",
    }
)
"""The column by which each table is sharded in a database of several servers.

All rows of one user are on one server. A table that is not read by user is sharded by its key; see docs/scaling.md.
"""

COPIED_TO_ALL: Final = frozenset({"plans", "plan_revisions", "api_keys", "test_clock"})
"""The tables that are copied to each of several servers: small, rarely written, and read on all of them."""

COUNTED_BY_TRIGGERS: Final = frozenset({"subscription_counts", "user_counts"})
"""The tables that are views in a database of several servers, because a trigger sees the rows of one server only."""
