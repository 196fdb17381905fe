"""Store the outcome of an idempotent request, in place of the HTTP response that was made from it.

Processes of the previous release go on reading and writing the response columns while they are replaced. They cannot
read an outcome, so the defaults of these columns are the response that they give instead. A later revision drops the
three columns.

Both columns are added without a default, and the new defaults are for later rows: each changes the catalogue only, so
the lock on the table is short.

Revision ID: 0004
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision: str | None = "0003"
branch_labels: str | None = None
depends_on: str | None = None


# A process of the previous release answers a repeated request with it, where this release has run the first one.
_BODY = (
    '{"type": "/problems/outcome-unknown", "title": "The outcome is unknown", "status": 503,'
    ' "detail": "another version of SMP stored the outcome; read the current state"}'
)


def upgrade() -> None:
    op.execute(
        f"""
        ALTER TABLE idempotency_keys
            ADD COLUMN outcome_type text,
            ADD COLUMN outcome bytea,
            ALTER COLUMN status SET DEFAULT 503,
            ALTER COLUMN headers SET DEFAULT '{{"content-type": "application/problem+json"}}',
            ALTER COLUMN body SET DEFAULT '{_BODY}'
        """
    )


def downgrade() -> None:
    op.execute(
        """
        ALTER TABLE idempotency_keys
            DROP COLUMN outcome_type,
            DROP COLUMN outcome,
            ALTER COLUMN status DROP DEFAULT,
            ALTER COLUMN headers DROP DEFAULT,
            ALTER COLUMN body DROP DEFAULT
        """
    )
