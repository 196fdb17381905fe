"""Reading plans."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol

from smp.application.paging import Page, PageRequest
from smp.application.queries.views import PlanView, RevisionView
from smp.domain.plan.plan import PlanStatus

PlanPosition = tuple[int, str]
"""Price amount and code."""
RevisionPosition = tuple[int]
"""Number."""


class PlanReader(Protocol):
    """Plans to look at."""

    @abstractmethod
    async def get(self, plan: str) -> PlanView:
        """The plan with this code or id. Raises PlanNotFound."""

    @abstractmethod
    async def list(self, status: PlanStatus | None, page: PageRequest[PlanPosition]) -> Page[PlanView, PlanPosition]:
        """Plans of this status (``None``: all), cheapest first, then by code."""

    @abstractmethod
    async def revisions(self, plan: str, page: PageRequest[RevisionPosition]) -> Page[RevisionView, RevisionPosition]:
        """The plan's revisions, newest first. Raises PlanNotFound."""
