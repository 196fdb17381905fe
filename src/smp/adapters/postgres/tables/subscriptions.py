"""Subscriptions, the time that each covers, the trials, and the counts."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Table,
    text,
)
from sqlalchemy.dialects.postgresql import TSTZRANGE, ExcludeConstraint

from smp.adapters.postgres.effective_state import LIVE_PREDICATE
from smp.adapters.postgres.tables.columns import (
    METADATA,
    id_column,
    instant_column,
    key_column,
    number_column,
    text_column,
)

subscriptions: Final = Table(
    "subscriptions",
    METADATA,
    id_column("user_id"),
    id_column("id"),
    id_column("plan_id"),
    number_column("revision"),
    text_column("status"),
    instant_column("starts_at"),
    instant_column("ends_at", nullable=True),
    instant_column("trial_ends_at", nullable=True),
    instant_column("anchor_at", nullable=True),
    number_column("periods"),
    instant_column("converted_at", nullable=True),
    instant_column("cancel_at", nullable=True),
    instant_column("cancelled_at", nullable=True),
    instant_column("ended_at", nullable=True),
    number_column("version"),
    instant_column("created_at"),
    instant_column("changed_at", nullable=True),
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
    Index("subscriptions_ended_idx", "status", "ended_at", "id", postgresql_where=text("ended_at IS NOT NULL")),
    Index(
        "subscriptions_plan_ended_idx",
        "plan_id",
        "status",
        "ended_at",
        "id",
        postgresql_where=text("ended_at IS NOT NULL"),
    ),
)

subscription_spans: Final = Table(
    "subscription_spans",
    METADATA,
    id_column("user_id"),
    id_column("subscription_id"),
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
    id_column("user_id"),
    id_column("plan_id"),
    id_column("subscription_id"),
    instant_column("started_at"),
    Column("per_user", Boolean(), nullable=False),
    key_column("person", nullable=True),
    PrimaryKeyConstraint("user_id", "plan_id", name="trials_once_per_plan"),
    ForeignKeyConstraint(["user_id"], ["users.id"], name="trials_user_fkey"),
    ForeignKeyConstraint(["plan_id"], ["plans.id"], name="trials_plan_fkey"),
    Index("trials_once_per_user", "user_id", unique=True, postgresql_where=text("per_user")),
    Index("trials_once_per_person", "person", unique=True, postgresql_where=text("person IS NOT NULL")),
)

subscription_count_changes: Final = Table(
    "subscription_count_changes",
    METADATA,
    id_column("plan_id"),
    number_column("revision"),
    text_column("status"),
    text_column("origin"),
    Column("ends_by", Date(), nullable=False),
    text_column("status_after"),
    number_column("n"),
)
"""The number of subscriptions of each kind is the sum of ``n``. Triggers add rows, and a job adds rows up."""
