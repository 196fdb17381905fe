"""The reader of subscriptions in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from uuid import UUID

from smp.adapters.memory.paging import page_of
from smp.adapters.memory.plan_repository import find_plan
from smp.adapters.memory.store import MemoryStore, State
from smp.application.paging import Page, PageRequest
from smp.application.ports.subscription_reader import (
    EventPosition,
    HistoryPosition,
    ListOrder,
    SubscriptionFilter,
    SubscriptionPosition,
    SubscriptionReader,
)
from smp.application.queries.views import EventView, SubscriptionView
from smp.domain.events import DomainEvent, SubjectType
from smp.domain.subscription.lifecycle import LIVE
from smp.domain.subscription.subscription import Subscription
from smp.domain.user.user import email_key


class MemorySubscriptionReader(SubscriptionReader):
    """A reader of a store's subscriptions in their effective state at the given instant."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def current(self, user_id: UUID, now: datetime) -> SubscriptionView | None:
        """Return the user's live subscription, or ``None``."""
        live = (row for row in self._of_user(user_id) if row.status_at(now) in LIVE)
        found = next(live, None)
        return None if found is None else _view(self._store.state, found, now)

    async def get(self, subscription_id: UUID, now: datetime) -> SubscriptionView | None:
        """Return the subscription with this id, or ``None``."""
        found = self._store.state.subscriptions.get(subscription_id)
        return None if found is None else _view(self._store.state, found, now)

    async def history(
        self, user_id: UUID, page: PageRequest[HistoryPosition], now: datetime
    ) -> Page[SubscriptionView, HistoryPosition]:
        """Return all of the user's subscriptions, newest first."""
        rows = page_of(self._of_user(user_id), page, lambda row: (row.starts_at, row.id), descending=True)
        return Page([_view(self._store.state, row, now) for row in rows.items], rows.next)

    async def list(
        self, expected: SubscriptionFilter, page: PageRequest[SubscriptionPosition], now: datetime
    ) -> Page[SubscriptionView, SubscriptionPosition]:
        """Return the subscriptions of all users that match the filter."""
        state = self._store.state
        found = (row for row in state.subscriptions.values() if _matches(state, expected, row, now))
        is_newest_first = expected.order is ListOrder.NEWEST
        rows = page_of(found, page, lambda row: _position(expected, row, now), descending=is_newest_first)
        return Page([_view(state, row, now) for row in rows.items], rows.next)

    async def events(self, subscription_id: UUID, page: PageRequest[EventPosition]) -> Page[EventView, EventPosition]:
        """Return the subscription's events, oldest first; none if there is no such subscription."""
        found = _event_views(event for event in self._store.events if event.subject_id == subscription_id)
        return page_of(found, page, lambda event: (event.version,))

    def _of_user(self, user_id: UUID) -> Iterator[Subscription]:
        return (row for row in self._store.state.subscriptions.values() if row.user_id == user_id)


def _position(expected: SubscriptionFilter, row: Subscription, now: datetime) -> SubscriptionPosition:
    ends = {ListOrder.PLANNED_END: row.ends_at, ListOrder.REAL_END: row.as_of(now).ended_at}
    return ends.get(expected.order), row.id


def _matches(state: State, expected: SubscriptionFilter, row: Subscription, now: datetime) -> bool:
    if expected.statuses and row.status_at(now) not in expected.statuses:
        return False
    if expected.user_id is not None and row.user_id != expected.user_id:
        return False
    if expected.plan is not None:
        plan = find_plan(state.plans, expected.plan)
        if plan is None or row.plan_id != plan.id:
            return False
    if expected.email is not None and state.users[row.user_id].email.key != email_key(expected.email):
        return False
    return _is_within(expected.ends_after, row.ends_at, expected.ends_before) and _is_within(
        expected.ended_after, row.as_of(now).ended_at, expected.ended_before
    )


def _is_within(first: datetime | None, instant: datetime | None, beyond: datetime | None) -> bool:
    if first is None and beyond is None:
        return True
    return instant is not None and (first is None or instant >= first) and (beyond is None or instant < beyond)


def _view(state: State, row: Subscription, now: datetime) -> SubscriptionView:
    revision = state.revisions[row.plan_id, row.revision]
    return SubscriptionView.bound_to(row, state.plans[row.plan_id], revision, now)


def _event_views(events: Iterable[DomainEvent]) -> Iterator[EventView]:
    for event in events:
        if event.subject_type is SubjectType.SUBSCRIPTION and event.user_id is not None and event.version is not None:
            yield EventView(
                id=event.id,
                type=event.type.value,
                occurred_at=event.occurred_at,
                actor=event.actor,
                subscription_id=event.subject_id,
                user_id=event.user_id,
                data=dict(event.data),
                version=event.version,
            )
