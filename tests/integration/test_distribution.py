"""The schema can be distributed over several servers, by the catalogue of a migrated database."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import asyncpg
import pytest

from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.tables import COPIED_TO_ALL, COUNTED_BY_TRIGGERS, DISTRIBUTED_BY, METADATA
from smp.domain.subscription.lifecycle import Status
from tests.architecture.source import ROOT
from tests.support.builders import DAY, NOW, a_plan, a_trial, a_user, an_active, an_admin
from tests.support.postgres import execute
from tests.support.postgres_storage import postgres_storage

OF_A_USER: Final = {table for table, column in DISTRIBUTED_BY.items() if column == "user_id"} | {"users", "event_log"}

TABLES: Final = """
    SELECT relname::text FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND relname <> 'alembic_version'
"""
# A unique index compares equal values; of an exclusion constraint only the columns that are compared by "=" count.
UNIQUE: Final = """
    SELECT t.relname::text AS "table", i.relname::text AS name, array_agg(a.attname::text) AS columns
    FROM pg_index AS x
    JOIN pg_class AS t ON t.oid = x.indrelid
    JOIN pg_class AS i ON i.oid = x.indexrelid
    JOIN LATERAL unnest(x.indkey::int2[]) WITH ORDINALITY AS k (attnum, place) ON true
    LEFT JOIN pg_constraint AS c ON c.conindid = x.indexrelid AND c.contype = 'x'
    LEFT JOIN pg_operator AS o ON o.oid = c.conexclop[k.place]
    LEFT JOIN pg_attribute AS a
        ON a.attrelid = x.indrelid AND a.attnum = k.attnum AND (c.oid IS NULL OR o.oprname = '=')
    WHERE t.relnamespace = 'public'::regnamespace AND t.relkind IN ('r', 'p')
    AND (x.indisunique OR x.indisexclusion) AND t.relname <> 'alembic_version'
    GROUP BY 1, 2
"""
REFERENCES: Final = """
    SELECT c.conname::text AS name, c.conrelid::regclass::text AS "from", c.confrelid::regclass::text AS "to",
           array_agg(a.attname::text || ' ' || b.attname::text) AS pairs
    FROM pg_constraint AS c
    JOIN LATERAL unnest(c.conkey, c.confkey) AS k (ours, theirs) ON true
    JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = k.ours
    JOIN pg_attribute AS b ON b.attrelid = c.confrelid AND b.attnum = k.theirs
    WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace
    GROUP BY 1, c.conrelid, c.confrelid
"""
TRIGGERS: Final = """
    SELECT tgrelid::regclass::text AS "table", tgname::text AS name, tgfoid::regproc::text AS calls
    FROM pg_trigger WHERE NOT tgisinternal
