"""Renewing, cancelling and resuming a live subscription."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from smp.adapters.memory.store import MemoryStore
from smp.adapters.payments.none import NoPayments
from smp.application.commands.activate_subscription import ActivateSubscription
from smp.application.commands.archive_plan import ArchivePlan
from smp.application.commands.cancel_subscription import CancelAt, CancelSubscription
from smp.application.commands.renew_subscription import RenewSubscription
from smp.application.commands.resume_subscription import ResumeSubscription
from smp.application.commands.start_trial import StartTrial
from smp.application.commands.update_plan import PlanPatch, UpdatePlan
from smp.application.errors import PaymentUnavailable
from smp.application.outcomes import SubscriptionOutcome
from smp.application.preconditions import VersionPrecondition
from smp.domain.errors import (
    IllegalTransition,
    NoLiveSubscription,
    PaymentDeclined,
    PaymentRequired,
    StaleVersion,
    UserNotFound,
    ValidationError,
)
from smp.domain.money import Money
from smp.domain.subscription.lifecycle import Status
from smp.domain.user.user import User
from tests.support.builders import (
    ADMIN,
    ADMIN_CALLER,
    DAY,
    NOW,
    TICK,
    a_plan,
    a_user,
    actor_of,
    an_active,
    caller_of,
    some_terms,
)
from tests.support.payments import RecordedPayments
from tests.support.refusals import refused
from tests.support.storage import Storage
from tests.support.use_cases import UseCases

Action = Callable[[UseCases, User, VersionPrecondition | None], Awaitable[SubscriptionOutcome]]

FEBRUARY, MARCH = NOW.replace(month=2, day=28), NOW.replace(month=3, day=31)


async def renew(cases: UseCases, user: User, expected: VersionPrecondition | None = None) -> SubscriptionOutcome:
    """Renew the user's subscription."""
    outcome: SubscriptionOutcome = await cases(RenewSubscription(user.id, expected=expected), caller_of(user))
    return outcome


async def cancel(cases: UseCases, user: User, expected: VersionPrecondition | None = None) -> SubscriptionOutcome:
    """Cancel the user's subscription now."""
    outcome: SubscriptionOutcome = await cases(CancelSubscription(user.id, expected=expected), caller_of(user))
    return outcome


async def cancel_at_end(
    cases: UseCases, user: User, expected: VersionPrecondition | None = None
) -> SubscriptionOutcome:
    """Cancel the user's subscription at the end of the period."""
    outcome: SubscriptionOutcome = await cases(
        CancelSubscription(user.id, CancelAt.PERIOD_END, expected), caller_of(user)
    )
    return outcome


async def resume(cases: UseCases, user: User, expected: VersionPrecondition | None = None) -> SubscriptionOutcome:
    """Resume the user's subscription."""
    outcome: SubscriptionOutcome = await cases(ResumeSubscription(user.id, expected), caller_of(user))
    return outcome


ACTIONS = [renew, cancel, cancel_at_end, resume]


@pytest.fixture
async def ann(storage: Storage) -> User:
    """Return a user; there are a monthly plan and a lifetime plan."""
    user = a_user()
    await storage.keep(user, a_plan("pro"), a_plan("life", some_terms(period=None)))
    return user


async def begin(cases: UseCases, user: User, start: str) -> None:
    """Start a subscription of the user: monthly, lifetime, or a trial."""
    if start == "on trial":
        await cases(StartTrial(user.id, "pro"), caller_of(user))
    else:
        await cases(ActivateSubscription(user.id, {"active": "pro", "for life": "life"}[start]), caller_of(user))


@pytest.fixture
async def active(use_cases: UseCases, ann: User) -> User:
    """Return the user, with a monthly subscription."""
    await begin(use_cases, ann, "active")
    return ann


async def test_renewing_adds_one_period_counted_from_the_anchor(
    store: MemoryStore, use_cases: UseCases, payments: RecordedPayments, active: User
) -> None:
    """January 31, February 28, March 31; each is charged once."""
    await use_cases.set_clock(NOW + DAY)
    first, second = await renew(use_cases, active), await renew(use_cases, active)
    assert (first.created, second.created) == (False, False)
    assert (first.subscription.ends_at, first.subscription.version) == (MARCH, 2)
    assert (second.subscription.ends_at, second.subscription.version) == (NOW.replace(month=4, day=30), 3)
    assert (second.subscription.status, second.subscription.starts_at) == (Status.ACTIVE, NOW)
    assert [charge.amount for charge in payments.charges] == 3 * [Money(1990, "USD")]
    assert [charge.reference for charge in payments.charges[1:]] == [f"{first.subscription.id}/{n}" for n in (2, 3)]
    event = store.events[-1]
    assert (event.type, event.occurred_at, event.actor) == ("subscription.renewed", NOW + DAY, actor_of(active))


