"""Renew the token of the caller's session."""

from __future__ import annotations

from dataclasses import dataclass

from smp.application.caller import Caller
from smp.application.errors import NotAuthenticated
from smp.application.ports.clock import Clock
from smp.application.ports.token_generator import TokenGenerator
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.application.session_opening import OpenedSession
from smp.application.session_token import new_session_token
from smp.domain.user.session import SessionPolicy


@dataclass(frozen=True, slots=True)
class RenewSessionToken:
    """The command to give the caller's session a token for the caller's present role."""


@dataclass(frozen=True, slots=True)
class RenewSessionTokenHandler:
    """The handler of :class:`RenewSessionToken`.

    The old token is worthless when it returns. The session stays the same, with its id and its latest possible end.
    """

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    tokens: TokenGenerator
    policy: SessionPolicy

    async def __call__(self, command: RenewSessionToken, caller: Caller) -> OpenedSession:
        """Return the session with its new token.

        Raises:
            NotAuthenticated: if the session has ended, or another request has renewed the token.
        """
        user = caller.known_user
        token = new_session_token(user.id, self.tokens)
        now = await self.clock.now()
        async with self.unit_of_work() as work:
            renewed = await work.sessions.renew_token(user.id, caller.session, self.tokens.digest(token), user.role)
            if renewed is None:
                raise NotAuthenticated
            await work.commit()
        return OpenedSession(user, token, now, renewed.created_at + self.policy.of(user.role).absolute)
