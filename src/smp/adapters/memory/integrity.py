"""Checks of the invariants of the data in memory."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import chain, combinations
from types import MappingProxyType
from typing import Final
from uuid import UUID

from smp.adapters.memory.store import MemoryStore, State
from smp.adapters.memory.subscription_repository import overlap
from smp.application.ports.integrity_checker import IntegrityChecker
from smp.application.queries.views import CheckResult
from smp.domain.api_key import ApiKeyEventType
from smp.domain.events import DomainEvent
from smp.domain.plan.events import PlanEventType
from smp.domain.subscription.lifecycle import LIVE, Status, SubscriptionEventType
from smp.domain.subscription.subscription import Subscription
from smp.domain.user.user import UserEventType

Check = Callable[[State], Iterator[str]]
"""A check of one invariant. It yields a description of each violation."""


class MemoryIntegrityChecker(IntegrityChecker):
    """A checker of a store. The adapters keep the invariants, but a state that a test builds may violate them."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def check(self, now: datetime) -> Sequence[CheckResult]:  # noqa: ARG002 - the rules hold at every instant
        """Return one result for each invariant."""
        return [_check_result(name, check, self._store.state) for name, check in CHECKS.items()]


def _check_result(name: str, check: Check, state: State) -> CheckResult:
    violations = list(check(state))
    if not violations:
        return CheckResult(name, ok=True, detail="no violations")
    detail = f"{len(violations)} violations, the first: {violations[0]}"
    return CheckResult(name, ok=False, detail=detail, advice="correct the state that the test builds")


def _one_live(state: State) -> Iterator[str]:
    live = Counter(row.user_id for row in state.subscriptions.values() if row.is_live)
    return (f"user {user_id} has {count} live subscriptions" for user_id, count in live.items() if count > 1)


def _no_overlap(state: State) -> Iterator[str]:
    by_user: dict[UUID, list[Subscription]] = defaultdict(list)
    for row in state.subscriptions.values():
        by_user[row.user_id].append(row)
    pairs = chain.from_iterable(combinations(rows, 2) for rows in by_user.values())
    return (f"subscriptions {one.id} and {other.id} overlap" for one, other in pairs if overlap(one, other))


def _trials_in_ledger(state: State) -> Iterator[str]:
    tried = set(state.trials.values())
    return (
        f"trial {row.id} is not in the ledger"
        for row in state.subscriptions.values()
        if row.trial_ends_at is not None and row.id not in tried
    )


def _dates_fit_status(state: State) -> Iterator[str]:
    return (f"subscription {row.id}" for row in state.subscriptions.values() if not _dates_fit(row))


def _dates_fit(row: Subscription) -> bool:
    is_final = row.status not in LIVE
    is_cancelled = row.status is Status.CANCELLED
    in_order = row.ends_at is None or row.starts_at < row.ends_at
    return in_order and is_final == (row.ended_at is not None) and is_cancelled == (row.cancelled_at is not None)


def _no_gap_in_events(state: State) -> Iterator[str]:
    versions: dict[UUID, list[int]] = defaultdict(list)
    for event in state.events.values():
        if event.version is not None:
            versions[event.subject_id].append(event.version)
    rows = {plan.id: plan.version for plan in state.plans.values()}
    rows.update((row.id, row.version) for row in state.subscriptions.values())
    rows.update((user.id, user.version) for user in state.users.values())
    subjects = rows.keys() | versions.keys()
    return (f"{id_}" for id_ in subjects if sorted(versions[id_]) != list(range(1, rows.get(id_, 0) + 1)))


def _subscriptions_match(state: State) -> Iterator[str]:
    last = _last(state, SubscriptionEventType)
    return (
        f"subscription {row.id}"
        for row in state.subscriptions.values()
        if row.id not in last or last[row.id].data["status"] != row.status.value
    )


def _plans_match(state: State) -> Iterator[str]:
    revised = _last(state, {PlanEventType.CREATED, PlanEventType.REVISED})
    changed = _last(state, {PlanEventType.CREATED, PlanEventType.ARCHIVED, PlanEventType.RESTORED})
    revisions = {plan_id: event.data["revision"] for plan_id, event in revised.items()}
    archived = {plan_id for plan_id, event in changed.items() if event.type is PlanEventType.ARCHIVED}
    for plan in state.plans.values():
        if revisions.get(plan.id) != plan.revision.number or plan.is_archived != (plan.id in archived):
            yield f"plan {plan.code}"


def _users_match(state: State) -> Iterator[str]:
    roles = _last(state, {UserEventType.ROLE_CHANGED})
    switches = _last(state, {UserEventType.DISABLED, UserEventType.ENABLED})
    for user in state.users.values():
        role, switch = roles.get(user.id), switches.get(user.id)
        role_differs = role is not None and role.data["after"] != {"role": user.role.value}
        if role_differs or (switch is not None and user.disabled != (switch.type is UserEventType.DISABLED)):
            yield f"user {user.id}"


def _registered_once(state: State) -> Iterator[str]:
    registered = Counter(e.subject_id for e in state.events.values() if e.type is UserEventType.REGISTERED)
    return (f"user {user_id}" for user_id in state.users if registered[user_id] != 1)


def _revoked_keys_have_event(state: State) -> Iterator[str]:
    created = _last(state, {ApiKeyEventType.CREATED})
    revoked = _last(state, {ApiKeyEventType.REVOKED})
    return (
        f"API key {key.id}"
        for key in state.api_keys.values()
        if key.id in created and key.revoked_at != (revoked[key.id].occurred_at if key.id in revoked else None)
    )


def _events_in_order(state: State) -> Iterator[str]:
    last: dict[UUID, datetime] = {}
    for event in state.events.values():
        if event.occurred_at < last.get(event.subject_id, event.occurred_at):
            yield f"{event.type} of {event.subject_id}"
        last[event.subject_id] = event.occurred_at


def _last(state: State, types: Iterable[StrEnum]) -> Mapping[UUID, DomainEvent]:
    """Return the newest event of these types of each subject; the log is in the order of the commits."""
    matching = frozenset(types)
    return {event.subject_id: event for event in state.events.values() if event.type in matching}


def _unique_names(state: State) -> Iterator[str]:
    emails = Counter(user.email.key for user in state.users.values())
    codes = Counter(plan.code for plan in state.plans.values())
    return (name for name, count in chain(emails.items(), codes.items()) if count > 1)


def _no_dangling_reference(state: State) -> Iterator[str]:
    for row in state.subscriptions.values():
        if row.user_id not in state.users or (row.plan_id, row.revision) not in state.revisions:
            yield f"subscription {row.id}"
    for session in state.sessions.values():
        if session.user_id not in state.users:
            yield f"session {session.id}"


CHECKS: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "one_live_subscription_a_user": _one_live,
        "no_overlap_of_subscriptions": _no_overlap,
        "trials_in_ledger": _trials_in_ledger,
        "dates_fit_status": _dates_fit_status,
        "no_gap_in_events": _no_gap_in_events,
        "events_are_in_order_of_time": _events_in_order,
        "subscriptions_match_their_last_event": _subscriptions_match,
        "plans_match_their_last_events": _plans_match,
        "users_match_their_last_events": _users_match,
        "users_were_registered_once": _registered_once,
        "revoked_keys_have_their_event": _revoked_keys_have_event,
        "unique_emails_and_codes": _unique_names,
        "no_dangling_reference": _no_dangling_reference,
    }
)
