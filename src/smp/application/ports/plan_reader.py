"""The reader port for plans."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol

from smp.application.paging import Page, PageRequest
from smp.application.queries.views import PlanView, RevisionView
from smp.domain.plan.plan import PlanStatus

PlanPosition = tuple[str, int, str]
"""The currency and amount of the price, and the code of a plan."""
RevisionPosition = tuple[int]
"""The number of a revision."""


class PlanReader(Protocol):
    """The reader of plans."""

    @abstractmethod
    async def get(self, plan: str) -> PlanView:
        """Return the plan with this code or id. Raises PlanNotFound."""

    @abstractmethod
    async def list(self, status: PlanStatus | None, page: PageRequest[PlanPosition]) -> Page[PlanView, PlanPosition]:
        """Return the plans of this status (``None``: of any), by currency, then the cheapest first, then by code.

        Amounts of two currencies cannot be compared, so each currency is a group. Each page has the order of its
        moment: no plan is skipped or repeated, unless its own price changes between two pages.
        """

    @abstractmethod
    async def revisions(self, plan: str, page: PageRequest[RevisionPosition]) -> Page[RevisionView, RevisionPosition]:
        """Return the plan's revisions, newest first. Raises PlanNotFound."""
