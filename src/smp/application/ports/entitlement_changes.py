"""Notifications, after a commit, of whose entitlements or identity may have changed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from smp.domain.events import DomainEvent, SubjectType
from smp.domain.user.user import UserEventType


@dataclass(frozen=True, slots=True)
class EntitlementChange:
    """Whose access a transaction may have changed: users, services by their API keys, or everyone.

    An event of a plan is no cause: a subscription keeps the revision it started with, and a plan its code. The test
    clock concerns everyone.
    """

    user_ids: frozenset[UUID] = frozenset()
    api_key_ids: frozenset[UUID] = frozenset()
    everyone: bool = False

    @classmethod
    def of(cls, events: Collection[DomainEvent]) -> EntitlementChange:
        """Return the change that these events record. A registration changes no answer that was given before."""
        user_ids: set[UUID] = set()
        others: list[DomainEvent] = []
        for event in events:
            if event.user_id is None:
                others.append(event)
            elif event.type is not UserEventType.REGISTERED:
                user_ids.add(event.user_id)
        return cls(
            user_ids=frozenset(user_ids),
            api_key_ids=frozenset(event.subject_id for event in others if event.subject_type is SubjectType.API_KEY),
            everyone=any(event.subject_type is SubjectType.TEST_CLOCK for event in others),
        )

    def __bool__(self) -> bool:
        """Return whether anyone is concerned."""
        return self.everyone or bool(self.user_ids or self.api_key_ids)


class EntitlementChanges(Protocol):
    """A listener, such as a cache of access decisions."""

    @abstractmethod
    def notify(self, change: EntitlementChange) -> None:
        """Take note of a change that was committed, or may have been where the outcome of the commit is unknown.

        The unit of work calls it before ``commit`` returns, and never for a transaction that was rolled back. It must
        neither wait nor fail.
        """


class IgnoredEntitlementChanges(EntitlementChanges):
    """No listener, for a platform that caches nothing."""

    def notify(self, change: EntitlementChange) -> None:
        """Do nothing."""


IGNORED: Final = IgnoredEntitlementChanges()
