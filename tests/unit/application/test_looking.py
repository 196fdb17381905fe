"""Queries: subscriptions, access, users, statistics and diagnostics."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from smp.adapters.memory.store import MemoryStore
from smp.application.caller import OPERATOR, Caller
from smp.application.commands.activate_subscription import ActivateSubscription
from smp.application.commands.cancel_subscription import CancelAt, CancelSubscription
from smp.application.commands.start_trial import StartTrial
from smp.application.errors import Forbidden
from smp.application.paging import PageRequest
from smp.application.ports.subscription_reader import SubscriptionFilter
from smp.application.queries.check_access import CheckAccess
from smp.application.queries.get_current_subscription import GetCurrentSubscription
from smp.application.queries.get_statistics import GetStatistics
from smp.application.queries.get_subscription import GetSubscription
from smp.application.queries.get_user import GetUser
from smp.application.queries.list_access import ListAccess
from smp.application.queries.list_subscription_events import ListSubscriptionEvents
from smp.application.queries.list_subscription_history import ListSubscriptionHistory
from smp.application.queries.list_subscriptions import ListSubscriptions
from smp.application.queries.list_users import ListUsers
from smp.application.queries.run_diagnostics import RunDiagnostics
from smp.application.queries.views import AccessView, PlanCount, Revenue, UserView
from smp.domain.access import AccessDecision, Reason
from smp.domain.errors import NoLiveSubscription, SubscriptionNotFound, UserNotFound
from smp.domain.features import features
from smp.domain.subscription.lifecycle import Status
from smp.domain.user.user import User
from tests.support.builders import (
    ADMIN_CALLER,
    DAY,
    IDS,
    NOW,
    TICK,
    a_plan,
    a_user,
    an_active,
    caller_of,
    some_terms,
)
from tests.support.refusals import refused
from tests.support.storage import Storage
from tests.support.use_cases import UseCases

TRIAL_END = NOW + 14 * DAY
TERMS = some_terms(export=True, beta=False, seats=5, none=0, support="priority", empty="")
NOTHING = AccessDecision(False, None, Reason.NO_SUBSCRIPTION, None, None, None)  # noqa: FBT003


@pytest.fixture
async def ann(storage: Storage) -> User:
    """Return a user; there is a plan with features of every kind."""
    user = a_user()
    await storage.keep(user, a_plan("pro", TERMS))
    return user


async def start(cases: UseCases, user: User) -> None:
    """Start the trial of the user."""
    await cases(StartTrial(user.id, "pro"), caller_of(user))


async def test_the_current_subscription_is_the_live_one(
    use_cases: UseCases, storage: Storage, store: MemoryStore, ann: User
) -> None:
    """A user without one and an unknown user are two different errors."""
    with refused(store, NoLiveSubscription):
        await use_cases(GetCurrentSubscription(ann.id), OPERATOR)
    with refused(store, UserNotFound):
        await use_cases(GetCurrentSubscription(IDS.new()), OPERATOR)
    await start(use_cases, ann)
    await use_cases.set_clock(TRIAL_END - TICK)
    assert (await use_cases(GetCurrentSubscription(ann.id), OPERATOR)).status is Status.TRIAL
    await use_cases.set_clock(TRIAL_END)
    with refused(store, NoLiveSubscription):
        await use_cases(GetCurrentSubscription(ann.id), OPERATOR)


async def test_only_its_owner_and_administrators_can_read_a_subscription(
    store: MemoryStore, use_cases: UseCases, ann: User
) -> None:
    """For every other caller it does not exist, and neither do its events."""
    view = (await use_cases(StartTrial(ann.id, "pro"), caller_of(ann))).subscription
    for viewer in (caller_of(ann), ADMIN_CALLER):
        assert await use_cases(GetSubscription(view.id), viewer) == view
        page = await use_cases(ListSubscriptionEvents(view.id), viewer)
        assert [event.type for event in page.items] == ["subscription.trial_started"]
    for stranger, refusal in (
        (caller_of(a_user("bob@example.com")), SubscriptionNotFound),
        (Caller.of_service(IDS.new()), Forbidden),
    ):
        with refused(store, refusal):
            await use_cases(GetSubscription(view.id), stranger)
        with refused(store, refusal):
            await use_cases(ListSubscriptionEvents(view.id), stranger)
    with refused(store, SubscriptionNotFound):
        await use_cases(GetSubscription(IDS.new()), ADMIN_CALLER)
    with refused(store, SubscriptionNotFound):
        await use_cases(ListSubscriptionEvents(IDS.new()), ADMIN_CALLER)


async def test_the_history_of_a_user_is_newest_first_as_of_now(
    store: MemoryStore, use_cases: UseCases, ann: User
) -> None:
    """It is empty for a user who never subscribed, and not found for an unknown user."""
    assert list((await use_cases(ListSubscriptionHistory(ann.id), OPERATOR)).items) == []
    with refused(store, UserNotFound):
        await use_cases(ListSubscriptionHistory(IDS.new()), OPERATOR)
    await start(use_cases, ann)
    await use_cases.set_clock(TRIAL_END)
    await use_cases(ActivateSubscription(ann.id, "pro"), caller_of(ann))
    page = await use_cases(ListSubscriptionHistory(ann.id), OPERATOR)
    assert [view.status for view in page.items] == [Status.ACTIVE, Status.EXPIRED]
    first = await use_cases(ListSubscriptionHistory(ann.id, PageRequest(1)), OPERATOR)
    last = await use_cases(ListSubscriptionHistory(ann.id, PageRequest(1, first.next)), OPERATOR)
    assert (*first.items, *last.items) == tuple(page.items)


async def test_a_user_without_a_subscription_has_no_access(use_cases: UseCases, ann: User) -> None:
    for caller in (caller_of(ann), OPERATOR):
        assert await use_cases(CheckAccess(ann.id, "export"), caller) == NOTHING
        assert await use_cases(ListAccess(ann.id), caller) == AccessView(
            ann.id, None, None, features({}), None, disabled=False
        )


async def test_access_of_an_unknown_user_is_not_found(store: MemoryStore, use_cases: UseCases) -> None:
    """A user who never subscribed is found."""
    with refused(store, UserNotFound):
        await use_cases(CheckAccess(IDS.new(), "export"), OPERATOR)
    with refused(store, UserNotFound):
        await use_cases(ListAccess(IDS.new()), OPERATOR)


@pytest.mark.parametrize(
    ("feature", "allowed", "value"),
    [
        ("export", True, True),
        ("beta", False, False),
        ("seats", True, 5),
        ("none", False, 0),
        ("support", True, "priority"),
        ("empty", True, ""),
        ("other", False, None),
        ("Not a key!", False, None),
    ],
)
async def test_a_subscription_gives_the_features_that_are_neither_false_nor_zero(
    use_cases: UseCases,
    ann: User,
    feature: str,
    allowed: bool,  # noqa: FBT001
    value: object,
) -> None:
    await start(use_cases, ann)
    decision = await use_cases(CheckAccess(ann.id, feature), OPERATOR)
    assert (decision.allowed, decision.value, type(decision.value)) == (allowed, value, type(value))
    assert decision.reason is (Reason.GRANTED if allowed else Reason.FEATURE_NOT_IN_PLAN)
    assert (decision.status, decision.plan, decision.until) == (Status.TRIAL, "pro", TRIAL_END)


@pytest.mark.parametrize(
    ("at", "reason"),
    [(CancelAt.NOW, Reason.SUBSCRIPTION_CANCELLED), (CancelAt.PERIOD_END, Reason.SUBSCRIPTION_CANCELLED)],
)
async def test_access_ends_with_a_cancellation(use_cases: UseCases, ann: User, at: CancelAt, reason: Reason) -> None:
    """Immediately, or exactly at the end."""
    await start(use_cases, ann)
    await use_cases(CancelSubscription(ann.id, at), caller_of(ann))
    if at is CancelAt.PERIOD_END:
        await use_cases.set_clock(TRIAL_END - TICK)
        assert (await use_cases(CheckAccess(ann.id, "export"), OPERATOR)).allowed
        await use_cases.set_clock(TRIAL_END)
    decision = await use_cases(CheckAccess(ann.id, "export"), OPERATOR)
    assert decision == AccessDecision(False, None, reason, Status.CANCELLED, "pro", None)  # noqa: FBT003
    assert await use_cases(ListAccess(ann.id), OPERATOR) == AccessView(
        ann.id, Status.CANCELLED, "pro", features({}), None, disabled=False
    )


async def test_access_to_all_features_stops_exactly_at_the_end(use_cases: UseCases, ann: User) -> None:
    """This holds before the expiry job has run."""
    await start(use_cases, ann)
    await use_cases.set_clock(TRIAL_END - TICK)
    assert await use_cases(ListAccess(ann.id), OPERATOR) == AccessView(
        ann.id, Status.TRIAL, "pro", TERMS.features, TRIAL_END, disabled=False
    )
    await use_cases.set_clock(TRIAL_END)
    decision = await use_cases(CheckAccess(ann.id, "export"), OPERATOR)
    assert (decision.allowed, decision.reason) == (False, Reason.SUBSCRIPTION_EXPIRED)
    assert (await use_cases(ListAccess(ann.id), OPERATOR)).status is Status.EXPIRED


async def test_the_list_of_subscriptions_shows_the_statuses_of_now(
    storage: Storage, use_cases: UseCases, ann: User
) -> None:
    await start(use_cases, ann)
    bob, life = a_user("bob@example.com"), a_plan("life", some_terms(period=None))
    await storage.keep(bob, life, an_active(bob, life))
    await use_cases.set_clock(TRIAL_END)
    live = SubscriptionFilter(frozenset({Status.TRIAL, Status.ACTIVE}))
    assert [view.user_id for view in (await use_cases(ListSubscriptions(live), OPERATOR)).items] == [bob.id]
    every = await use_cases(ListSubscriptions(), OPERATOR)
    assert [(view.user_id, view.status) for view in every.items] == [(bob.id, Status.ACTIVE), (ann.id, Status.EXPIRED)]


async def test_users_are_found_by_id_or_by_the_start_of_their_email(
    store: MemoryStore, storage: Storage, use_cases: UseCases, ann: User
) -> None:
    """The case of letters makes no difference."""
    await storage.keep(a_user("bob@example.com"))
    assert await use_cases(GetUser(ann.id), OPERATOR) == UserView.of(ann)
    with refused(store, UserNotFound):
        await use_cases(GetUser(IDS.new()), OPERATOR)
    assert [user.id for user in (await use_cases(ListUsers("ANN@"), OPERATOR)).items] == [ann.id]
    first = await use_cases(ListUsers(page=PageRequest(1)), OPERATOR)
    assert [user.email for user in first.items] == ["ann@example.com"]
    last = await use_cases(ListUsers(page=PageRequest(1, first.next)), OPERATOR)
    assert [user.email for user in last.items] == ["bob@example.com"]


async def test_statistics_are_counted_as_of_now(storage: Storage, use_cases: UseCases) -> None:
    """A year is 12 months, a month 30.4375 days; revenue is rounded half up, once for each currency."""
    plans = {
        "monthly": (some_terms(1_000, "USD", "P1M"), 2),
        "yearly": (some_terms(1_001, "USD", "P1Y"), 1),
        "daily": (some_terms(100, "EUR", "P1D"), 1),
        "half": (some_terms(1, "KWD", "P2M"), 1),
        "less": (some_terms(5, "JPY", "P1Y"), 1),
        "free": (some_terms(0, "CHF", "P1M"), 1),
        "life": (some_terms(5_000, "USD", None), 1),
    }
    for code, (terms, count) in plans.items():
        plan = a_plan(code, terms)
        users = [a_user(f"{code}-{number}@example.com") for number in range(count)]
        await storage.keep(plan, *users, *(an_active(user, plan) for user in users))
    ann = a_user()
    await storage.keep(ann)
    await use_cases(StartTrial(ann.id, "monthly"), caller_of(ann))
    await use_cases.set_clock(NOW + DAY / 2)
    view = await use_cases(GetStatistics(), OPERATOR)
    assert (view.as_of, view.users) == (NOW + DAY / 2, 9)
    assert dict(view.subscriptions) == {Status.TRIAL: 1, Status.ACTIVE: 8, Status.EXPIRED: 0, Status.CANCELLED: 0}
    assert PlanCount("monthly", 1, 2) in view.by_plan
    # USD: 2 * 1000 + 1001 / 12 = 2083.4; EUR: 100 * 30.4375 = 3043.75; KWD: a half; JPY: 5 / 12.
    assert list(view.mrr) == [Revenue(3_044, "EUR"), Revenue(0, "JPY"), Revenue(1, "KWD"), Revenue(2_083, "USD")]
    assert (view.trials.started, view.trials.running, view.trials.conversion_rate) == (1, 1, None)
    assert view.ending_within_7_days == 1


async def test_the_conversion_rate_counts_finished_trials_only(storage: Storage, use_cases: UseCases) -> None:
    plan = a_plan()
    users = [a_user(f"user-{number}@example.com") for number in range(5)]
    await storage.keep(plan, *users)
    for user in users[:4]:
        await start(use_cases, user)
    await use_cases(ActivateSubscription(users[0].id, "pro"), caller_of(users[0]))
    for user in users[1:4]:
        await use_cases(CancelSubscription(user.id), caller_of(user))
    await start(use_cases, users[4])
    view = await use_cases(GetStatistics(), OPERATOR)
    assert (view.trials.started, view.trials.running, view.trials.converted, view.trials.lost) == (5, 1, 1, 3)
    assert view.trials.conversion_rate == 0.25


async def test_diagnostics_report_one_result_for_each_invariant(
    store: MemoryStore, use_cases: UseCases, ann: User
) -> None:
    """A failed one says what to do."""
    await start(use_cases, ann)
    findings = await use_cases(RunDiagnostics(), OPERATOR)
    assert all(check_result.ok for check_result in findings)
    (row,) = store.state.subscriptions.values()
    second = replace(row, id=IDS.new())
    store.state = replace(store.state, subscriptions=MappingProxyType({row.id: row, second.id: second}))
    wrong = [check_result for check_result in await use_cases(RunDiagnostics(), OPERATOR) if not check_result.ok]
    assert "one_live_subscription_a_user" in {check_result.check for check_result in wrong}
    assert all(check_result.detail and check_result.advice for check_result in wrong)
