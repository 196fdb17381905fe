"""Count the rows that are there, while others write.

Each statement sees the table and the changes of the counts as of one instant: it takes away the changes that it sees,
because it counts those rows itself, and leaves those of later transactions.

Revision ID: 0007
"""

from __future__ import annotations

from alembic import op

from smp.adapters.postgres.online_ddl import wait_for_writers, without_transaction

revision = "0007"
down_revision: str | None = "0006"
branch_labels: str | None = None
depends_on: str | None = None

_COUNT_SUBSCRIPTIONS = """
    WITH counted AS (DELETE FROM subscription_count_changes)
    INSERT INTO subscription_count_changes
    SELECT plan_id, revision, status, subscription_origin(trial_ends_at, converted_at),
           subscription_ends_by(status, ends_at), subscription_status_after(status, ends_at, cancel_at), count(*)
    FROM subscriptions GROUP BY 1, 2, 3, 4, 5, 6
"""
_COUNT_USERS = """
    WITH counted AS (DELETE FROM user_count_changes)
    INSERT INTO user_count_changes SELECT count(*) FROM users
"""


def upgrade() -> None:
    # Those who write already may still count in the former way.
    wait_for_writers("users")
    wait_for_writers("subscriptions")
    with without_transaction():
        op.execute(_COUNT_SUBSCRIPTIONS)
        op.execute(_COUNT_USERS)


def downgrade() -> None:
    """Keep the counts, which the previous revision does not read."""
