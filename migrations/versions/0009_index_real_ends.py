"""Index the real ends of subscriptions, by which the list of subscriptions can be filtered.

Revision ID: 0009
"""

from __future__ import annotations

from smp.adapters.postgres.online_ddl import create_index_concurrently, drop_index_concurrently

revision = "0009"
down_revision: str | None = "0008"
branch_labels: str | None = None
depends_on: str | None = None

_ENDED = "WHERE ended_at IS NOT NULL"


def upgrade() -> None:
    create_index_concurrently("subscriptions_ended_idx", f"ON subscriptions (status, ended_at, id) {_ENDED}")
    create_index_concurrently(
        "subscriptions_plan_ended_idx", f"ON subscriptions (plan_id, status, ended_at, id) {_ENDED}"
    )


def downgrade() -> None:
    drop_index_concurrently("subscriptions_plan_ended_idx")
    drop_index_concurrently("subscriptions_ended_idx")
