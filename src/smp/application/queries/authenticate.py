"""Authenticate a caller."""

from __future__ import annotations

from dataclasses import dataclass, field

from smp.application.caller import Caller
from smp.application.errors import NotAuthenticated
from smp.application.ports.api_key_reader import ApiKeyReader
from smp.application.ports.clock import Clock
from smp.application.ports.session_activity import SessionActivity
from smp.application.ports.session_reader import SessionReader
from smp.application.ports.token_generator import TokenGenerator
from smp.application.queries.views import UserView
from smp.application.session_token import owner_named_by
from smp.domain.user.session import Session, SessionPolicy


@dataclass(frozen=True, slots=True)
class Authenticate:
    """The query for the caller with this session token of a browser, or this API key of a service."""

    session_token: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class AuthenticateHandler:
    """The handler of :class:`Authenticate`. It reads role and switch at every call, so changes apply at once."""

    sessions: SessionReader
    activity: SessionActivity
    api_keys: ApiKeyReader
    tokens: TokenGenerator
    clock: Clock
    policy: SessionPolicy

    async def __call__(self, query: Authenticate, caller: Caller) -> Caller:
        """Return the caller.

        Raises:
            NotAuthenticated: if there is no such session or key, the session has ended, the user is disabled, or the
                key is revoked.
        """
        if query.api_key is not None:
            return await self._service(query.api_key)
        if query.session_token is None:
            raise NotAuthenticated
        found = await self._session(query.session_token)
        if found is None:
            raise NotAuthenticated
        session, user = found
        now = await self.clock.now()
        if user.disabled or now >= self.policy.ends_at(session, user.role):
            raise NotAuthenticated
        if self.policy.is_to_be_touched(session, user.role, now):
            await self.activity.record_use(session, now)
        return Caller.of_session(user, session.id, has_outdated_token=session.has_outdated_token(user.role))

    async def _session(self, token: str) -> tuple[Session, UserView] | None:
        owner = owner_named_by(token)
        return None if owner is None else await self.sessions.find(owner, self.tokens.digest(token))

    async def _service(self, secret: str) -> Caller:
        key = await self.api_keys.find(self.tokens.digest(secret))
        if key is None or key.revoked_at is not None:
            raise NotAuthenticated
        return Caller.of_service(key.id)