"""


async def fetch(url: str, query: str) -> Sequence[asyncpg.Record]:
    """Return all rows."""
    connection: asyncpg.Connection[Any] = await asyncpg.connect(url)
    try:
        return await connection.fetch(query)
    finally:
        await connection.close()


async def test_every_table_is_sharded_copied_or_counted(database_url: str) -> None:
    """Exactly one of these."""
    present = {row[0] for row in await fetch(database_url, TABLES)}
    places = (set(DISTRIBUTED_BY), set(COPIED_TO_ALL), set(COUNTED_BY_TRIGGERS))
    assert set.union(*places) == present
    assert sum(map(len, places)) == len(present)
    for table, column in DISTRIBUTED_BY.items():
        assert not METADATA.tables[table].c[column].nullable


async def test_every_unique_key_of_a_sharded_table_contains_the_shard_key(database_url: str) -> None:
    """So one server can refuse a duplicate; the same applies to exclusion constraints."""
    found = await fetch(database_url, UNIQUE)
    across = [row["name"] for row in found if DISTRIBUTED_BY.get(row["table"]) not in (None, *row["columns"])]
    assert across == []
    assert {"subscriptions_one_live", "subscriptions_no_overlap", "trials_once_per_user"} <= {r["name"] for r in found}


async def test_no_foreign_key_leads_to_another_server(database_url: str) -> None:
    """Only to a table that every server has, or to a row of the same user."""
    astray = []
    for row in await fetch(database_url, REFERENCES):
        ours, theirs = DISTRIBUTED_BY.get(row["from"]), DISTRIBUTED_BY.get(row["to"])
        to_own_user = {row["from"], row["to"]} <= OF_A_USER and f"{ours} {theirs}" in row["pairs"]
        to_copy = row["to"] in COPIED_TO_ALL
        # Its shard key is the user's id wherever it has a user; as an engine cannot see that, docs/scaling.md drops it.
        if not (to_own_user or to_copy or row["name"] == "event_log_user_fkey"):
            astray.append(row["name"])
    assert astray == []


async def test_triggers_only_count_or_refuse_a_change(database_url: str) -> None:
    """On several servers, views count, and a refusal needs one server. A third kind is for the previous release."""
    found = {
        (row["table"], row["calls"])
        for row in await fetch(database_url, TRIGGERS)
        if row["table"] not in {"events", "plan_events"}
    }
    counting = {(table, calls) for table, calls in found if calls.startswith("count_")}
    assert {table for table, _ in counting} == {"subscriptions", "users"}
    assert {calls for _, calls in found - counting} == {"refuse_change"}


@pytest.mark.parametrize(
    "damage",
    [
        "CREATE UNIQUE INDEX one_source ON sessions (source)",
        "ALTER TABLE subscription_spans ADD CONSTRAINT nobody_else EXCLUDE USING gist (user_id WITH <>, span WITH &&)",
        "ALTER TABLE users ADD CONSTRAINT users_email_key UNIQUE (email_key)",
    ],
)
async def test_a_unique_key_across_servers_is_found(database_url: str, damage: str) -> None:
    await fetch(database_url, damage)
    with pytest.raises(AssertionError):
        await test_every_unique_key_of_a_sharded_table_contains_the_shard_key(database_url)


@pytest.mark.parametrize(
    "damage",
    [
        "ALTER TABLE user_emails ADD CONSTRAINT astray FOREIGN KEY (user_id) REFERENCES users (id)",
        "ALTER TABLE event_log ADD CONSTRAINT astray FOREIGN KEY (actor_id) REFERENCES users (id)",
        "ALTER TABLE api_keys ADD CONSTRAINT astray FOREIGN KEY (id) REFERENCES users (id)",
    ],
)
async def test_a_foreign_key_across_servers_is_found(database_url: str, damage: str) -> None:
    await fetch(database_url, damage)
    with pytest.raises(AssertionError):
        await test_no_foreign_key_leads_to_another_server(database_url)


STAND_INS: Final = """
    CREATE TABLE placed (name text NOT NULL, dealt_out_by text, with_table text);
    CREATE FUNCTION create_reference_table(name text) RETURNS void LANGUAGE sql
        AS 'INSERT INTO placed VALUES (name, NULL, NULL)';
    CREATE FUNCTION create_distributed_table(name text, by text, colocate_with text DEFAULT NULL) RETURNS void
        LANGUAGE sql AS 'INSERT INTO placed VALUES (name, by, colocate_with)';
    CREATE FUNCTION create_distributed_function(name text) RETURNS void LANGUAGE sql
        AS 'SELECT name::regprocedure';
"""


async def test_the_statements_for_citus_on_the_page_distribute_every_table(
    database_url: str, pool: PostgresPool
) -> None:
    """In an order that foreign keys allow; the platform works afterwards."""
    page = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    (statements,) = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    await execute(database_url, STAND_INS, statements)
    placed = await fetch(database_url, "SELECT name, dealt_out_by, with_table FROM placed")
    assert {row["name"]: row["dealt_out_by"] for row in placed if row["dealt_out_by"]} == DISTRIBUTED_BY
    assert {row["name"] for row in placed if not row["dealt_out_by"]} == COPIED_TO_ALL
    together = {row["name"] for row in placed if row["with_table"] == "users"}
    assert together == {table for table in OF_A_USER if table != "users"}
    assert {row["with_table"] for row in placed if row["name"] not in OF_A_USER | COPIED_TO_ALL} == {"none"}
    order = [row["name"] for row in placed]
    for row in await fetch(database_url, REFERENCES):
        assert order.index(row["to"]) < order.index(row["from"]) or row["name"] == "plans_revision_fkey"
    storage = postgres_storage(pool)
    ann, bob, plan = a_user(), a_user("bob@example.com"), a_plan()
    await storage.keep(an_admin(), ann, bob, plan, an_active(ann, plan), a_trial(bob, plan))
    figures = await storage.statistics.figures(NOW, NOW + DAY)
    assert figures.users == 3
    assert {status: n for status, n in figures.subscriptions.items() if n} == {Status.ACTIVE: 1, Status.TRIAL: 1}
    assert [check_result.check for check_result in await storage.integrity.check(NOW) if not check_result.ok] == [
        "trials_in_ledger"
    ]
