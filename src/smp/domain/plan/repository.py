"""The repository port for plans."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol
from uuid import UUID

from smp.domain.plan.plan import Plan, PlanRevision


class PlanRepository(Protocol):
    """The repository of plans inside one transaction. It stores a plan's new events with the plan."""

    @abstractmethod
    async def get(self, plan: str, *, for_update: bool = False) -> Plan:
        """Return the plan with this code or id, at its newest revision.

        With ``for_update``, other transactions cannot change the plan until this one ends. Otherwise they can: a user
        who subscribes at the moment of a change may get the plan as it was before.

        Raises:
            PlanNotFound: if there is no such plan.
        """

    @abstractmethod
    async def revision(self, plan_id: UUID, number: int) -> tuple[Plan, PlanRevision]:
        """Return the plan, and its revision with this number.

        Raises:
            PlanNotFound: if there is no such plan or revision.
        """

    @abstractmethod
    async def add(self, plan: Plan) -> None:
        """Insert a new plan with its first revision and its events.

        Raises:
            PlanCodeTaken: if another plan has the code.
        """

    @abstractmethod
    async def save(self, plan: Plan) -> None:
        """Update the plan, and insert its new revision, if there is one, and its events.

        Raises:
            StaleVersion: if the stored plan has another version than the plan before its change.
        """
