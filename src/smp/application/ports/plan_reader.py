"""The reader port for plans."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol

from smp.application.paging import Page, PageRequest
from smp.application.queries.views import PlanView, RevisionView
from smp.domain.plan.plan import PlanStatus

PlanPosition = tuple[int, str]
"""The price amount and the code of a plan."""
RevisionPosition = tuple[int]
"""The number of a revision."""


class PlanReader(Protocol):
    """The reader of plans."""

    @abstractmethod
    async def get(self, plan: str) -> PlanView:
        """Return the plan with this code or id. Raises PlanNotFound."""

    @abstractmethod
    async def list(self, status: PlanStatus | None, page: PageRequest[PlanPosition]) -> Page[PlanView, PlanPosition]:
        """Return the plans of this status (``None``: of any), the cheapest first, then by code."""

    @abstractmethod
    async def revisions(self, plan: str, page: PageRequest[RevisionPosition]) -> Page[RevisionView, RevisionPosition]:
        """Return the plan's revisions, newest first. Raises PlanNotFound."""
