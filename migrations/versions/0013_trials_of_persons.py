"""Give each person one trial, if the setting SMP_TRIAL_SCOPE says so: the trials of that scope name the person.

Revision ID: 0013
"""

from __future__ import annotations

from alembic import op

from smp.adapters.postgres.online_ddl import create_index_concurrently

revision = "0013"
down_revision: str | None = "0012"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.execute('ALTER TABLE trials ADD COLUMN IF NOT EXISTS person text COLLATE "C"')
    create_index_concurrently("trials_once_per_person", "ON trials (person) WHERE person IS NOT NULL", unique=True)


def downgrade() -> None:
    op.execute("-- squawk-ignore ban-drop-column\nALTER TABLE trials DROP COLUMN person")
