"""The user aggregate: an account with an email, a password hash, a role and the switch ``disabled``."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

import idna

from smp.domain.errors import ValidationError
from smp.domain.events import DomainEvent, EventMetadata

EMAIL_MAX: Final = 254
"""The longest address that SMTP can carry, in characters (RFC 5321, section 4.5.3.1.3)."""

# This checks only the shape: one @, no blanks, a possible domain. Only sending an email shows whether the address
# exists. Invisible characters (controls, direction marks, lone surrogates) are refused by `isprintable`.
_EMAIL: Final = re.compile(
    r"[^\s@\x00-\x1f\x7f\"(),:;<>\[\]\\]{1,64}@[^\W_](?:[\w-]{0,61}[^\W_])?(?:\.[^\W_](?:[\w-]{0,61}[^\W_])?)*"
)


class Role(StrEnum):
    """The roles: ``user`` uses the product, ``admin`` also runs the platform."""

    USER = "user"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Email:
    """An email address as its owner writes it, with its ``key``, which is unique among users.

    Raises:
        ValidationError: at ``/email``, if the text is not an email address.
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

    @property
    def person(self) -> str:
        """The key without the tag of its local part: all addresses that mail servers deliver to one mailbox by "+"."""
        local, at, domain = self.key.partition("@")
        return local.split("+", 1)[0] + at + domain


def email_key(text: str) -> str:
    """Return the form that all spellings of one address share: case-folded, with the domain as A-labels (UTS 46).

    A prefix of an address gives a prefix of its key, if each label of its domain is whole or ASCII.
    """
    local, at, domain = unicodedata.normalize("NFC", text).partition("@")
    return _folded(local) + at + _a_labels(domain)


def _a_labels(domain: str) -> str:
    """Return the domain as DNS has it; in folded form if it has none, as an underscore or a part of a label."""
    if domain.isascii() or len(domain) > EMAIL_MAX:
        return _folded(domain)
    try:
        return idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        return _folded(domain)


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text.casefold())


class UserEventType(StrEnum):
    """The types of user events."""

    REGISTERED = "user.registered"
    PASSWORD_CHANGED = "user.password_changed"  # noqa: S105 - a name
    ROLE_CHANGED = "user.role_changed"
    DISABLED = "user.disabled"
    ENABLED = "user.enabled"


@dataclass(frozen=True, slots=True)
class User:
    """An account. ``password_hash`` is part of no view, event or log. ``version`` grows by one with each event.

    ``changed_at`` is when the last event occurred: no later event is dated before it.
    """

    id: UUID
    email: Email
    password_hash: str = field(repr=False)
    role: Role
    disabled: bool
    created_at: datetime
    version: int
    changed_at: datetime
    events: tuple[DomainEvent, ...] = ()

    @classmethod
    def register(cls, user_id: UUID, email: Email, password_hash: str, role: Role, metadata: EventMetadata) -> User:
        """Create an enabled account."""
        event = metadata.event(UserEventType.REGISTERED, user_id, {"role": role.value}, user_id=user_id, version=1)
        return cls(
            user_id,
            email,
            password_hash,
            role,
            disabled=False,
            created_at=metadata.at,
            version=1,
            changed_at=metadata.at,
            events=(event,),
        )

    @property
    def is_enabled_admin(self) -> bool:
        """Whether this user can run the platform now."""
        return self.role is Role.ADMIN and not self.disabled

    def change_password(self, password_hash: str, metadata: EventMetadata) -> User:
        """Return the account with another password."""
        return replace(self, password_hash=password_hash)._record(UserEventType.PASSWORD_CHANGED, metadata, {})

    def with_rehashed_password(self, password_hash: str) -> User:
        """Return the account with a new hash of the same password, which is no event."""
        return replace(self, password_hash=password_hash)

    def change_access(self, role: Role, *, disabled: bool, new_metadata: Callable[[], EventMetadata]) -> User:
        """Return the account with this role, enabled or disabled; each of the two changes is an event."""
        user = self
        if role is not self.role:
            data: dict[str, object] = {"before": {"role": self.role.value}, "after": {"role": role.value}}
            user = replace(user, role=role)._record(UserEventType.ROLE_CHANGED, new_metadata(), data)
        if disabled is not self.disabled:
            type_ = UserEventType.DISABLED if disabled else UserEventType.ENABLED
            data = {"before": {"disabled": self.disabled}, "after": {"disabled": disabled}}
            user = replace(user, disabled=disabled)._record(type_, new_metadata(), data)
        return user

    def _record(self, type_: UserEventType, metadata: EventMetadata, data: Mapping[str, object]) -> User:
        version = self.version + 1
        metadata = metadata.not_before(self.changed_at)
        event = metadata.event(type_, self.id, data, user_id=self.id, version=version)
        return replace(self, version=version, changed_at=metadata.at, events=(*self.events, event))
