"""Plans and their revisions."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB

from smp.adapters.postgres.tables.columns import (
    METADATA,
    id_column,
    instant_column,
    key_column,
    number_column,
    text_column,
)

_PERIOD: Final = "^P([1-9][0-9]{0,9}[DWMY]|T[1-9][0-9]{0,9}[HMS])$"

plans: Final = Table(
    "plans",
    METADATA,
    id_column("id"),
    key_column("code"),
    text_column("name"),
    text_column("description"),
    text_column("status"),
    number_column("revision"),
    number_column("amount"),
    number_column("version"),
    instant_column("created_at"),
    key_column("currency", server_default=""),
    instant_column("changed_at", nullable=True),
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
    Index("plans_currency_idx", "currency", "amount", "code"),
    Index("plans_status_currency_idx", "status", "currency", "amount", "code"),
)

plan_revisions: Final = Table(
    "plan_revisions",
    METADATA,
    id_column("plan_id"),
    number_column("number"),
    number_column("amount"),
    text_column("currency"),
    text_column("period", nullable=True),
    text_column("trial_period", nullable=True),
    Column("features", JSONB(), nullable=False),
    instant_column("created_at"),
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
