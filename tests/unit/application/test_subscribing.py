"""Starting a trial, and subscribing for money."""

from __future__ import annotations

import pytest

from smp.adapters.memory.store import MemoryStore
from smp.adapters.payments.none import NoPayments
from smp.application.commands.activate_subscription import ActivateSubscription
from smp.application.commands.archive_plan import ArchivePlan
from smp.application.commands.cancel_subscription import CancelAt, CancelSubscription
from smp.application.commands.start_trial import StartTrial, TrialScope
from smp.application.commands.update_plan import PlanPatch, UpdatePlan
from smp.application.errors import PaymentUnavailable
from smp.application.preconditions import VersionPrecondition
from smp.domain.errors import (
    DomainError,
    IllegalTransition,
    LiveSubscriptionExists,
    PaymentDeclined,
    PaymentRequired,
    PlanArchived,
    PlanHasNoTrial,
    PlanNotFound,
    StaleVersion,
    TrialAlreadyUsed,
    UserNotFound,
    ValidationError,
)
from smp.domain.events import SYSTEM
from smp.domain.money import Money
from smp.domain.plan.plan import Plan
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
    caller_of,
    some_terms,
)
from tests.support.payments import Charge, RecordedPayments
from tests.support.refusals import refused
from tests.support.storage import Storage
from tests.support.use_cases import UseCases

TRIAL_END = NOW + 14 * DAY
NOTHING = VersionPrecondition(None)


@pytest.fixture
async def ann(storage: Storage) -> User:
    """A user without a subscription."""
    user = a_user()
    await storage.keep(user)
    return user


@pytest.fixture
async def pro(storage: Storage) -> Plan:
    """A plan at 19.90 USD a month with a trial of two weeks."""
    plan = a_plan()
    await storage.keep(plan)
    return plan


def trial(user: User, plan: str = "pro", expected: VersionPrecondition | None = None) -> StartTrial:
    """The user starts the plan's trial."""
    return StartTrial(user.id, plan, expected)


def activation(
    user: User, plan: str = "pro", method: str | None = None, expected: VersionPrecondition | None = None
) -> ActivateSubscription:
    """The user subscribes to the plan."""
    return ActivateSubscription(user.id, plan, method, expected)


async def test_a_trial_is_started(store: MemoryStore, use_cases: UseCases, ann: User, pro: Plan) -> None:
    """For the plan's trial period from now, free of charge, under the plan's newest terms."""
    outcome = await use_cases(trial(ann), caller_of(ann))
    view = outcome.subscription
    assert outcome.created
    assert (view.user_id, view.plan.id, view.plan.revision, view.status) == (ann.id, pro.id, 1, Status.TRIAL)
    assert (view.starts_at, view.ends_at, view.trial_ends_at, view.created_at) == (NOW, TRIAL_END, TRIAL_END, NOW)
    assert (view.cancel_at, view.cancelled_at, view.ended_at, view.version) == (None, None, None, 1)
    assert (view.price, view.features) == (pro.revision.terms.price, pro.revision.terms.features)
    event = store.events[-1]
    assert (event.type, event.occurred_at, event.actor) == ("subscription.trial_started", NOW, actor_of(ann))
    assert store.state.trials == {(ann.id, pro.id): view.id}


async def test_an_admin_acts_for_a_user(store: MemoryStore, use_cases: UseCases, ann: User, pro: Plan) -> None:
    """And is the actor of the event, not the user. The plan may be named by its id."""
    await use_cases(StartTrial(ann.id, str(pro.id)), ADMIN_CALLER)
    assert store.events[-1].actor == ADMIN
    await use_cases(ActivateSubscription(ann.id, str(pro.id)), ADMIN_CALLER)
    assert (store.events[-1].type, store.events[-1].actor) == ("subscription.converted", ADMIN)


async def test_unknown_things_are_not_found(store: MemoryStore, use_cases: UseCases, ann: User, pro: Plan) -> None:
    """Neither user nor plan."""
    nobody = a_user("nobody@example.com")
    for plan in ("nothing", "", str(ann.id)):
        with refused(store, PlanNotFound):
            await use_cases(trial(ann, plan), caller_of(ann))
        with refused(store, PlanNotFound):
            await use_cases(activation(ann, plan), caller_of(ann))
    with refused(store, UserNotFound):
        await use_cases(trial(nobody, pro.code), caller_of(nobody))
    with refused(store, UserNotFound):
        await use_cases(activation(nobody, pro.code), caller_of(nobody))


