"""Steps of migrations that take long and must not block other statements.

A revision runs in one transaction, but these steps run outside of it. What a step has done stays if the revision fails
afterwards. So a revision that uses them must be repeatable, and does as little else as possible.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from alembic import op

_NO_LIMITS: Final = ("SET lock_timeout = 0", "SET statement_timeout = 0")
_USUAL_LIMITS: Final = ("RESET lock_timeout", "RESET statement_timeout")


def create_index_concurrently(name: str, definition: str, *, unique: bool = False) -> None:
    """Create an index while others write; ``definition`` follows its name, such as ``ON users (email_key)``.

    An interrupted attempt leaves an invalid index, so an index of this name is dropped first.
    """
    with without_transaction():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        # The linter asks for IF NOT EXISTS, which would keep an invalid index.
        ignored = "-- squawk-ignore prefer-robust-stmts\n"
        op.execute(f"{ignored}CREATE {'UNIQUE ' if unique else ''}INDEX CONCURRENTLY {name} {definition}")


def drop_index_concurrently(name: str) -> None:
    """Drop an index, if it exists, while others write."""
    with without_transaction():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


def validate_constraint(table: str, name: str) -> None:
    """Check the rows of the table by a constraint that was added ``NOT VALID``, while others write."""
    with without_transaction():
        # The linter asks for a transaction, because it does not know that this can be repeated.
        op.execute(f"-- squawk-ignore prefer-robust-stmts\nALTER TABLE {table} VALIDATE CONSTRAINT {name}")


def wait_for_writers(table: str) -> None:
    """Wait until the transactions that have written to the table are over; later ones wait for this shortly.

    All later ones see what the migration has committed before, such as a new function of a trigger.
    """
    with without_transaction():
        op.execute(
            f"""
            DO $wait$
            BEGIN
                PERFORM set_config('lock_timeout', '2s', true);
                LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE;
            END $wait$
            """
        )


def backfill(batch: str) -> None:
    """Run a statement again and again, each time in its own transaction, until it writes no row.

    ``batch`` writes a few thousand rows that lack the new value. It must find them by an index (if necessary, a partial
    one that is dropped later), because otherwise every batch reads the rows of all batches before it.
    """
    with without_transaction():
        op.execute(
            f"""
            DO $backfill$
            DECLARE written bigint;
            BEGIN
                LOOP
                    PERFORM set_config('lock_timeout', '2s', true);
                    {batch};
                    GET DIAGNOSTICS written = ROW_COUNT;
                    COMMIT;
                    EXIT WHEN written = 0;
                END LOOP;
            END $backfill$
            """
        )


@contextmanager
def without_transaction() -> Iterator[None]:
    """Commit what the revision has done, and run the block's statements one by one, without limits of time."""
    with op.get_context().autocommit_block():
        for statement in _NO_LIMITS:
            op.execute(statement)
        yield
        for statement in _USUAL_LIMITS:
            op.execute(statement)
