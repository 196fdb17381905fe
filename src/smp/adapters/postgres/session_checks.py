"""Checks of the settings that a connection really has, which a pooler or the database may have changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import sql
from smp.application.queries.views import CheckResult

IS_READ_ONLY: Final = sql("SELECT current_setting('transaction_read_only') = 'on'", is_urgent=True)
"""Whether the server refuses writes by default; a standby does as well."""

_SETTINGS: Final = sql("SELECT name, setting FROM pg_settings WHERE name = ANY(CAST(:names AS text[]))")
_POOLER: Final = "set SMP_DATABASE_PREPARED_STATEMENTS=0 behind a pooler, or set the limits for the role in PostgreSQL"
_READ_ONLY: Final = (
    "the disk may be full, or someone has set default_transaction_read_only: reset it for the database and the role"
)


async def check_session(pool: PostgresPool) -> Sequence[CheckResult]:
    """Return whether PostgreSQL enforces the limits of the pool, and accepts writes. Raises StorageUnavailable."""
    limits = pool.settings.limits
    rows = await pool.rows(_SETTINGS, names=list(limits))
    wrong = [
        f"{row['name']} is {row['setting']}, not {limits[row['name']]}"
        for row in rows
        if row["setting"] != limits[row["name"]]
    ]
    read_only = await pool.row(IS_READ_ONLY)
    return [
        CheckResult("limits", ok=False, detail=f"{', '.join(sorted(wrong))} milliseconds", advice=_POOLER)
        if wrong
        else CheckResult("limits", ok=True, detail="PostgreSQL has the limits of SMP"),
        CheckResult("writes", ok=False, detail="the database is read-only: every change fails", advice=_READ_ONLY)
        if read_only is not None and read_only[0]
        else CheckResult("writes", ok=True, detail="the database accepts writes"),
    ]
