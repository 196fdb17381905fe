"""The schema in partitions: each table that several servers would deal out, dealt out inside one.

PostgreSQL asks of a partitioned table what a distributed engine asks of a distributed one: that every unique key and
every exclusion holds the column that it is dealt out by. So this shows whether the schema, and what the adapter does
with it, would go along. It is no way to run the platform.
"""

from __future__ import annotations

import re
from typing import Final

import asyncpg

from smp.adapters.postgres.migrator import sql
from smp.adapters.postgres.tables import DISTRIBUTED_BY
from smp.adapters.postgres.urls import driver_url

SINCE: Final = 17
"""The version from which on PostgreSQL takes an exclusion constraint on a partitioned table."""

# As a distributed engine names them: the table's own name with the shard's number behind it.
_NAME_KEYS: Final = """
    DO $$
    DECLARE part record;
    BEGIN
        FOR part IN
            SELECT i.inhrelid::regclass AS key,
                   whole.relname || '_' || row_number() OVER (PARTITION BY whole.oid ORDER BY i.inhrelid) AS name
            FROM pg_inherits AS i JOIN pg_class AS whole ON whole.oid = i.inhparent AND whole.relkind = 'I'
        LOOP
            EXECUTE format('ALTER INDEX %s RENAME TO %I', part.key, part.name);
        END LOOP;
    END $$
"""
_TABLE: Final = re.compile(r"(CREATE TABLE (\w+) \(.*?\n    \));", re.DOTALL)


def partitioned_sql(partitions: int) -> str:
    """The migrations' SQL, with so many hash partitions of each table that is dealt out."""

    def deal_out(table: re.Match[str]) -> str:
        column = DISTRIBUTED_BY.get(table[2])
        if column is None:
            return table[0]
        parts = (
            f"CREATE TABLE {table[2]}_p{number} PARTITION OF {table[2]}"
            f" FOR VALUES WITH (MODULUS {partitions}, REMAINDER {number});"
            for number in range(partitions)
        )
        return f"{table[1]} PARTITION BY HASH ({column});\n" + "\n".join(parts)

    return _TABLE.sub(deal_out, sql())


async def make_partitioned(url: str, partitions: int) -> None:
    """Make the schema in partitions, in a database with nothing in it."""
    connection = await asyncpg.connect(driver_url(url), timeout=30)
    try:
        await connection.execute(partitioned_sql(partitions))
        await connection.execute(_NAME_KEYS)
    finally:
        await connection.close()
