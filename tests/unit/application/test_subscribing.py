"""Starting a trial, and starting a paid subscription."""

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
    """Return a user without a subscription."""
    user = a_user()
    await storage.keep(user)
    return user


@pytest.fixture
async def pro(storage: Storage) -> Plan:
    """Return a plan at 19.90 USD a month with a trial of two weeks."""
    plan = a_plan()
    await storage.keep(plan)
    return plan


def trial(user: User, plan: str = "pro", expected: VersionPrecondition | None = None) -> StartTrial:
    """Start the trial of the plan."""
    return StartTrial(user.id, plan, expected)


def activation(
    user: User, plan: str = "pro", method: str | None = None, expected: VersionPrecondition | None = None
) -> ActivateSubscription:
    """Subscribe to the plan."""
    return ActivateSubscription(user.id, plan, method, expected)


async def test_a_trial_starts_now_free_of_charge_with_the_newest_terms(
    store: MemoryStore, use_cases: UseCases, ann: User, pro: Plan
) -> None:
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


async def test_an_administrator_can_start_a_trial_for_a_user(
    store: MemoryStore, use_cases: UseCases, ann: User, pro: Plan
) -> None:
    """The administrator is the actor of the event. The plan is given by code or by id."""
    await use_cases(StartTrial(ann.id, str(pro.id)), ADMIN_CALLER)
    assert store.events[-1].actor == ADMIN
    await use_cases(ActivateSubscription(ann.id, str(pro.id)), ADMIN_CALLER)
    assert (store.events[-1].type, store.events[-1].actor) == ("subscription.converted", ADMIN)


async def test_an_unknown_user_or_plan_is_not_found(
    store: MemoryStore, use_cases: UseCases, ann: User, pro: Plan
) -> None:
    unknown = a_user("unknown@example.com")
    for plan in ("nothing", "", str(ann.id)):
        with refused(store, PlanNotFound):
            await use_cases(trial(ann, plan), caller_of(ann))
        with refused(store, PlanNotFound):
            await use_cases(activation(ann, plan), caller_of(ann))
    with refused(store, UserNotFound):
        await use_cases(trial(unknown, pro.code), caller_of(unknown))
    with refused(store, UserNotFound):
        await use_cases(activation(unknown, pro.code), caller_of(unknown))


@pytest.mark.parametrize("live", [trial, activation])
async def test_a_user_with_a_live_subscription_cannot_start_a_trial(
    store: MemoryStore, storage: Storage, use_cases: UseCases, ann: User, pro: Plan, live: object
) -> None:
    """Of this plan or another, even if it will be cancelled at its end."""
    await storage.keep(a_plan("other"))
    command = live(ann)  # type: ignore[operator]
    await use_cases(command, caller_of(ann))
    await use_cases(CancelSubscription(ann.id, CancelAt.PERIOD_END), caller_of(ann))
    for plan in (pro.code, "other"):
        with refused(store, LiveSubscriptionExists):
            await use_cases(trial(ann, plan), caller_of(ann))


async def test_a_user_can_try_each_plan_once(
    store: MemoryStore, storage: Storage, use_cases: UseCases, ann: User, pro: Plan
) -> None:
    """After a cancellation, after its end, and after any time. Each plan has its own trial."""
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


async def test_with_the_scope_user_a_user_has_one_trial_in_all(
    store: MemoryStore, storage: Storage, use_cases: UseCases, ann: User, pro: Plan
) -> None:
    """Trials from before the setting count as well."""
    await storage.keep(a_plan("other"))
    await use_cases(trial(ann, pro.code), caller_of(ann))
    await use_cases(CancelSubscription(ann.id), caller_of(ann))
    with refused(store, TrialAlreadyUsed):
        await UseCases.over(storage, scope=TrialScope.USER)(trial(ann, "other"), caller_of(ann))


async def test_a_plan_without_a_trial_period_or_archived_cannot_be_tried(
    store: MemoryStore, storage: Storage, use_cases: UseCases, ann: User
) -> None:
    await storage.keep(a_plan("none", some_terms(trial=None)), a_plan("old"))
    await use_cases(ArchivePlan("old"), ADMIN_CALLER)
    with refused(store, PlanHasNoTrial) as caught:
        await use_cases(trial(ann, "none"), caller_of(ann))
    assert caught.value.plan == "none"
    with refused(store, PlanArchived) as archived:
        await use_cases(trial(ann, "old"), caller_of(ann))
    assert archived.value.plan == "old"