@pytest.mark.parametrize("live", [trial, activation])
async def test_with_a_live_subscription_no_trial(
    store: MemoryStore, storage: Storage, use_cases: UseCases, ann: User, pro: Plan, live: object
) -> None:
    """Whatever it is, of this plan or another; also to be cancelled."""
    await storage.keep(a_plan("other"))
    command = live(ann)  # type: ignore[operator]
    await use_cases(command, caller_of(ann))
    await use_cases(CancelSubscription(ann.id, CancelAt.PERIOD_END), caller_of(ann))
    for plan in (pro.code, "other"):
        with refused(store, LiveSubscriptionExists):
            await use_cases(trial(ann, plan), caller_of(ann))


async def test_a_trial_is_used_once_for_each_plan(
    store: MemoryStore, storage: Storage, use_cases: UseCases, ann: User, pro: Plan
) -> None:
    """For ever: after a cancellation, after its end, after any time; another plan has its own."""
    await storage.keep(a_plan("other"))
    await use_cases(trial(ann), caller_of(ann))
    await use_cases(CancelSubscription(ann.id), caller_of(ann))
    with refused(store, TrialAlreadyUsed):
        await use_cases(trial(ann), caller_of(ann))
    await use_cases(trial(ann, "other"), caller_of(ann))
    await use_cases.set_clock(NOW + 1_000 * DAY)
    for plan in (pro.code, "other"):
        with refused(store, TrialAlreadyUsed):
            await use_cases(trial(ann, plan), caller_of(ann))


async def test_a_trial_is_used_once_for_each_user(
    store: MemoryStore, storage: Storage, use_cases: UseCases, ann: User, pro: Plan
) -> None:
    """Where the scope says so; trials from before it said so count."""
    await storage.keep(a_plan("other"))
    await use_cases(trial(ann, pro.code), caller_of(ann))
    await use_cases(CancelSubscription(ann.id), caller_of(ann))
    with refused(store, TrialAlreadyUsed):
        await UseCases.over(storage, scope=TrialScope.USER)(trial(ann, "other"), caller_of(ann))


async def test_a_plan_must_offer_a_trial(store: MemoryStore, storage: Storage, use_cases: UseCases, ann: User) -> None:
    """It has one, and is not archived."""
    await storage.keep(a_plan("none", some_terms(trial=None)), a_plan("old"))
    await use_cases(ArchivePlan("old"), ADMIN_CALLER)
    with refused(store, PlanHasNoTrial) as caught:
        await use_cases(trial(ann, "none"), caller_of(ann))
    assert caught.value.plan == "none"
    with refused(store, PlanArchived) as archived:
        await use_cases(trial(ann, "old"), caller_of(ann))
    assert archived.value.plan == "old"


async def test_overdue_is_not_in_the_way_of_a_trial(
    store: MemoryStore, storage: Storage, use_cases: UseCases, ann: User, pro: Plan
) -> None:
    """It is ended in the same transaction, as of its end and by the system; one instant before it is."""
    await storage.keep(a_plan("other"))
    old = (await use_cases(trial(ann, pro.code), caller_of(ann))).subscription
    await use_cases.set_clock(TRIAL_END - TICK)
    with refused(store, LiveSubscriptionExists):
        await use_cases(trial(ann, "other"), caller_of(ann))
    await use_cases.set_clock(TRIAL_END)
    new = (await use_cases(trial(ann, "other"), caller_of(ann))).subscription
    assert (new.status, new.starts_at) == (Status.TRIAL, TRIAL_END)
    ended = store.state.subscriptions[old.id]
    assert (ended.status, ended.ended_at) == (Status.EXPIRED, TRIAL_END)
    expired, started = store.events[-2:]
    assert (expired.type, expired.occurred_at, expired.actor) == ("subscription.expired", TRIAL_END, SYSTEM)
    assert (started.type, started.actor) == ("subscription.trial_started", actor_of(ann))


async def test_a_refused_trial_leaves_the_overdue_one_as_it_was(
    store: MemoryStore, use_cases: UseCases, ann: User, pro: Plan
) -> None:
    """All or nothing."""
    await use_cases(trial(ann, pro.code), caller_of(ann))
    await use_cases.set_clock(TRIAL_END + DAY)
    with refused(store, TrialAlreadyUsed):
        await use_cases(trial(ann, pro.code), caller_of(ann))
    with refused(store, PaymentDeclined):
        await use_cases(activation(ann, pro.code, "sim_declined"), caller_of(ann))


async def test_a_subscription_is_paid_for(
    store: MemoryStore, use_cases: UseCases, payments: RecordedPayments, ann: User, pro: Plan
) -> None:
    """The first period from now; charged once, under a reference of its own."""
    outcome = await use_cases(activation(ann, method="sim_ok"), caller_of(ann))
    view = outcome.subscription
    assert outcome.created
    assert (view.status, view.starts_at, view.trial_ends_at, view.version) == (Status.ACTIVE, NOW, None, 1)
    assert view.ends_at == NOW.replace(month=2, day=28)
    assert payments.charges == [Charge(pro.revision.terms.price, "sim_ok", ann.id, actor_of(ann), f"{view.id}/1")]
    event = store.events[-1]
    assert (event.type, event.occurred_at, event.actor) == ("subscription.activated", NOW, actor_of(ann))


