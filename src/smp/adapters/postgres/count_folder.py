"""Adding up the changes of the counts, in PostgreSQL."""

from __future__ import annotations

from typing import Final

from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import Statement, sql
from smp.application.ports.count_folder import CountFolder

_UNFOLDED_MAX: Final = 1_000
_BATCH_ROWS: Final = 50_000

# Takes rows that no other transaction has locked, and writes one row for each kind instead. Every statement sees all of
# these rows before, or all of them after. It does so if there are more than twice as many rows as kinds, so
# the effort for a change does not grow with the number of kinds.
_FOLD: Final = """
    WITH kinds AS (
        SELECT count(*) AS rows, sum(n) AS counted FROM {table} GROUP BY {kind}
    ), taken AS (
        DELETE FROM {table}
        WHERE (SELECT sum(rows) > 2 * count(*) FILTER (WHERE counted <> 0) + :unfolded_max FROM kinds)
          AND ctid = ANY (ARRAY(SELECT ctid FROM {table} LIMIT :limit FOR UPDATE SKIP LOCKED))
        RETURNING *
    ), folded AS (
        INSERT INTO {table} SELECT {columns} sum(n) FROM taken GROUP BY {kind} HAVING sum(n) <> 0 RETURNING 1
    )
    SELECT (SELECT count(*) FROM taken) - (SELECT count(*) FROM folded)
"""
_KIND: Final = "plan_id, revision, status, origin, ends_by, status_after"


def _fold(table: str, kind: str, columns: str) -> Statement:
    return sql(_FOLD.format(table=table, kind=kind, columns=columns))


_STATEMENTS: Final = (
    _fold("subscription_count_changes", _KIND, f"{_KIND},"),
    _fold("user_count_changes", "()", ""),
)


class PostgresCountFolder(CountFolder):
    """A folder that blocks no writer and no reader, and any number of which may run at once."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def fold(self) -> int:
        """Add up one batch of each table, where there are many; return how many rows fewer there are now."""
        rows = [
            await self._pool.row(statement, unfolded_max=_UNFOLDED_MAX, limit=_BATCH_ROWS) for statement in _STATEMENTS
        ]
        return sum(row[0] for row in rows if row is not None)
