"""Who is calling."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from smp.application.errors import Forbidden, NotAuthenticated
from smp.application.queries.views import UserView
from smp.domain.events import Actor, ActorType
from smp.domain.user.user import Role


@dataclass(frozen=True, slots=True)
class Caller:
    """A known caller: a signed-in user with the session, or a service by its key."""

    actor: Actor
    user: UserView | None = None
    session_id: UUID | None = None

    @classmethod
    def of_session(cls, user: UserView, session_id: UUID) -> Caller:
        """The user of this session; the role decides what the events will call the actor."""
        type_ = ActorType.ADMIN if user.role is Role.ADMIN else ActorType.USER
        return cls(Actor(type_, user.id), user, session_id)

    @property
    def known_user(self) -> UserView:
        """The signed-in user. Raises NotAuthenticated for a service, which is none."""
        if self.user is None:
            raise NotAuthenticated
        return self.user

    @property
    def user_id(self) -> UUID:
        """The signed-in user's id. Raises NotAuthenticated for a service."""
        return self.known_user.id

    @property
    def session(self) -> UUID:
        """The session that asks. Raises NotAuthenticated for a service."""
        if self.session_id is None:
            raise NotAuthenticated
        return self.session_id

    @property
    def name(self) -> str:
        """What tells this caller from every other."""
        return f"{'service' if self.user is None else 'user'}:{self.actor.id}"


def require_admin(caller: Caller | None) -> None:
    """Let administrators pass.

    Raises:
        NotAuthenticated: where nobody is known.
        Forbidden: for everybody else.
    """
    if caller is None:
        raise NotAuthenticated
    if caller.actor.type is not ActorType.ADMIN:
        raise Forbidden
