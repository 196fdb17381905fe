"""Wire types of accounts and sessions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from smp.adapters.http.wire import RequestModel, ResponseModel
from smp.application.password_policy import LENGTH_MAX
from smp.application.queries.views import SessionView, UserView

# Longer ones are refused before they are normalized, which takes time that is quadratic in their length.
EmailText = Annotated[str, msgspec.Meta(max_length=1_000, examples=["ada@example.com"])]
PasswordText = Annotated[str, msgspec.Meta(max_length=LENGTH_MAX, examples=["correct horse battery staple"])]


class RegisterIn(RequestModel, frozen=True):
    """A new account."""

    email: EmailText
    password: PasswordText


class LoginIn(RequestModel, frozen=True):
    """Who wants in."""

    email: EmailText
    password: PasswordText


class ChangePasswordIn(RequestModel, frozen=True):
    """The old password as a proof, and the new one."""

    current_password: PasswordText
    new_password: PasswordText


class UserOut(ResponseModel, frozen=True):
    """An account."""

    id: UUID
    email: str
    role: str
    disabled: bool
    created_at: datetime

    @classmethod
    def of(cls, user: UserView) -> UserOut:
        """The account as it is written."""
        return cls(user.id, user.email, user.role.value, user.disabled, user.created_at)


class SessionOut(ResponseModel, frozen=True):
    """A signed-in browser."""

    id: UUID
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    source: str
    user_agent: str
    current: bool

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
    next_cursor: str | None
