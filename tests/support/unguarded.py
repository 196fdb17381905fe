"""Databases without a guard, to show that a test of the guard would fail.

The program calls lock functions and reads tables by names without a schema. A schema at the front of the search path
provides views and functions of the same names that do the same without locks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from smp.adapters.postgres.tables import METADATA

SCHEMA: Final = "unguarded"
SEARCH_PATH: Final = f"{SCHEMA}, pg_catalog, public"


def prepared() -> Sequence[str]:
    """Return statements that create the schema and put it first in the search path of later connections."""
    return (
        f"CREATE SCHEMA {SCHEMA}",
        f"DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = {SEARCH_PATH}', current_database()); END $$",
    )


def without_row_locks(table_name: str) -> Sequence[str]:
    """Return statements that replace the table by a view, through which ``FOR UPDATE`` locks nothing.

    A change reads the row as of the start of the statement, and overwrites later changes.
    """
    table = METADATA.tables[table_name]
    columns = ", ".join(column.name for column in table.columns)
    given = ", ".join(f"NEW.{column.name}" for column in table.columns)
    inserted = [column.name for column in table.columns if column.server_default is None]  # a view has no defaults
    same = " AND ".join(f"{column.name} = OLD.{column.name}" for column in table.primary_key)
    function = f"{SCHEMA}.write_{table_name}"
    return (
        f"""
        CREATE VIEW {SCHEMA}.{table_name} AS
        WITH found AS MATERIALIZED (SELECT * FROM public.{table_name}) SELECT * FROM found
        """,  # noqa: S608 - names of our own
        f"""
        CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'INSERT' THEN
                INSERT INTO public.{table_name} ({", ".join(inserted)}) VALUES (NEW.{", NEW.".join(inserted)});
            ELSE
                UPDATE public.{table_name} SET ({columns}) = ROW ({given}) WHERE {same};
            END IF;
            RETURN NEW;
        END $$
        """,  # noqa: S608 - names of our own
        f"""
        CREATE TRIGGER written INSTEAD OF INSERT OR UPDATE ON {SCHEMA}.{table_name}
        FOR EACH ROW EXECUTE FUNCTION {function}()
        """,
    )


def without_advisory_locks() -> Sequence[str]:
    """Return statements that replace the lock functions by functions that lock nothing."""
    return (
        f"CREATE FUNCTION {SCHEMA}.pg_advisory_xact_lock(integer, integer) RETURNS void LANGUAGE sql AS ''",
        f"CREATE FUNCTION {SCHEMA}.pg_try_advisory_xact_lock(bigint) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
    )


def with_unfindable_keys() -> Sequence[str]:
    """Return statements that store every outcome under a key that no request has."""
    return (
        f"""
        CREATE FUNCTION {SCHEMA}.hide_key() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN NEW.key := NEW.key || gen_random_uuid(); RETURN NEW; END $$
        """,
        f"""
        CREATE TRIGGER hidden BEFORE INSERT ON public.idempotency_keys
        FOR EACH ROW EXECUTE FUNCTION {SCHEMA}.hide_key()
        """,
    )


def with_separate_table(schema: str, table_name: str) -> Sequence[str]:
    """Return statements that create a second table for the process with this schema first in its search path."""
    return (
        f"CREATE SCHEMA {schema}",
        f"CREATE TABLE {schema}.{table_name} (LIKE public.{table_name} INCLUDING ALL)",
    )
