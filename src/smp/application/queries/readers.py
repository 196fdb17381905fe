"""The readers: what the queries need of the storage. Every list has a total order and is paged by it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from smp.application.paging import Page, PageRequest
from smp.application.ports.api_keys import ApiKey
from smp.application.queries.views import (
    ApiKeyView,
    CheckResult,
    EventView,
    PlanCount,
    PlanView,
    RevisionRevenue,
    RevisionView,
    SubscriptionView,
    TrialCounts,
    UserView,
)
from smp.domain.access import EntitlementSnapshot
from smp.domain.plan.plan import PlanStatus
from smp.domain.subscription.lifecycle import Status
from smp.domain.user.session import Session

PlanPosition = tuple[int, str]
"""Price amount and code."""
RevisionPosition = tuple[int]
UserPosition = tuple[str]
"""Email key."""
SessionPosition = tuple[datetime, UUID]
HistoryPosition = tuple[datetime, UUID]
"""Start and id."""
EventPosition = tuple[int]
"""Version."""
SubscriptionPosition = tuple[datetime | None, UUID]
"""End (where the list is ordered by it) and id."""


@dataclass(frozen=True, slots=True)
class SubscriptionFilter:
    """What an administrator looks for; statuses are those that hold at the instant asked about.

    ``ends_after`` is inclusive and ``ends_before`` exclusive; where either is given the list is ordered by end,
    soonest first, otherwise newest first.
    """

    statuses: frozenset[Status] = frozenset()
    plan: str | None = None
    user_id: UUID | None = None
    email: str | None = None
    ends_before: datetime | None = None
    ends_after: datetime | None = None

    @property
    def by_end(self) -> bool:
        """Whether the list is ordered by end."""
        return self.ends_before is not None or self.ends_after is not None


class PlanReader(Protocol):
    """Plans to look at."""

    @abstractmethod
    async def get(self, plan: str) -> PlanView:
        """The plan with this code or id. Raises PlanNotFound."""

    @abstractmethod
    async def list(self, status: PlanStatus | None, page: PageRequest[PlanPosition]) -> Page[PlanView, PlanPosition]:
        """Plans of this status (``None``: all), cheapest first, then by code."""

    @abstractmethod
    async def revisions(self, plan: str, page: PageRequest[RevisionPosition]) -> Page[RevisionView, RevisionPosition]:
        """The plan's revisions, newest first. Raises PlanNotFound."""


class UserReader(Protocol):
    """Users to look at."""

    @abstractmethod
    async def get(self, user_id: UUID) -> UserView:
        """The user. Raises UserNotFound."""

    @abstractmethod
    async def list(self, email_prefix: str, page: PageRequest[UserPosition]) -> Page[UserView, UserPosition]:
        """Users whose email begins so, without regard to case, by email."""


class SessionReader(Protocol):
    """Sessions to look at, and to know callers by."""

    @abstractmethod
    async def find(self, user_id: UUID, token_digest: bytes) -> tuple[Session, UserView] | None:
        """The user's session with this token, and the user, whether or not it is over; in one round trip."""

    @abstractmethod
    async def touch(self, session: Session, now: datetime) -> None:
        """Write down that the session was used at ``now``."""

    @abstractmethod
    async def list(self, user_id: UUID, page: PageRequest[SessionPosition]) -> Page[Session, SessionPosition]:
        """The user's sessions, over or not, newest first."""


class SubscriptionReader(Protocol):
    """Subscriptions to look at, as of ``now``."""

    @abstractmethod
    async def current(self, user_id: UUID, now: datetime) -> SubscriptionView | None:
        """The user's live subscription."""

    @abstractmethod
    async def get(self, subscription_id: UUID, now: datetime) -> SubscriptionView | None:
        """The subscription with this id."""

    @abstractmethod
    async def history(
        self, user_id: UUID, page: PageRequest[HistoryPosition], now: datetime
    ) -> Page[SubscriptionView, HistoryPosition]:
        """All of the user's subscriptions, newest first."""

    @abstractmethod
    async def list(
        self, wanted: SubscriptionFilter, page: PageRequest[SubscriptionPosition], now: datetime
    ) -> Page[SubscriptionView, SubscriptionPosition]:
        """The subscriptions of all users that the filter lets through; every page costs the same."""

    @abstractmethod
    async def events(self, subscription_id: UUID, page: PageRequest[EventPosition]) -> Page[EventView, EventPosition]:
        """The subscription's events, oldest first; empty where there is no such subscription."""


class AccessReader(Protocol):
    """What access is decided by; never read from a replica."""

    @abstractmethod
    async def standing(self, user_id: UUID) -> EntitlementSnapshot | None:
        """The user's newest subscription, in one round trip; ``None`` where there never was one."""


@dataclass(frozen=True, slots=True)
class StatisticsSnapshot:
    """The counts that statistics are made of, as of one instant."""

    users: int
    subscriptions: Mapping[Status, int]
    by_plan: Sequence[PlanCount]
    revenue: Sequence[RevisionRevenue]
    trials: TrialCounts
    ending: int


class StatisticsReader(Protocol):
    """The platform in counts; the cost does not grow with the number of ended subscriptions."""

    @abstractmethod
    async def figures(self, now: datetime, ending_before: datetime) -> StatisticsSnapshot:
        """All counts as of ``now``; ``ending`` are the live ones that end before ``ending_before``.

        ``by_plan`` holds the plans with live subscriptions, by code; ``revenue`` the revisions with a price and a
        period that have active ones.
        """


class ApiKeyReader(Protocol):
    """API keys to look at, and to know services by."""

    @abstractmethod
    async def find(self, digest: bytes) -> ApiKey | None:
        """The key with this digest, revoked or not."""

    @abstractmethod
    async def list(self) -> Sequence[ApiKeyView]:
        """All keys, oldest first."""


class IntegrityChecker(Protocol):
    """Checks what must always be true of the data; changes nothing."""

    @abstractmethod
    async def check(self, now: datetime) -> Sequence[CheckResult]:
        """One finding for each invariant."""
