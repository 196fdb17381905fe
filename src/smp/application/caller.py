"""The caller of a use case, and what the caller may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from smp.application.errors import Forbidden, NotAuthenticated
from smp.application.queries.views import UserView
from smp.domain.events import SYSTEM, Actor, ActorType
from smp.domain.scopes import Scope
from smp.domain.user.user import Role

ALL_SCOPES: Final = frozenset(Scope)
NO_SCOPES: Final[frozenset[Scope]] = frozenset()
SERVICE_SCOPES: Final = frozenset({Scope.ACCESS_READ})


@dataclass(frozen=True, slots=True)
class Caller:
    """A signed-in user with the session, a service, the operator, or an anonymous visitor without an identity."""

    identity: Actor | None
    scopes: frozenset[Scope] = NO_SCOPES
    user: UserView | None = None
    session_id: UUID | None = None
    has_outdated_token: bool = False
    """The session's token was issued before the user became an administrator."""

    @classmethod
    def of_session(cls, user: UserView, session_id: UUID, *, has_outdated_token: bool = False) -> Caller:
        """Return the caller for the user of a session; an administrator has every scope."""
        if user.role is Role.ADMIN:
            return cls(Actor(ActorType.ADMIN, user.id), ALL_SCOPES, user, session_id, has_outdated_token)
        return cls(Actor(ActorType.USER, user.id), NO_SCOPES, user, session_id)

    @classmethod
    def of_service(cls, key_id: UUID) -> Caller:
        """Return the caller for the service with this API key."""
        return cls(Actor(ActorType.SERVICE, key_id), SERVICE_SCOPES)

    @property
    def actor(self) -> Actor:
        """The actor of the caller's changes. Raises NotAuthenticated for an anonymous caller."""
        if self.identity is None:
            raise NotAuthenticated
        return self.identity

    @property
    def known_user(self) -> UserView:
        """The signed-in user.

        Raises:
            NotAuthenticated: for an anonymous caller.
            Forbidden: for a service or the operator, who are not users.
        """
        if self.user is None:
            raise NotAuthenticated if self.identity is None else Forbidden
        return self.user

    @property
    def user_id(self) -> UUID:
        """The signed-in user's id. Raises the errors of :attr:`known_user`."""
        return self.known_user.id

    def is_user(self, user_id: UUID | None) -> bool:
        """Return whether the caller is this user, signed in."""
        return self.user is not None and self.user.id == user_id

    def require(self, scope: Scope) -> None:
        """Check that the caller has the scope.

        Raises:
            NotAuthenticated: for an anonymous caller without the scope.
            Forbidden: for any other caller without the scope.
        """
        if scope not in self.scopes:
            raise NotAuthenticated if self.identity is None else Forbidden

    @property
    def session(self) -> UUID:
        """The session of the request. Raises the errors of :attr:`known_user`."""
        if self.session_id is None:
            raise NotAuthenticated if self.identity is None else Forbidden
        return self.session_id

    @property
    def name(self) -> str:
        """A text that is different for every caller; all anonymous callers share one."""
        if self.identity is None:
            return "anonymous"
        return f"{'service' if self.user is None else 'user'}:{self.identity.id}"

    @property
    def label(self) -> str:
        """The type and the id of the actor, for people who read a log."""
        return "anonymous" if self.identity is None else f"{self.identity.type}:{self.identity.id}"


ANONYMOUS: Final = Caller(None)
"""A visitor without a session or key."""

OPERATOR: Final = Caller(SYSTEM, ALL_SCOPES)
"""The operator at the command line, and the jobs of the platform."""
