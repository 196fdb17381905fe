"""Count by appending changes, instead of changing shared rows.

A transaction that changed a row of ``subscription_counts`` kept others from it until it ended, and two of them could
deadlock. Now each writes new rows, and a job adds them up. The counts of live subscriptions are also divided by the
day on which they end, so that subscriptions that are over are counted without reading them.

Until 0008 the counts that the previous release reads stand still.

Revision ID: 0006
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision: str | None = "0005"
branch_labels: str | None = None
depends_on: str | None = None

_TABLES = (
    # ends_by is the first midnight (UTC) at or after the end of a live subscription, and infinity for all others;
    # status_after is the status from its end on. There is no key: the sum of n is the count.
    """
    CREATE TABLE subscription_count_changes (
        plan_id uuid NOT NULL,
        revision bigint NOT NULL,
        status text NOT NULL,
        origin text NOT NULL,
        ends_by date NOT NULL,
        status_after text NOT NULL,
        n bigint NOT NULL
    )
    """,
    "CREATE TABLE user_count_changes (n bigint NOT NULL)",
    """
    CREATE FUNCTION subscription_ends_by(status text, ends_at timestamptz) RETURNS date
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
        SELECT CASE WHEN status IN ('trial', 'active') AND ends_at IS NOT NULL
            THEN CAST((ends_at AT TIME ZONE 'UTC') - interval '1 microsecond' AS date) + 1 ELSE 'infinity' END
    $$
    """,
    """
    CREATE FUNCTION subscription_status_after(status text, ends_at timestamptz, cancel_at timestamptz) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
        SELECT CASE WHEN status IN ('expired', 'cancelled') OR ends_at IS NULL THEN status
            WHEN cancel_at IS NULL THEN 'expired' ELSE 'cancelled' END
    $$
    """,
)

# ruff: noqa: S608 - constants only
_COUNTED = """
    plan_id, revision, status, subscription_origin(trial_ends_at, converted_at) AS origin,
    subscription_ends_by(status, ends_at) AS ends_by, subscription_status_after(status, ends_at, cancel_at)
"""
_FUNCTION = """
    CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        {statement};
        RETURN NULL;
    END $$
"""

_STATEMENTS = {
    "count_added_subscriptions": f"""
        INSERT INTO subscription_count_changes
        SELECT {_COUNTED}, count(*) FROM added GROUP BY 1, 2, 3, 4, 5, 6
    """,
    "count_removed_subscriptions": f"""
        INSERT INTO subscription_count_changes
        SELECT {_COUNTED}, -count(*) FROM removed GROUP BY 1, 2, 3, 4, 5, 6
    """,
    "count_changed_subscriptions": f"""
        INSERT INTO subscription_count_changes
        SELECT plan_id, revision, status, origin, ends_by, status_after, sum(n)
        FROM (
            SELECT {_COUNTED} AS status_after, 1 AS n FROM after_change
            UNION ALL
            SELECT {_COUNTED}, -1 FROM before_change
        ) AS changes
        GROUP BY 1, 2, 3, 4, 5, 6 HAVING sum(n) <> 0
    """,
    "count_added_users": "INSERT INTO user_count_changes SELECT count(*) FROM added HAVING count(*) > 0",
    "count_removed_users": "INSERT INTO user_count_changes SELECT -count(*) FROM removed HAVING count(*) > 0",
}

_ADD_TO_SHARD = "ON CONFLICT (plan_id, revision, status, origin, shard) DO UPDATE SET n = kept.n + excluded.n"
_OF_SHARD = """
        INSERT INTO subscription_counts AS kept (plan_id, revision, status, origin, shard, n)
        SELECT plan_id, revision, status, subscription_origin(trial_ends_at, converted_at), pg_backend_pid() % 64,
"""
_USERS_OF_SHARD = "ON CONFLICT (shard) DO UPDATE SET n = kept.n + excluded.n"
_FORMER_STATEMENTS = {
    "count_added_subscriptions": f"""
        {_OF_SHARD} count(*) FROM added GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4 {_ADD_TO_SHARD}
    """,
    "count_removed_subscriptions": f"""
        {_OF_SHARD} -count(*) FROM removed GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4 {_ADD_TO_SHARD}
    """,
    "count_changed_subscriptions": f"""
        {_OF_SHARD} sum(change)
        FROM (SELECT *, 1 AS change FROM after_change UNION ALL SELECT *, -1 FROM before_change) AS changes
        GROUP BY 1, 2, 3, 4 HAVING sum(change) <> 0 ORDER BY 1, 2, 3, 4 {_ADD_TO_SHARD}
    """,
    "count_added_users": f"""
        INSERT INTO user_counts AS kept (shard, n)
        SELECT pg_backend_pid() % 64, count(*) FROM added HAVING count(*) > 0 {_USERS_OF_SHARD}
    """,
    "count_removed_users": f"""
        INSERT INTO user_counts AS kept (shard, n)
        SELECT pg_backend_pid() % 64, -count(*) FROM removed HAVING count(*) > 0 {_USERS_OF_SHARD}
    """,
}


def upgrade() -> None:
    for statement in _TABLES:
        op.execute(statement)
    for name, statement in _STATEMENTS.items():
        op.execute(_FUNCTION.format(name=name, statement=statement))


def downgrade() -> None:
    for name, statement in _FORMER_STATEMENTS.items():
        op.execute(_FUNCTION.format(name=name, statement=statement))
    op.execute("DROP TABLE subscription_count_changes")
    op.execute("DROP TABLE user_count_changes")
    op.execute("DROP FUNCTION subscription_ends_by(text, timestamptz)")
    op.execute("DROP FUNCTION subscription_status_after(text, timestamptz, timestamptz)")
