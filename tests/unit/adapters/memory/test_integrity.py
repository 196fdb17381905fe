from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

import pytest

from smp.adapters.memory.integrity import CHECKS, MemoryIntegrityChecker
from smp.adapters.memory.store import MemoryStore, State
from smp.domain.api_key import ApiKeyEventType
from smp.domain.plan.plan import PlanStatus
from smp.domain.subscription.lifecycle import Status
from smp.domain.subscription.subscription import Subscription
from smp.domain.user.user import UserEventType
from tests.support.builders import DAY, IDS, NOW, a_plan, a_session, a_trial, a_user, an_api_key, some_metadata
from tests.support.storage import memory_storage


async def a_valid_state() -> State:
    """Return a state with a user on trial who has a session."""
    store, ann, plan = MemoryStore(), a_user(), a_plan()
    storage = memory_storage(store)
    await storage.keep(ann, plan, a_session(ann))
    await storage.keep_trial(a_trial(ann, plan))
    return store.state


def with_row(state: State, row: Subscription) -> State:
    """Return the state with this subscription added, or replaced if its id exists."""
    return replace(state, subscriptions=MappingProxyType({**state.subscriptions, row.id: row}))


def trial_of(state: State) -> Subscription:
    """Return the only subscription."""
    (row,) = state.subscriptions.values()
    return row


def second_plan(state: State) -> State:
    """Return a state with a second plan of the same code."""
    (plan,) = state.plans.values()
    second = replace(plan, id=IDS.new())
    return replace(state, plans=MappingProxyType({**state.plans, second.id: second}))


def archived_without_event(state: State) -> State:
    """Return a state in which the plan has another status than in its events."""
    (plan,) = state.plans.values()
    return replace(state, plans=MappingProxyType({plan.id: replace(plan, status=PlanStatus.ARCHIVED)}))


def admin_without_event(state: State) -> State:
    """Return a state in which the user has another role than in the last event."""
    (user,) = state.users.values()
    event = some_metadata().event(
        UserEventType.ROLE_CHANGED, user.id, {"after": {"role": "admin"}}, user_id=user.id, version=2
    )
    return replace(state, events=MappingProxyType({**state.events, event.id: event}))


def changed_before_its_creation(state: State) -> State:
    """Return a state with a second event of the user, dated before the first."""
    (user,) = state.users.values()
    event = some_metadata(NOW - DAY).event(UserEventType.PASSWORD_CHANGED, user.id, {}, user_id=user.id, version=2)
    return replace(state, events=MappingProxyType({**state.events, event.id: event}))


def key_revoked_without_event(state: State) -> State:
    """Return a state with an API key that was created with an event, and revoked without one."""
    key = replace(an_api_key(), revoked_at=NOW)
    event = some_metadata().event(ApiKeyEventType.CREATED, key.id, {"name": key.name})
    events = MappingProxyType({**state.events, event.id: event})
    return replace(state, api_keys=MappingProxyType({key.id: key}), events=events)


DAMAGES: dict[str, Callable[[State], State]] = {
    "one_live_subscription_a_user": lambda state: with_row(
        state, replace(trial_of(state), id=IDS.new(), starts_at=NOW + 20 * DAY, ends_at=None)
    ),
    "no_overlap_of_subscriptions": lambda state: with_row(
        state, replace(trial_of(state), id=IDS.new(), status=Status.EXPIRED, ended_at=NOW + DAY)
    ),
    "trials_in_ledger": lambda state: replace(state, trials=MappingProxyType({})),
    "dates_fit_status": lambda state: with_row(state, replace(trial_of(state), ended_at=NOW)),
    "no_gap_in_events": lambda state: with_row(state, replace(trial_of(state), version=2)),
    "events_are_in_order_of_time": changed_before_its_creation,
    "plans_match_their_last_events": archived_without_event,
    "subscriptions_match_their_last_event": lambda state: with_row(
        state, replace(trial_of(state), status=Status.ACTIVE)
    ),
    "users_match_their_last_events": admin_without_event,
    "users_were_registered_once": lambda state: replace(state, events=MappingProxyType({})),
    "revoked_keys_have_their_event": key_revoked_without_event,
    "unique_emails_and_codes": second_plan,
    "no_dangling_reference": lambda state: replace(state, users=MappingProxyType({})),
}


async def check(state: State) -> dict[str, bool]:
    """Return which invariants hold."""
    return {
        check_result.check: check_result.ok
        for check_result in await MemoryIntegrityChecker(MemoryStore(state)).check(NOW)
    }


async def test_a_valid_state_satisfies_every_invariant() -> None:
    assert await check(await a_valid_state()) == dict.fromkeys(CHECKS, True)


@pytest.mark.parametrize("name", CHECKS)
async def test_each_kind_of_damage_is_found_by_its_check(name: str) -> None:
    damaged = DAMAGES[name](await a_valid_state())
    assert (await check(damaged))[name] is False
