"""Races: in each, twenty callers act at once, and a rule must still hold.

They pass on every storage with its guards, and fail on a storage without them; tests show both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final

from smp.application.caller import ANONYMOUS, OPERATOR
from smp.application.commands.activate_subscription import ActivateSubscription
from smp.application.commands.create_admin import CreateAdmin
from smp.application.commands.create_plan import CreatePlan
from smp.application.commands.register_user import RegisterUser
from smp.application.commands.renew_subscription import RenewSubscription
from smp.application.commands.start_trial import StartTrial, TrialScope
from smp.application.commands.update_plan import PlanPatch, UpdatePlan
from smp.application.commands.update_user_access import UpdateUserAccess
from smp.application.errors import RequestInProgress, TooManyAttempts
from smp.application.execution import WithReplay
from smp.application.idempotency import DuplicateRequest, ReplayedPaymentDeclined
from smp.application.jobs.expire_due_subscriptions import ExpireDueSubscriptions
from smp.application.paging import PageRequest
from smp.application.ports.subscription_reader import SubscriptionFilter
from smp.domain.errors import (
    EmailTaken,
    LastAdmin,
    LiveSubscriptionExists,
    PaymentDeclined,
    PlanCodeTaken,
    TrialAlreadyUsed,
)
from smp.domain.user.user import Role
from tests.support.builders import (
    ADMIN_CALLER,
    DAY,
    PASSWORD,
    a_key,
    a_plan,
    a_trial,
    a_user,
    an_active,
    an_admin,
    caller_of,
    some_terms,
)
from tests.support.hashing import InstantHasher
from tests.support.payments import RecordedPayments
from tests.support.storage import Storage
from tests.support.use_cases import UseCases
from tests.support.waiting import all_at_once

WORKERS: Final = 20

Race = Callable[[Storage], Awaitable[None]]


def one_winner(results: list[object], *refusals: type[Exception]) -> object:
    """Return the only result that is no error; all others must be of these errors."""
    winners = [result for result in results if not isinstance(result, Exception)]
    others = [result for result in results if isinstance(result, Exception) and not isinstance(result, refusals)]
    assert not others, others
    assert len(winners) == 1, f"{len(winners)} winners"
    return winners[0]


async def only_one_trial_of_a_plan_starts(storage: Storage) -> None:
    """A user has one live subscription, however many requests for a trial arrive."""
    ann = a_user()
    await storage.keep(ann, a_plan())
    start = UseCases.over(storage)
    results = await all_at_once(*(start(StartTrial(ann.id, "pro"), caller_of(ann)) for _ in range(WORKERS)))
    one_winner(results, LiveSubscriptionExists, TrialAlreadyUsed)
    page = await storage.subscriptions.history(ann.id, PageRequest(100), await storage.clock.now())
    assert len(page.items) == 1


async def only_one_trial_starts_with_the_scope_user(storage: Storage) -> None:
    """With the scope user, simultaneous trials of twenty plans are one trial."""
    ann = a_user()
    await storage.keep(ann, *(a_plan(f"plan-{number}") for number in range(WORKERS)))
    start = UseCases.over(storage, scope=TrialScope.USER)
    results = await all_at_once(
        *(start(StartTrial(ann.id, f"plan-{number}"), caller_of(ann)) for number in range(WORKERS))
    )
    one_winner(results, LiveSubscriptionExists, TrialAlreadyUsed)


async def only_one_trial_starts_for_a_person(storage: Storage) -> None:
    """With the scope person, simultaneous trials of twenty accounts of one person are one trial."""
    users = [a_user(f"ann+{number}@example.com") for number in range(WORKERS)]
    await storage.keep(*users, a_plan())
    start = UseCases.over(storage, scope=TrialScope.PERSON)
    results = await all_at_once(*(start(StartTrial(user.id, "pro"), caller_of(user)) for user in users))
    one_winner(results, TrialAlreadyUsed)


async def only_one_plan_is_activated(storage: Storage) -> None:
    """A user has one live subscription, however many plans are activated."""
    ann = a_user()
    await storage.keep(ann, a_plan("pro"), a_plan("max"))
    activate = UseCases.over(storage)
    results = await all_at_once(
        *(activate(ActivateSubscription(ann.id, ("pro", "max")[n % 2]), caller_of(ann)) for n in range(WORKERS))
    )
    one_winner(results, LiveSubscriptionExists)
    page = await storage.subscriptions.history(ann.id, PageRequest(100), await storage.clock.now())
    assert len(page.items) == 1


async def a_trial_is_converted_once(storage: Storage) -> None:
    """All later activations find an active subscription."""
    ann, plan = a_user(), a_plan()
    at = await storage.clock.now()
    trial = a_trial(ann, plan, at)
    await storage.keep(ann, plan)
    await storage.keep_trial(trial)
    activate = UseCases.over(storage)
    results = await all_at_once(
        *(activate(ActivateSubscription(ann.id, "pro"), caller_of(ann)) for _ in range(WORKERS))
    )
    one_winner(results, LiveSubscriptionExists)
    events = await storage.subscriptions.events(trial.id, PageRequest(100))
    assert [event.version for event in events.items] == [1, 2]


async def every_renewal_adds_a_period(storage: Storage) -> None:
    """Twenty renewals are twenty periods."""
    ann, plan = a_user(), a_plan()
    active = an_active(ann, plan, await storage.clock.now())
    await storage.keep(ann, plan, active)
    renew = UseCases.over(storage)
    results = await all_at_once(*(renew(RenewSubscription(ann.id), caller_of(ann)) for _ in range(WORKERS)))
    assert [result for result in results if isinstance(result, Exception)] == []
    async with storage.unit_of_work() as work:
        found = await work.subscriptions.find_open_for_update(ann.id)
    assert found is not None
    assert (found.periods_paid, found.version) == (1 + WORKERS, 1 + WORKERS)
    events = await storage.subscriptions.events(active.id, PageRequest(100))
    assert [event.version for event in events.items] == list(range(1, 2 + WORKERS))


async def an_email_is_registered_once(storage: Storage) -> None:
    """In any spelling."""
    register = UseCases.over(storage, hasher=InstantHasher())
    emails = ("ann@example.com", "Ann@Example.com", "ANN@EXAMPLE.COM")
    results = await all_at_once(*(register(RegisterUser(emails[n % 3], PASSWORD), ANONYMOUS) for n in range(WORKERS)))
    one_winner(results, EmailTaken)
    assert len((await storage.users.list("", PageRequest(100))).items) == 1


async def a_plan_code_is_used_once(storage: Storage) -> None:
    """A code belongs to one plan."""
    create = UseCases.over(storage)
    command = CreatePlan("pro", "Pro", "", some_terms())
    one_winner(await all_at_once(*(create(command, ADMIN_CALLER) for _ in range(WORKERS))), PlanCodeTaken)
    assert len((await storage.plans.list(None, PageRequest(100))).items) == 1


async def every_change_of_terms_creates_a_revision(storage: Storage) -> None:
    """Twenty changes of terms are twenty revisions."""
    await storage.keep(a_plan("pro", some_terms(0)))
    change = UseCases.over(storage)
    results = await all_at_once(
        *(change(UpdatePlan("pro", PlanPatch(amount=amount)), ADMIN_CALLER) for amount in range(1, 1 + WORKERS))
    )
    assert [result for result in results if isinstance(result, Exception)] == []
    page = await storage.plans.revisions("pro", PageRequest(100))
    assert [view.revision for view in page.items] == list(range(1 + WORKERS, 0, -1))
    assert sorted(view.price.amount for view in page.items) == list(range(1 + WORKERS))


async def an_administrator_remains(storage: Storage) -> None:
    """Twenty administrators who all demote each other leave one."""
    admins = [an_admin(f"admin-{number}@example.com") for number in range(WORKERS)]
    await storage.keep(*admins)
    change = UseCases.over(storage)
    results = await all_at_once(*(change(UpdateUserAccess(admin.id, Role.USER), OPERATOR) for admin in admins))
    assert sum(isinstance(result, LastAdmin) for result in results) == 1, results
    roles = Counter([(await storage.users.get(admin.id)).role for admin in admins])
    assert roles == {Role.USER: WORKERS - 1, Role.ADMIN: 1}


async def only_one_first_administrator_is_created(storage: Storage) -> None:
    """Twenty processes that start on an empty database create one administrator."""
    create = UseCases.over(storage, hasher=InstantHasher())
    results = await all_at_once(
        *(create(CreateAdmin(f"root-{n}@example.com", PASSWORD, only_the_first=True), OPERATOR) for n in range(WORKERS))
    )
    assert len([result for result in results if result is not None]) == 1, results
    assert len((await storage.users.list("", PageRequest(100))).items) == 1


async def a_request_takes_effect_once_for_its_key(storage: Storage) -> None:
    """A request that is sent twenty times takes effect once."""
    ann, plan = a_user(), a_plan()
    at = await storage.clock.now()
    await storage.keep(ann, plan, an_active(ann, plan, at))
    renew = UseCases.over(storage)
    command = RenewSubscription(ann.id, idempotency=a_key(at=at))
    results = await all_at_once(*(renew(command, caller_of(ann)) for _ in range(WORKERS)))
    one_winner(results, RequestInProgress, DuplicateRequest)
    async with storage.unit_of_work() as work:
        found = await work.subscriptions.find_open_for_update(ann.id)
    assert found is not None
    assert found.periods_paid == 2


async def a_declined_payment_is_stored_for_its_key(storage: Storage) -> None:
    """Twenty requests with one key are never charged at the same time, and all repeats get the stored decline."""
    ann, plan = a_user(), a_plan()
    at = await storage.clock.now()
    active = an_active(ann, plan, at)
    await storage.keep(ann, plan, active)
    payments = RecordedPayments()
    renew: WithReplay[RenewSubscription, object] = WithReplay(UseCases.over(storage, payments=payments))
    command = RenewSubscription(ann.id, "sim_declined", idempotency=a_key(at=at))
    results = await all_at_once(*(renew(command, caller_of(ann)) for _ in range(WORKERS)))
    assert {type(result) for result in results} <= {PaymentDeclined, ReplayedPaymentDeclined, RequestInProgress}
    assert PaymentDeclined in {type(result) for result in results}
    assert payments.most_at_once == 1
    charged = len(payments.charges)
    repeats = await all_at_once(*(renew(command, caller_of(ann)) for _ in range(WORKERS)))
    assert [type(repeat) for repeat in repeats] == [ReplayedPaymentDeclined] * WORKERS
    assert len(payments.charges) == charged
    events = await storage.subscriptions.events(active.id, PageRequest(100))
    assert [event.version for event in events.items] == [1]


async def expiry_jobs_end_each_subscription_once(storage: Storage) -> None:
    """Simultaneous expiry jobs share the work: each end is stored once, with one event."""
    plan = a_plan()
    start = await storage.clock.now()
    users = [a_user(f"user-{number}@example.com") for number in range(30)]
    trials = [a_trial(user, plan, start) for user in users]
    await storage.keep(plan, *users)
    for trial in trials:
        await storage.keep_trial(trial)
    await storage.set_clock(start + 14 * DAY)
    cases = UseCases.over(storage)
    results = await all_at_once(*(cases(ExpireDueSubscriptions(), OPERATOR) for _ in range(4)))
    assert [result for result in results if isinstance(result, Exception)] == []
    assert cases.failures.sweep_failures == []
    assert sum(result.ended for result in results) == len(trials)  # type: ignore[attr-defined]
    for trial in trials:
        events = await storage.subscriptions.events(trial.id, PageRequest(100))
        assert [event.version for event in events.items] == [1, 2]


async def an_overdue_subscription_is_ended_once_and_replaced_once(storage: Storage) -> None:
    """Twenty activations and two expiry jobs end an overdue subscription once and create one new one."""
    ann, plan = a_user(), a_plan()
    start = await storage.clock.now()
    trial = a_trial(ann, plan, start)
    await storage.keep(ann, plan)
    await storage.keep_trial(trial)
    await storage.set_clock(start + 20 * DAY)
    cases = UseCases.over(storage)
    activation = ActivateSubscription(ann.id, "pro")
    results = await all_at_once(
        *(cases(activation, caller_of(ann)) for _ in range(WORKERS)),
        *(cases(ExpireDueSubscriptions(), OPERATOR) for _ in range(2)),
    )
    one_winner(results[:WORKERS], LiveSubscriptionExists)
    events = await storage.subscriptions.events(trial.id, PageRequest(100))
    assert [event.version for event in events.items] == [1, 2]
    listed = await storage.subscriptions.list(SubscriptionFilter(user_id=ann.id), PageRequest(), start + 20 * DAY)
    assert [view.status.value for view in listed.items] == ["active", "expired"]


async def ten_login_attempts_are_allowed(storage: Storage) -> None:
    """Parallel attempts cannot exceed the limit."""
    at = await storage.clock.now()
    results = await all_at_once(*(storage.throttle.attempt("ann", f"source {n}", at) for n in range(2 * WORKERS)))
    assert results.count(None) == 10
    assert all(result is None or isinstance(result, TooManyAttempts) for result in results)


RACES: Final[Mapping[str, Race]] = MappingProxyType(
    {
        race.__name__: race
        for race in (
            only_one_trial_of_a_plan_starts,
            only_one_trial_starts_with_the_scope_user,
            only_one_trial_starts_for_a_person,
            only_one_plan_is_activated,
            a_trial_is_converted_once,
            every_renewal_adds_a_period,
            an_email_is_registered_once,
            a_plan_code_is_used_once,
            every_change_of_terms_creates_a_revision,
            an_administrator_remains,
            only_one_first_administrator_is_created,
            a_request_takes_effect_once_for_its_key,
            a_declined_payment_is_stored_for_its_key,
            expiry_jobs_end_each_subscription_once,
            an_overdue_subscription_is_ended_once_and_replaced_once,
            ten_login_attempts_are_allowed,
        )
    }
)
