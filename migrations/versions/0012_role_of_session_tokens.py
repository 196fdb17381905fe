"""Remember for which role the token of a session was issued.

It is not known for the sessions of the previous release, also of its processes that still run: their tokens stay.

Revision ID: 0012
"""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision: str | None = "0011"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.execute("ALTER TABLE sessions ADD COLUMN token_role text")


def downgrade() -> None:
    op.execute("ALTER TABLE sessions DROP COLUMN token_role")
