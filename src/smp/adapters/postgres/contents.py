"""Facts about a database that a backup and a restore need."""

from __future__ import annotations

from typing import Final

from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import sql

_SERVER: Final = sql("SELECT current_setting('server_version_num')::int / 10000")
# Tables of extensions do not count: providers install some in every database.
_A_TABLE: Final = sql(
    """
    SELECT c.relname FROM pg_class AS c
    WHERE c.relkind IN ('r', 'p') AND pg_table_is_visible(c.oid) AND c.relnamespace <> 'pg_catalog'::regnamespace
      AND NOT EXISTS (
          SELECT FROM pg_depend AS d
          WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
      )
    ORDER BY c.relname LIMIT 1
    """
)
_COUNTS: Final = sql(
    """
    SELECT (SELECT coalesce(sum(n), 0)::bigint FROM user_count_changes),
           (SELECT coalesce(sum(n), 0)::bigint FROM subscription_count_changes)
    """
)


async def server_major(pool: PostgresPool) -> int:
    """Return the server's major version. Raises StorageUnavailable."""
    row = await pool.row(_SERVER)
    return 0 if row is None else int(row[0])


async def first_table(pool: PostgresPool) -> str | None:
    """Return the name of a table in the database, ``None`` if it has none. Raises StorageUnavailable."""
    row = await pool.row(_A_TABLE)
    return None if row is None else str(row[0])


async def count_users_and_subscriptions(pool: PostgresPool) -> tuple[int, int]:
    """Return the counts that triggers keep, which is fast for any amount of data. Raises StorageUnavailable."""
    row = await pool.row(_COUNTS)
    return (0, 0) if row is None else (row[0], row[1])
