"""List the administrators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smp.application.caller import Caller
from smp.application.ports.user_reader import UserReader
from smp.application.queries.views import UserView


@dataclass(frozen=True, slots=True)
class ListAdministrators:
    """The query for all administrators."""


@dataclass(frozen=True, slots=True)
class ListAdministratorsHandler:
    """The handler of :class:`ListAdministrators`."""

    users: UserReader

    async def __call__(self, query: ListAdministrators, caller: Caller) -> Sequence[UserView]:
        """Return the administrators, disabled ones included, sorted by email."""
        return await self.users.administrators()
