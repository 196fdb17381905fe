"""A rule that the data must keep, as SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from smp.adapters.postgres.statements import Row, Statement, sql
from smp.application.queries.views import CheckResult

CHECK_TIMEOUT_S: Final = 600.0
"""For one check; some read a whole table."""

_COUNTED_UP_TO: Final = 1_000
_EXAMPLES: Final = 3
_RESTORE: Final = "restore the rows from a backup, or correct them by hand; then look for what wrote them"


@dataclass(frozen=True, slots=True)
class Invariant:
    """A rule as SQL that gives one text for each thing that breaks it, and what to do then."""

    name: str
    offenders: str
    advice: str = _RESTORE

    @property
    def statement(self) -> Statement:
        """How many break it, as far as they are counted, and some of them."""
        return sql(
            f"""
            SELECT count(*) AS n, (array_agg(what))[1:{_EXAMPLES}] AS examples
            FROM (SELECT offender.what FROM ({self.offenders}) AS offender (what) LIMIT {_COUNTED_UP_TO}) AS counted
            """,  # noqa: S608 - constants
            CHECK_TIMEOUT_S,
        )

    def check_result(self, row: Row) -> CheckResult:
        """What the statement's answer means."""
        if not row["n"]:
            return CheckResult(self.name, ok=True, detail="holds")
        number = f"{_COUNTED_UP_TO} or more" if row["n"] == _COUNTED_UP_TO else str(row["n"])
        return CheckResult(
            self.name, ok=False, detail=f"{number} broken: {', '.join(row['examples'])}", advice=self.advice
        )
