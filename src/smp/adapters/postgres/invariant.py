"""A rule that the data must keep, as SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from smp.adapters.postgres.statements import Row, Statement, sql
from smp.application.queries.views import CheckResult

CHECK_TIMEOUT_S: Final = 600.0
"""The time limit of one check; some read a whole table."""

_COUNTED_UP_TO: Final = 1_000
_EXAMPLES: Final = 3
_RESTORE: Final = "restore the rows from a backup, or correct them by hand; then look for what wrote them"


@dataclass(frozen=True, slots=True)
class Invariant:
    """A rule, with SQL that returns one text for each violation, and advice on how to correct it."""

    name: str
    offenders: str
    advice: str = _RESTORE

    @property
    def statement(self) -> Statement:
        """The statement that counts the violations, up to a limit, and returns examples."""
        return sql(
            f"""
            SELECT count(*) AS n, (array_agg(what))[1:{_EXAMPLES}] AS examples
            FROM (SELECT offender.what FROM ({self.offenders}) AS offender (what) LIMIT {_COUNTED_UP_TO}) AS counted
            """,  # noqa: S608 - constants
            CHECK_TIMEOUT_S,
        )

    def check_result(self, row: Row) -> CheckResult:
        """Return the result of the check for the statement's row."""
        if not row["n"]:
            return CheckResult(self.name, ok=True, detail="holds")
        number = f"{_COUNTED_UP_TO} or more" if row["n"] == _COUNTED_UP_TO else str(row["n"])
        return CheckResult(
            self.name, ok=False, detail=f"{number} broken: {', '.join(row['examples'])}", advice=self.advice
        )
