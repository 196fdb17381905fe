"""Replace the sharded counts by views, which processes of the previous release read until a later revision drops them.

Revision ID: 0008
"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision: str | None = "0007"
branch_labels: str | None = None
depends_on: str | None = None

_UP = (
    "-- squawk-ignore ban-drop-table\nDROP TABLE subscription_counts",
    """
    CREATE VIEW subscription_counts AS
    SELECT plan_id, revision, status, origin, n FROM subscription_count_changes
    """,
    "-- squawk-ignore ban-drop-table\nDROP TABLE user_counts",
    "CREATE VIEW user_counts AS SELECT n FROM user_count_changes",
)

_DOWN = (
    "LOCK TABLE users, subscriptions IN SHARE ROW EXCLUSIVE MODE",
    "DROP VIEW subscription_counts",
    """
    CREATE TABLE subscription_counts (
        plan_id uuid NOT NULL,
        revision bigint NOT NULL,
        status text NOT NULL,
        origin text NOT NULL,
        shard smallint NOT NULL,
        n bigint NOT NULL,
        CONSTRAINT subscription_counts_pkey PRIMARY KEY (plan_id, revision, status, origin, shard),
        CONSTRAINT subscription_counts_revision_fkey
            FOREIGN KEY (plan_id, revision) REFERENCES plan_revisions (plan_id, number),
        CONSTRAINT subscription_counts_origin CHECK (origin IN ('paid', 'trial', 'converted'))
    ) WITH (fillfactor = 50)
    """,
    """
    INSERT INTO subscription_counts
    SELECT plan_id, revision, status, origin, 0, sum(n) FROM subscription_count_changes GROUP BY 1, 2, 3, 4
    """,
    "DROP VIEW user_counts",
    """
    CREATE TABLE user_counts (
        shard smallint NOT NULL,
        n bigint NOT NULL,
        CONSTRAINT user_counts_pkey PRIMARY KEY (shard)
    ) WITH (fillfactor = 50)
    """,
    "INSERT INTO user_counts SELECT 0, sum(n) FROM user_count_changes HAVING count(*) > 0",
)


def upgrade() -> None:
    for statement in _UP:
        op.execute(statement)


def downgrade() -> None:
    for statement in _DOWN:
        op.execute(statement)
