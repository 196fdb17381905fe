"""List the revisions of a plan."""

from __future__ import annotations

from dataclasses import dataclass, field

from smp.application.caller import Caller
from smp.application.paging import Page, PageRequest
from smp.application.ports.plan_reader import PlanReader, RevisionPosition
from smp.application.queries.views import RevisionView


@dataclass(frozen=True, slots=True)
class ListPlanRevisions:
    """The query for the revisions of the plan with this code or id."""

    plan: str
    page: PageRequest[RevisionPosition] = field(default_factory=PageRequest)


@dataclass(frozen=True, slots=True)
class ListPlanRevisionsHandler:
    """The handler of :class:`ListPlanRevisions`."""

    plans: PlanReader

    async def __call__(self, query: ListPlanRevisions, caller: Caller) -> Page[RevisionView, RevisionPosition]:
        """Return a page of revisions, newest first. Raises PlanNotFound."""
        return await self.plans.revisions(query.plan, query.page)