async def test_an_overdue_subscription_does_not_prevent_a_trial(
    store: MemoryStore, storage: Storage, use_cases: UseCases, ann: User, pro: Plan
) -> None:
    """It is ended in the same transaction, as of its end and by the system. One tick earlier it does."""
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


async def test_a_rejected_trial_leaves_the_overdue_subscription_as_it_was(
    store: MemoryStore, use_cases: UseCases, ann: User, pro: Plan
) -> None:
    await use_cases(trial(ann, pro.code), caller_of(ann))
    await use_cases.set_clock(TRIAL_END + DAY)
    with refused(store, TrialAlreadyUsed):
        await use_cases(trial(ann, pro.code), caller_of(ann))
    with refused(store, PaymentDeclined):
        await use_cases(activation(ann, pro.code, "sim_declined"), caller_of(ann))


async def test_a_new_subscription_is_charged_once_for_its_first_period(
    store: MemoryStore, use_cases: UseCases, payments: RecordedPayments, ann: User, pro: Plan
) -> None:
    """The charge has a unique reference."""
    outcome = await use_cases(activation(ann, method="sim_ok"), caller_of(ann))
    view = outcome.subscription
    assert outcome.created
    assert (view.status, view.starts_at, view.trial_ends_at, view.version) == (Status.ACTIVE, NOW, None, 1)
    assert view.ends_at == NOW.replace(month=2, day=28)
    assert payments.charges == [Charge(pro.revision.terms.price, "sim_ok", ann.id, actor_of(ann), f"{view.id}/1")]
    event = store.events[-1]
    assert (event.type, event.occurred_at, event.actor) == ("subscription.activated", NOW, actor_of(ann))


async def test_a_subscription_to_a_plan_without_a_period_has_no_end(
    storage: Storage, use_cases: UseCases, ann: User
) -> None:
    await storage.keep(a_plan("life", some_terms(period=None)))
    view = (await use_cases(activation(ann, "life"), caller_of(ann))).subscription
    assert (view.status, view.ends_at) == (Status.ACTIVE, None)


async def test_a_free_plan_is_not_charged(
    storage: Storage, use_cases: UseCases, payments: RecordedPayments, ann: User
) -> None:
    """With any payment method."""
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
async def test_a_subscription_whose_payment_fails_is_not_started(
    store: MemoryStore,
    use_cases: UseCases,
    ann: User,
    pro: Plan,
    method: str,
    error: type[Exception],
    from_trial: bool,  # noqa: FBT001
) -> None:
    """A running trial continues."""
    if from_trial:
        await use_cases(trial(ann, pro.code), caller_of(ann))
    with refused(store, error):
        await use_cases(activation(ann, method=method), caller_of(ann))


async def test_without_a_payment_provider_only_an_administrator_can_activate_a_paid_plan(
    store: MemoryStore, storage: Storage, ann: User, pro: Plan
) -> None:
    """The administrator records a payment made elsewhere. Free plans are open to all."""
    cases = UseCases.over(storage, payments=NoPayments())
    await storage.keep(a_plan("free", some_terms(0)))
    with refused(store, PaymentRequired):
        await cases(activation(ann, pro.code), caller_of(ann))
    await cases(ActivateSubscription(ann.id, pro.code), ADMIN_CALLER)
    bob = a_user("bob@example.com")
    await storage.keep(bob)
    await cases(activation(bob, "free"), caller_of(bob))


async def test_an_active_subscription_cannot_be_activated_again(
    store: MemoryStore, storage: Storage, use_cases: UseCases, ann: User, pro: Plan
) -> None:
    """Neither for this plan nor for another."""
    await storage.keep(a_plan("other"))
    await use_cases(activation(ann, pro.code), caller_of(ann))
    for plan in (pro.code, "other"):
        with refused(store, LiveSubscriptionExists):
            await use_cases(activation(ann, plan), caller_of(ann))


async def test_activating_converts_a_running_trial(
    store: MemoryStore, use_cases: UseCases, payments: RecordedPayments, ann: User, pro: Plan
) -> None:
    """The paid period starts now, the start stays, and a scheduled cancellation is undone."""
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


