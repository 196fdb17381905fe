"""The port through which plans are kept."""

from __future__ import annotations

from abc import abstractmethod
from typing import Protocol
from uuid import UUID

from smp.domain.plan.plan import Plan, PlanRevision


class PlanRepository(Protocol):
    """Plans inside one transaction. Saved plans take their recorded events along."""

    @abstractmethod
    async def get(self, plan: str, *, for_change: bool = False) -> Plan:
        """The plan with this code or id, at its newest revision.

        It is protected from being archived by others until the transaction ends; with ``for_change`` from any change.

        Raises:
            PlanNotFound: where there is none.
        """

    @abstractmethod
    async def revision(self, plan_id: UUID, number: int) -> tuple[Plan, PlanRevision]:
        """The plan and that revision of it.

        Raises:
            PlanNotFound: where there is no such plan or revision.
        """

    @abstractmethod
    async def add(self, plan: Plan) -> None:
        """Keep a new plan with its first revision and its events.

        Raises:
            PlanCodeTaken: where another plan has the code.
        """

    @abstractmethod
    async def save(self, plan: Plan) -> None:
        """Keep the change: a new revision where there is one, and the events.

        Raises:
            StaleVersion: where the kept plan is not the one that was changed.
        """
