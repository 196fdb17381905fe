"""One kind of error of the API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

RETRY: Final = "Wait for the seconds in Retry-After, then send the same request again."


@dataclass(frozen=True, slots=True)
class Problem:
    """A row of the table of problems.

    ``facts`` are the fields of the exception that the response shows. A fact is written as ``name:member``
    where problem details already have a member of that name.
    """

    slug: str
    status: int
    title: str
    explanation: str
    remedy: str
    facts: tuple[str, ...] = ()