async def test_a_trial_can_be_converted_to_another_plan_with_its_newest_terms(
    store: MemoryStore, storage: Storage, use_cases: UseCases, ann: User, pro: Plan
) -> None:
    """An archived plan is rejected."""
    await storage.keep(a_plan("best", some_terms(9_900, "EUR", "P1Y", None)), a_plan("old"))
    await use_cases(ArchivePlan("old"), ADMIN_CALLER)
    await use_cases(trial(ann, pro.code), caller_of(ann))
    with refused(store, PlanArchived):
        await use_cases(activation(ann, "old"), caller_of(ann))
    view = (await use_cases(activation(ann, "best"), caller_of(ann))).subscription
    assert (view.plan.code, view.price, view.ends_at) == ("best", Money(9_900, "EUR"), NOW.replace(year=2027))


async def test_a_trial_is_converted_with_the_terms_it_started_with(
    store: MemoryStore, use_cases: UseCases, ann: User, pro: Plan
) -> None:
    """The plan has been revised and archived since; new subscribers get neither."""
    await use_cases(trial(ann, pro.code), caller_of(ann))
    await use_cases(UpdatePlan("pro", PlanPatch(amount=9_999)), ADMIN_CALLER)
    await use_cases(ArchivePlan("pro"), ADMIN_CALLER)
    view = (await use_cases(activation(ann), caller_of(ann))).subscription
    assert (view.plan.revision, view.price) == (1, Money(1990, "USD"))
    await use_cases(CancelSubscription(ann.id), caller_of(ann))
    with refused(store, PlanArchived):
        await use_cases(activation(ann), caller_of(ann))


async def test_a_new_subscription_has_the_newest_terms_of_the_plan(use_cases: UseCases, ann: User, pro: Plan) -> None:
    await use_cases(UpdatePlan(pro.code, PlanPatch(amount=9_999)), ADMIN_CALLER)
    view = (await use_cases(activation(ann), caller_of(ann))).subscription
    assert (view.plan.revision, view.price) == (2, Money(9_999, "USD"))


async def test_an_overdue_trial_does_not_prevent_a_new_subscription(
    store: MemoryStore, use_cases: UseCases, ann: User, pro: Plan
) -> None:
    """The trial is ended, not converted."""
    old = (await use_cases(trial(ann, pro.code), caller_of(ann))).subscription
    await use_cases.set_clock(TRIAL_END)
    outcome = await use_cases(activation(ann), caller_of(ann))
    assert outcome.created
    assert outcome.subscription.id != old.id
    assert outcome.subscription.starts_at == TRIAL_END
    assert [event.type for event in store.events[-2:]] == ["subscription.expired", "subscription.activated"]


async def test_a_subscription_that_would_end_after_the_year_9999_is_rejected(
    store: MemoryStore, storage: Storage, use_cases: UseCases, ann: User
) -> None:
    await storage.keep(a_plan("long", some_terms(period="P100Y", trial="P100Y")))
    await use_cases.set_clock(NOW.replace(year=9_950))
    with refused(store, IllegalTransition):
        await use_cases(activation(ann, "long"), caller_of(ann))
    with refused(store, IllegalTransition):
        await use_cases(trial(ann, "long"), caller_of(ann))


async def test_an_activation_with_another_version_than_expected_is_rejected(
    store: MemoryStore, use_cases: UseCases, ann: User, pro: Plan
) -> None:
    """Without a subscription there is no version; a trial has one. The version is checked before the status."""
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


async def test_a_failed_commit_leaves_no_trial_behind(
    store: MemoryStore, use_cases: UseCases, ann: User, pro: Plan
) -> None:
    """Neither subscription, nor trial ledger, nor event: the trial can be started afterwards."""
    store.fail_next_commit(PaymentUnavailable())
    with refused(store, PaymentUnavailable):
        await use_cases(trial(ann, pro.code), caller_of(ann))
    assert (await use_cases(trial(ann), caller_of(ann))).created


async def test_errors_of_the_domain_have_a_stable_code_and_a_text(
    store: MemoryStore, use_cases: UseCases, ann: User, pro: Plan
) -> None:
    await use_cases(activation(ann, pro.code), caller_of(ann))
    with refused(store, LiveSubscriptionExists) as caught:
        await use_cases(trial(ann), caller_of(ann))
    assert isinstance(caught.value, DomainError)
    assert (caught.value.code, caught.value.user_id) == ("live-subscription-exists", ann.id)
