"""Keep with each user, plan and subscription when its last event occurred, so that no later event is dated before it.

It is null until this release changes the row; the instant of creation stands for it.

Revision ID: 0014
"""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision: str | None = "0013"
branch_labels: str | None = None
depends_on: str | None = None

_TABLES = ("users", "plans", "subscriptions")


def upgrade() -> None:
    for table in _TABLES:
        op.execute(f"ALTER TABLE {table} ADD COLUMN changed_at timestamptz")


def downgrade() -> None:
    for table in _TABLES:
        op.execute(f"-- squawk-ignore ban-drop-column\nALTER TABLE {table} DROP COLUMN changed_at")
