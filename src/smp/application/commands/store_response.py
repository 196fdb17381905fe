"""Keep the answer to an idempotent request that changed nothing."""

from __future__ import annotations

from dataclasses import dataclass

from smp.application.idempotency import IdempotentRequest
from smp.application.ports.unit_of_work import UnitOfWorkFactory


@dataclass(frozen=True, slots=True)
class StoreResponse:
    """A refusal that the domain decided is given again as well."""

    request: IdempotentRequest


@dataclass(frozen=True, slots=True)
class StoreResponseHandler:
    """What the request renders is kept in a transaction of its own."""

    unit_of_work: UnitOfWorkFactory

    async def __call__(self, command: StoreResponse) -> None:
        """Keep it. Raises DuplicateRequest where the same request was answered meanwhile."""
        async with self.unit_of_work(command.request) as work:
            await work.commit()
