"""The schema in partitions: each table that would be sharded over servers is partitioned inside one server.

PostgreSQL requires of a partitioned table what a distributed engine requires of a sharded one: every unique key and
every exclusion constraint contains the column by which the rows are placed. So this shows that schema and adapter can
be sharded. It is not a way to run the platform.
"""

from __future__ import annotations

import re
from typing import Final

import asyncpg

from smp.adapters.postgres.migrator import sql
from smp.adapters.postgres.tables import DISTRIBUTED_BY
from smp.adapters.postgres.urls import driver_url

SINCE: Final = 17
"""The first version of PostgreSQL that accepts an exclusion constraint on a partitioned table."""

# Distributed engines name a shard's keys like this: the name of the key, then the number of the shard.
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
    """Return the SQL of the migrations with hash partitions for each sharded table."""

    def partition(table: re.Match[str]) -> str:
        column = DISTRIBUTED_BY.get(table[2])
        if column is None:
            return table[0]
        parts = (
            f"CREATE TABLE {table[2]}_p{number} PARTITION OF {table[2]}"
            f" FOR VALUES WITH (MODULUS {partitions}, REMAINDER {number});"
            for number in range(partitions)
        )
        return f"{table[1]} PARTITION BY HASH ({column});\n" + "\n".join(parts)

    return _TABLE.sub(partition, sql())


async def make_partitioned(url: str, partitions: int) -> None:
    """Create the partitioned schema in an empty database."""
    connection = await asyncpg.connect(driver_url(url), timeout=30)
    try:
        await connection.execute(partitioned_sql(partitions))
        await connection.execute(_NAME_KEYS)
    finally:
        await connection.close()