async def test_renewing_costs_the_price_of_the_subscribed_revision(
    use_cases: UseCases, payments: RecordedPayments, active: User
) -> None:
    """The plan has become more expensive and was archived."""
    await use_cases(UpdatePlan("pro", PlanPatch(amount=9_999, period=None)), ADMIN_CALLER)
    await use_cases(ArchivePlan("pro"), ADMIN_CALLER)
    view = (await renew(use_cases, active)).subscription
    assert (view.ends_at, view.price, view.plan.revision) == (MARCH, Money(1990, "USD"), 1)
    assert payments.charges[-1].amount == Money(1990, "USD")


@pytest.mark.parametrize(
    ("method", "error"),
    [("sim_declined", PaymentDeclined), ("sim_down", PaymentUnavailable), ("card", ValidationError)],
)
async def test_a_renewal_whose_payment_fails_changes_nothing(
    store: MemoryStore, use_cases: UseCases, active: User, method: str, error: type[Exception]
) -> None:
    with refused(store, error):
        await use_cases(RenewSubscription(active.id, method), caller_of(active))


async def test_without_a_payment_provider_only_an_administrator_can_renew_a_paid_plan(
    store: MemoryStore, storage: Storage, active: User
) -> None:
    """A free plan can be renewed by the user."""
    cases = UseCases.over(storage, payments=NoPayments())
    with refused(store, PaymentRequired):
        await renew(cases, active)
    await cases(RenewSubscription(active.id), ADMIN_CALLER)
    assert store.events[-1].actor == ADMIN
    bob, free = a_user("bob@example.com"), a_plan("free", some_terms(0))
    await storage.keep(bob, free, an_active(bob, free))
    await renew(cases, bob)


async def test_a_trial_cannot_be_renewed(
    store: MemoryStore, use_cases: UseCases, payments: RecordedPayments, ann: User
) -> None:
    """Nothing is charged."""
    await begin(use_cases, ann, "on trial")
    with refused(store, IllegalTransition):
        await renew(use_cases, ann)
    assert payments.charges == []


async def test_a_lifetime_subscription_can_be_neither_renewed_nor_cancelled_at_its_end(
    store: MemoryStore, use_cases: UseCases, ann: User
) -> None:
    await begin(use_cases, ann, "for life")
    with refused(store, IllegalTransition):
        await renew(use_cases, ann)
    with refused(store, IllegalTransition):
        await cancel_at_end(use_cases, ann)


async def test_a_subscription_with_a_scheduled_cancellation_is_renewed_only_after_resuming(
    store: MemoryStore, use_cases: UseCases, payments: RecordedPayments, active: User
) -> None:
    await cancel_at_end(use_cases, active)
    with refused(store, IllegalTransition):
        await renew(use_cases, active)
    assert len(payments.charges) == 1
    await resume(use_cases, active)
    await renew(use_cases, active)


@pytest.mark.parametrize("start", ["active", "on trial", "for life"])
async def test_cancelling_now_ends_the_subscription_for_good(
    store: MemoryStore, use_cases: UseCases, ann: User, start: str
) -> None:
    """``ends_at`` keeps the planned end. The user has no live subscription then."""
    await begin(use_cases, ann, start)
    (before,) = store.state.subscriptions.values()
    await use_cases.set_clock(NOW + DAY)
    view = (await cancel(use_cases, ann)).subscription
    assert (view.status, view.cancelled_at, view.ended_at) == (Status.CANCELLED, NOW + DAY, NOW + DAY)
    assert (view.ends_at, view.cancel_at, view.version) == (before.ends_at, None, 2)
    event = store.events[-1]
    assert (event.type, event.occurred_at, event.actor) == ("subscription.cancelled", NOW + DAY, actor_of(ann))
    for action in ACTIONS:
        with refused(store, NoLiveSubscription):
            await action(use_cases, ann)


