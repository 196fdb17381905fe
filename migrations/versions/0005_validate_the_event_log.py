"""Validate the constraints that 0003 added without a look at the rows, while others write.

Revision ID: 0005
"""

from __future__ import annotations

from smp.adapters.postgres.online_ddl import validate_constraint

revision = "0005"
down_revision: str | None = "0004"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    validate_constraint("event_log", "event_log_user_fkey")
    validate_constraint("users", "users_version")


def downgrade() -> None:
    """Keep the constraints valid, which changes nothing for the previous revision."""
