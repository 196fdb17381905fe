"""Databases in which a guard is missing, to show that a test of it would notice.

The program asks for its locks and reads its tables by names without a schema. A schema that is looked into first gives
it views and functions of the same names that do all the same, but lock nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from smp.adapters.postgres.tables import METADATA

SCHEMA: Final = "unguarded"
SEARCH_PATH: Final = f"{SCHEMA}, pg_catalog, public"


def prepared() -> Sequence[str]:
    """The schema, and that it is looked into first, by every connection from now on."""
    return (
        f"CREATE SCHEMA {SCHEMA}",
        f"DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = {SEARCH_PATH}', current_database()); END $$",
    )


def without_row_locks(table_name: str) -> Sequence[str]:
    """A view in the place of the table: ``FOR UPDATE`` and the like do not reach through it.

    What is changed is found as it was when the statement began, and written over whatever it has become since.
    """
    table = METADATA.tables[table_name]
    columns = ", ".join(column.name for column in table.columns)
    given = ", ".join(f"NEW.{column.name}" for column in table.columns)
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
                INSERT INTO public.{table_name} ({columns}) VALUES ({given});
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
    """Functions that say that the lock is held, and hold none."""
    return (
        f"CREATE FUNCTION {SCHEMA}.pg_advisory_xact_lock(integer, integer) RETURNS void LANGUAGE sql AS ''",
        f"CREATE FUNCTION {SCHEMA}.pg_try_advisory_xact_lock(bigint) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
    )


def with_keys_that_never_meet() -> Sequence[str]:
    """Every kept answer under a key that is never asked for again."""
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


def with_own_table(schema: str, table_name: str) -> Sequence[str]:
    """A second table of the same kind, for the process that looks into this schema first."""
    return (
        f"CREATE SCHEMA {schema}",
        f"CREATE TABLE {schema}.{table_name} (LIKE public.{table_name} INCLUDING ALL)",
    )
