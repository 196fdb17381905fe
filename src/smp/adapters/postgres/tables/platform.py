"""The event log, the idempotency keys and the test clock."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from smp.adapters.postgres.tables.columns import (
    METADATA,
    Xid8,
    id_column,
    instant_column,
    key_column,
    number_column,
    text_column,
)

_ACTOR: Final = "actor_type IN ('user', 'admin', 'service', 'system') AND (actor_type = 'system') = (actor_id IS NULL)"

event_log: Final = Table(
    "event_log",
    METADATA,
    id_column("shard_key"),
    id_column("id"),
    id_column("user_id", nullable=True),
    id_column("subject_id"),
    number_column("version", nullable=True),
    text_column("type"),
    instant_column("occurred_at"),
    instant_column("recorded_at"),
    Column("transaction_id", Xid8(), nullable=False, server_default=text("pg_current_xact_id()")),
    text_column("actor_type"),
    id_column("actor_id", nullable=True),
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
    key_column("caller"),
    key_column("key"),
    Column("fingerprint", LargeBinary(), nullable=False),
    # The response of the previous release; the defaults are what it answers where this release stored the outcome.
    Column("status", BigInteger(), autoincrement=False, nullable=False, server_default=text("503")),
    Column("headers", JSONB(), nullable=False, server_default=text(f"'{_RESPONSE_HEADERS}'")),
    Column("body", LargeBinary(), nullable=False, server_default=text(f"'{_RESPONSE_BODY}'")),
    instant_column("created_at"),
    text_column("outcome_type", nullable=True),
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
    instant_column("now"),
    PrimaryKeyConstraint("only_row", name="test_clock_pkey"),
    CheckConstraint("only_row", name="test_clock_one_row"),
)
