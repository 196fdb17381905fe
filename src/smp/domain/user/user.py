"""The user: an account with an email, a password hash, a role and a switch."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from smp.domain.errors import ValidationError
from smp.domain.events import DomainEvent, EventMetadata

EMAIL_MAX: Final = 254
"""Characters in the longest address that SMTP can carry (RFC 5321, section 4.5.3.1.3)."""

# The shape only (one @, no blanks, a sane domain); whether it is delivered to can be known only by sending. What cannot
# be seen (controls, marks of direction, lone surrogates) is refused apart from it.
_EMAIL: Final = re.compile(
    r"[^\s@\x00-\x1f\x7f\"(),:;<>\[\]\\]{1,64}@[^\W_](?:[\w-]{0,61}[^\W_])?(?:\.[^\W_](?:[\w-]{0,61}[^\W_])?)*"
)


class Role(StrEnum):
    """What a user may do: use the product, or also run the platform."""

    USER = "user"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Email:
    """An address as its owner writes it, and ``key``, by which it is unique without regard to case.

    Raises:
        ValidationError: where it is not an address.
    """

    text: str
    key: str = ""

    def __post_init__(self) -> None:
        text = unicodedata.normalize("NFC", self.text)
        local = text.split("@", 1)[0]
        dots_misplaced = local.startswith(".") or local.endswith(".") or ".." in local
        if len(text) > EMAIL_MAX or not text.isprintable() or dots_misplaced or not _EMAIL.fullmatch(text):
            raise ValidationError("/email", f"must be an email address of up to {EMAIL_MAX} characters")
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "key", email_key(text))


def email_key(text: str) -> str:
    """What two spellings of one address, or of the beginning of one, have in common."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


class UserEventType(StrEnum):
    """The types of user events."""

    REGISTERED = "user.registered"


@dataclass(frozen=True, slots=True)
class User:
    """An account. ``password_hash`` never leaves the core; ``version`` grows by one with each event."""

    id: UUID
    email: Email
    password_hash: str = field(repr=False)
    role: Role
    disabled: bool
    created_at: datetime
    version: int
    events: tuple[DomainEvent, ...] = ()

    @classmethod
    def register(cls, user_id: UUID, email: Email, password_hash: str, role: Role, metadata: EventMetadata) -> User:
        """A new, enabled account."""
        event = metadata.event(UserEventType.REGISTERED, user_id, {"role": role.value}, user_id=user_id, version=1)
        return cls(
            user_id, email, password_hash, role, disabled=False, created_at=metadata.at, version=1, events=(event,)
        )

    @property
    def is_enabled_admin(self) -> bool:
        """Whether this user can run the platform at this moment."""
        return self.role is Role.ADMIN and not self.disabled

    def with_password(self, password_hash: str) -> User:
        """The same account with another password."""
        return replace(self, password_hash=password_hash)

    def with_access(self, role: Role, *, disabled: bool) -> User:
        """The same account with this role, enabled or disabled."""
        return replace(self, role=role, disabled=disabled)
