"""Store the outcome of an idempotent request, in place of the HTTP response that was made from it.

Both columns are added without a default, and three columns lose NOT NULL: each changes the catalogue only, so the lock
on the table is short. Processes of the previous release go on writing the response columns while they are replaced.

Revision ID: 0004
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision: str | None = "0003"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.execute(
        """
        ALTER TABLE idempotency_keys
            ADD COLUMN outcome_type text,
            ADD COLUMN outcome bytea,
            ALTER COLUMN status DROP NOT NULL,
            ALTER COLUMN headers DROP NOT NULL,
            ALTER COLUMN body DROP NOT NULL
        """
    )


def downgrade() -> None:
    # The previous release cannot read these rows: without them a repeated request would take effect again.
    op.execute("UPDATE idempotency_keys SET status = 503, headers = '{}', body = '' WHERE status IS NULL")
    op.execute(
        """
        ALTER TABLE idempotency_keys
            DROP COLUMN outcome_type,
            DROP COLUMN outcome,
            ALTER COLUMN status SET NOT NULL,
            ALTER COLUMN headers SET NOT NULL,
            ALTER COLUMN body SET NOT NULL
        """
    )
