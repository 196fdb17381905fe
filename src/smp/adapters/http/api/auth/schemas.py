"""Wire types of accounts and sessions."""

from __future__ import annotations

from typing import Annotated

import msgspec

from smp.adapters.http.wire import Cursor, Id, Instant, RequestModel, ResponseModel
from smp.application.password_policy import LENGTH_MAX
from smp.application.queries.views import SessionView, UserView
from smp.domain.user.user import Role

# Longer ones are refused before they are normalized, which takes time that is quadratic in their length.
EmailText = Annotated[str, msgspec.Meta(max_length=1_000, examples=["ada@example.com"])]
PasswordText = Annotated[str, msgspec.Meta(max_length=LENGTH_MAX, examples=["correct horse battery staple"])]


class RegisterIn(RequestModel, frozen=True):
    """A new account."""

    email: EmailText
    password: PasswordText


class LoginIn(RequestModel, frozen=True):
    """The email and the password of an account."""

    email: EmailText
    password: PasswordText


class ChangePasswordIn(RequestModel, frozen=True):
    """The old password as a proof, and the new one."""

    current_password: PasswordText
    new_password: PasswordText


class UserOut(ResponseModel, frozen=True):
    """An account."""

    id: Id
    email: Annotated[str, msgspec.Meta(examples=["ada@example.com"])]
    role: Role
    disabled: Annotated[bool, msgspec.Meta(examples=[False])]
    created_at: Instant

    @classmethod
    def of(cls, user: UserView) -> UserOut:
        """The account as it is written."""
        return cls(user.id, user.email, user.role, user.disabled, user.created_at)


class SessionOut(ResponseModel, frozen=True):
    """A signed-in browser."""

    id: Id
    created_at: Instant
    last_seen_at: Instant
    expires_at: Instant
    source: Annotated[str, msgspec.Meta(description="The address of the client.", examples=["203.0.113.9"])]
    user_agent: Annotated[str, msgspec.Meta(examples=["Mozilla/5.0"])]
    current: Annotated[bool, msgspec.Meta(description="Whether this request used the session.")]

    @classmethod
    def of(cls, session: SessionView) -> SessionOut:
        """The session as it is written."""
        return cls(
            session.id,
            session.created_at,
            session.last_seen_at,
            session.expires_at,
            session.source,
            session.user_agent,
            session.current,
        )


class SessionsPage(ResponseModel, frozen=True):
    """A page of sessions."""

    items: list[SessionOut]
    next_cursor: Cursor