async def test_for_life_there_is_no_end(storage: Storage, use_cases: UseCases, ann: User) -> None:
    """A plan without a period."""
    await storage.keep(a_plan("life", some_terms(period=None)))
    view = (await use_cases(activation(ann, "life"), caller_of(ann))).subscription
    assert (view.status, view.ends_at) == (Status.ACTIVE, None)


async def test_what_is_free_is_not_charged(
    storage: Storage, use_cases: UseCases, payments: RecordedPayments, ann: User
) -> None:
    """Whatever the method says."""
    await storage.keep(a_plan("free", some_terms(0)))
    await use_cases(activation(ann, "free", "sim_declined"), caller_of(ann))
    assert payments.charges == []


@pytest.mark.parametrize(
    ("method", "error"),
    [
        ("sim_declined", PaymentDeclined),
        ("sim_down", PaymentUnavailable),
        ("", ValidationError),
        ("card", ValidationError),
    ],
)
@pytest.mark.parametrize("from_trial", [False, True])
async def test_nothing_changes_unless_it_is_paid(
    store: MemoryStore,
    use_cases: UseCases,
    ann: User,
    pro: Plan,
    method: str,
    error: type[Exception],
    from_trial: bool,  # noqa: FBT001
) -> None:
    """Neither for a new subscription, nor for a trial, which goes on."""
    if from_trial:
        await use_cases(trial(ann, pro.code), caller_of(ann))
    with refused(store, error):
        await use_cases(activation(ann, method=method), caller_of(ann))


async def test_where_nobody_can_pay_an_admin_can(store: MemoryStore, storage: Storage, ann: User, pro: Plan) -> None:
    """Once the money has come otherwise; what is free is open to all."""
    cases = UseCases.over(storage, payments=NoPayments())
    await storage.keep(a_plan("free", some_terms(0)))
    with refused(store, PaymentRequired):
        await cases(activation(ann, pro.code), caller_of(ann))
    await cases(ActivateSubscription(ann.id, pro.code), ADMIN_CALLER)
    bob = a_user("bob@example.com")
    await storage.keep(bob)
    await cases(activation(bob, "free"), caller_of(bob))


async def test_what_is_active_is_not_activated_again(
    store: MemoryStore, storage: Storage, use_cases: UseCases, ann: User, pro: Plan
) -> None:
    """Neither for this plan nor for another."""
    await storage.keep(a_plan("other"))
    await use_cases(activation(ann, pro.code), caller_of(ann))
    for plan in (pro.code, "other"):
        with refused(store, LiveSubscriptionExists):
            await use_cases(activation(ann, plan), caller_of(ann))


async def test_a_trial_is_converted(
    store: MemoryStore, use_cases: UseCases, payments: RecordedPayments, ann: User, pro: Plan
) -> None:
    """The same subscription: the paid period starts now, the start stays, a scheduled cancellation is undone."""
    begun = (await use_cases(trial(ann), caller_of(ann))).subscription
    await use_cases(CancelSubscription(ann.id, CancelAt.PERIOD_END), caller_of(ann))
    await use_cases.set_clock(NOW + DAY)
    outcome = await use_cases(activation(ann), caller_of(ann))
    view = outcome.subscription
    assert not outcome.created
    assert (view.id, view.status, view.starts_at, view.version) == (begun.id, Status.ACTIVE, NOW, 3)
    assert (view.trial_ends_at, view.cancel_at) == (NOW + DAY, None)
    assert view.ends_at == (NOW + DAY).replace(month=3)
    assert payments.charges == [Charge(pro.revision.terms.price, None, ann.id, actor_of(ann), f"{view.id}/3")]
    assert (store.events[-1].type, store.events[-1].occurred_at) == ("subscription.converted", NOW + DAY)


async def test_a_trial_is_converted_to_another_plan(
    store: MemoryStore, storage: Storage, use_cases: UseCases, ann: User, pro: Plan
) -> None:
    """Under that plan's newest terms; a plan that is archived takes nobody."""
    await storage.keep(a_plan("best", some_terms(9_900, "EUR", "P1Y", None)), a_plan("old"))
    await use_cases(ArchivePlan("old"), ADMIN_CALLER)
    await use_cases(trial(ann, pro.code), caller_of(ann))
    with refused(store, PlanArchived):
        await use_cases(activation(ann, "old"), caller_of(ann))
    view = (await use_cases(activation(ann, "best"), caller_of(ann))).subscription
    assert (view.plan.code, view.price, view.ends_at) == ("best", Money(9_900, "EUR"), NOW.replace(year=2027))


