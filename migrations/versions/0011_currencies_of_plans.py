"""Copy the currency of a plan's revision to the plan, by which the price list is ordered, and index it.

A trigger writes the copy, so that the plans that processes of the previous release write have it too.

Revision ID: 0011
"""

from __future__ import annotations

from alembic import op

from smp.adapters.postgres.online_ddl import backfill, create_index_concurrently, drop_index_concurrently

revision = "0011"
down_revision: str | None = "0010"
branch_labels: str | None = None
depends_on: str | None = None

_UP = (
    """ALTER TABLE plans ADD COLUMN IF NOT EXISTS currency text COLLATE "C" NOT NULL DEFAULT ''""",
    """
    CREATE OR REPLACE FUNCTION show_currency_of_revision() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE plans SET currency = NEW.currency WHERE id = NEW.plan_id AND revision = NEW.number;
        RETURN NULL;
    END $$
    """,
    """
    CREATE OR REPLACE TRIGGER plan_revisions_currency AFTER INSERT ON plan_revisions
    FOR EACH ROW EXECUTE FUNCTION show_currency_of_revision()
    """,
)
_COPY = """
    UPDATE plans AS p SET currency = r.currency FROM plan_revisions AS r
    WHERE p.id IN (SELECT id FROM plans WHERE currency = '' LIMIT 2000)
    AND r.plan_id = p.id AND r.number = p.revision
"""
_DOWN = (
    "DROP TRIGGER IF EXISTS plan_revisions_currency ON plan_revisions",
    "DROP FUNCTION IF EXISTS show_currency_of_revision()",
    "-- squawk-ignore ban-drop-column\nALTER TABLE plans DROP COLUMN IF EXISTS currency",
)


def upgrade() -> None:
    for statement in _UP:
        op.execute(statement)
    create_index_concurrently("plans_currency_idx", "ON plans (currency, amount, code)")
    create_index_concurrently("plans_status_currency_idx", "ON plans (status, currency, amount, code)")
    backfill(_COPY)
    drop_index_concurrently("plans_amount_idx")
    drop_index_concurrently("plans_status_amount_idx")


def downgrade() -> None:
    create_index_concurrently("plans_amount_idx", "ON plans (amount, code)")
    create_index_concurrently("plans_status_amount_idx", "ON plans (status, amount, code)")
    for statement in _DOWN:
        op.execute(statement)