@pytest.mark.parametrize(("start", "end"), [("active", FEBRUARY), ("on trial", NOW + 14 * DAY)])
async def test_cancelling_at_period_end_keeps_the_subscription_live_until_then(
    store: MemoryStore, use_cases: UseCases, ann: User, start: str, end: object
) -> None:
    """A second time changes nothing. Cancelling now stays possible."""
    await begin(use_cases, ann, start)
    first = await cancel_at_end(use_cases, ann)
    assert (first.subscription.cancel_at, first.subscription.ends_at, first.subscription.version) == (end, end, 2)
    assert first.subscription.status in {Status.ACTIVE, Status.TRIAL}
    assert (store.events[-1].type, store.events[-1].actor) == ("subscription.cancel_scheduled", actor_of(ann))
    await use_cases.set_clock(NOW + DAY)
    before = store.state
    assert await cancel_at_end(use_cases, ann) == first
    assert store.state == before
    now = (await cancel(use_cases, ann)).subscription
    assert (now.status, now.cancel_at, now.ended_at) == (Status.CANCELLED, None, NOW + DAY)


@pytest.mark.parametrize("start", ["active", "on trial"])
async def test_a_scheduled_cancellation_can_be_undone(
    store: MemoryStore, use_cases: UseCases, ann: User, start: str
) -> None:
    """The end stays as it was."""
    await begin(use_cases, ann, start)
    with refused(store, IllegalTransition):
        await resume(use_cases, ann)
    scheduled = (await cancel_at_end(use_cases, ann)).subscription
    view = (await resume(use_cases, ann)).subscription
    assert (view.cancel_at, view.ends_at, view.version) == (None, scheduled.ends_at, 3)
    assert (store.events[-1].type, store.events[-1].actor) == ("subscription.resumed", actor_of(ann))
    with refused(store, IllegalTransition):
        await resume(use_cases, ann)


@pytest.mark.parametrize("action", ACTIONS)
async def test_without_a_live_subscription_every_action_is_not_found(
    store: MemoryStore, use_cases: UseCases, ann: User, action: Action
) -> None:
    """For a user who never had one, and for an unknown user."""
    with refused(store, NoLiveSubscription):
        await action(use_cases, ann, None)
    with refused(store, UserNotFound):
        await action(use_cases, a_user("nobody@example.com"), None)


@pytest.mark.parametrize("action", ACTIONS)
async def test_no_action_is_possible_from_the_end_on(
    store: MemoryStore, use_cases: UseCases, active: User, action: Action
) -> None:
    """From exactly the end, even before the expiry job has run. One tick earlier it is possible."""
    await use_cases.set_clock(FEBRUARY - TICK)
    await cancel_at_end(use_cases, active)
    await use_cases.set_clock(FEBRUARY)
    with refused(store, NoLiveSubscription):
        await action(use_cases, active, None)


@pytest.mark.parametrize("action", ACTIONS)
async def test_an_action_with_another_version_than_expected_is_rejected(
    store: MemoryStore, use_cases: UseCases, active: User, action: Action
) -> None:
    """The version is checked before the status."""
    with refused(store, StaleVersion):
        await action(use_cases, active, VersionPrecondition(frozenset({2, 3})))
    with refused(store, StaleVersion):
        await action(use_cases, active, VersionPrecondition(frozenset()))
    if action is resume:
        with refused(store, IllegalTransition):
            await action(use_cases, active, VersionPrecondition(frozenset({1})))
        await cancel_at_end(use_cases, active)
    await action(use_cases, active, VersionPrecondition(frozenset({1, 2})))


async def test_an_administrator_can_act_for_a_user(store: MemoryStore, use_cases: UseCases, active: User) -> None:
    """The administrator is the actor of every event."""
    await use_cases(RenewSubscription(active.id), ADMIN_CALLER)
    await use_cases(CancelSubscription(active.id, CancelAt.PERIOD_END), ADMIN_CALLER)
    await use_cases(ResumeSubscription(active.id), ADMIN_CALLER)
    await use_cases(CancelSubscription(active.id), ADMIN_CALLER)
    assert [event.type.removeprefix("subscription.") for event in store.events[-4:]] == [
        "renewed",
        "cancel_scheduled",
        "resumed",
        "cancelled",
    ]
    assert {event.actor for event in store.events[-4:]} == {ADMIN}
    assert len({event.id for event in store.events}) == len(store.events)