async def test_a_trial_is_converted_under_its_own_terms(
    store: MemoryStore, use_cases: UseCases, ann: User, pro: Plan
) -> None:
    """Though the plan was revised, and archived, meanwhile; who comes anew gets neither."""
    await use_cases(trial(ann, pro.code), caller_of(ann))
    await use_cases(UpdatePlan("pro", PlanPatch(amount=9_999)), ADMIN_CALLER)
    await use_cases(ArchivePlan("pro"), ADMIN_CALLER)
    view = (await use_cases(activation(ann), caller_of(ann))).subscription
    assert (view.plan.revision, view.price) == (1, Money(1990, "USD"))
    await use_cases(CancelSubscription(ann.id), caller_of(ann))
    with refused(store, PlanArchived):
        await use_cases(activation(ann), caller_of(ann))


async def test_who_subscribes_gets_the_newest_terms(use_cases: UseCases, ann: User, pro: Plan) -> None:
    """Those of the plan at this instant."""
    await use_cases(UpdatePlan(pro.code, PlanPatch(amount=9_999)), ADMIN_CALLER)
    view = (await use_cases(activation(ann), caller_of(ann))).subscription
    assert (view.plan.revision, view.price) == (2, Money(9_999, "USD"))


async def test_overdue_is_not_in_the_way_of_a_new_one(
    store: MemoryStore, use_cases: UseCases, ann: User, pro: Plan
) -> None:
    """A trial that is over is not converted: it is ended, and a new subscription made."""
    old = (await use_cases(trial(ann, pro.code), caller_of(ann))).subscription
    await use_cases.set_clock(TRIAL_END)
    outcome = await use_cases(activation(ann), caller_of(ann))
    assert outcome.created
    assert outcome.subscription.id != old.id
    assert outcome.subscription.starts_at == TRIAL_END
    assert [event.type for event in store.events[-2:]] == ["subscription.expired", "subscription.activated"]


async def test_no_end_lies_after_the_calendars(
    store: MemoryStore, storage: Storage, use_cases: UseCases, ann: User
) -> None:
    """A date forbids the move; no request can mend that."""
    await storage.keep(a_plan("long", some_terms(period="P100Y", trial="P100Y")))
    await use_cases.set_clock(NOW.replace(year=9_950))
    with refused(store, IllegalTransition):
        await use_cases(activation(ann, "long"), caller_of(ann))
    with refused(store, IllegalTransition):
        await use_cases(trial(ann, "long"), caller_of(ann))


async def test_what_is_expected_must_be_there(store: MemoryStore, use_cases: UseCases, ann: User, pro: Plan) -> None:
    """Nothing is no version; a trial has one; the check comes before any refusal of the state."""
    with refused(store, StaleVersion):
        await use_cases(trial(ann, pro.code, NOTHING), caller_of(ann))
    with refused(store, StaleVersion):
        await use_cases(activation(ann, expected=NOTHING), caller_of(ann))
    await use_cases(trial(ann), caller_of(ann))
    with refused(store, StaleVersion):
        await use_cases(trial(ann, expected=VersionPrecondition(frozenset({7}))), caller_of(ann))
    with refused(store, LiveSubscriptionExists):
        await use_cases(trial(ann, expected=VersionPrecondition(frozenset({1}))), caller_of(ann))
    with refused(store, StaleVersion):
        await use_cases(activation(ann, expected=VersionPrecondition(frozenset({2}))), caller_of(ann))
    await use_cases(activation(ann, expected=VersionPrecondition(frozenset({1, 9}))), caller_of(ann))
    with refused(store, StaleVersion):
        await use_cases(activation(ann, expected=VersionPrecondition(frozenset({1}))), caller_of(ann))
    with refused(store, LiveSubscriptionExists):
        await use_cases(activation(ann, expected=VersionPrecondition(frozenset({2}))), caller_of(ann))


async def test_a_commit_that_fails_leaves_nothing(
    store: MemoryStore, use_cases: UseCases, ann: User, pro: Plan
) -> None:
    """Neither subscription, nor ledger, nor event: the trial can be started afterwards."""
    store.fail_next_commit(PaymentUnavailable())
    with refused(store, PaymentUnavailable):
        await use_cases(trial(ann, pro.code), caller_of(ann))
    assert (await use_cases(trial(ann), caller_of(ann))).created


async def test_refusals_of_the_domain_carry_their_facts(
    store: MemoryStore, use_cases: UseCases, ann: User, pro: Plan
) -> None:
    """Each has a stable code for callers and a text for people."""
    await use_cases(activation(ann, pro.code), caller_of(ann))
    with refused(store, LiveSubscriptionExists) as caught:
        await use_cases(trial(ann), caller_of(ann))
    assert isinstance(caught.value, DomainError)
    assert (caught.value.code, caught.value.user_id) == ("live-subscription-exists", ann.id)
