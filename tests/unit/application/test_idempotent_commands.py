"""Every command with an idempotency key takes effect once for that key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from smp.adapters.memory.store import MemoryStore
from smp.application.caller import ANONYMOUS
from smp.application.commands.activate_subscription import ActivateSubscription
from smp.application.commands.archive_plan import ArchivePlan
from smp.application.commands.cancel_subscription import CancelAt, CancelSubscription
from smp.application.commands.create_plan import CreatePlan
from smp.application.commands.register_user import RegisterUser
from smp.application.commands.renew_subscription import RenewSubscription
from smp.application.commands.restore_plan import RestorePlan
from smp.application.commands.resume_subscription import ResumeSubscription
from smp.application.commands.start_trial import StartTrial
from smp.application.errors import IdempotencyKeyReused
from smp.application.idempotency import IdempotencyKey
from smp.application.outcomes import PlanOutcome, SubscriptionOutcome, UserOutcome
from smp.domain.errors import EmailTaken
from tests.support.builders import (
    ADMIN,
    ADMIN_CALLER,
    PASSWORD,
    a_key,
    a_plan,
    a_user,
    an_active,
    caller_of,
    some_metadata,
    some_terms,
)
from tests.support.payments import RecordedPayments
from tests.support.refusals import refused
from tests.support.storage import Storage
from tests.support.use_cases import UseCases

ANN, BOB = a_user(), a_user("bob@example.com")
PRO, OLD = a_plan("pro"), a_plan("old")

Command = Callable[[UseCases, IdempotencyKey], Awaitable[SubscriptionOutcome | PlanOutcome | UserOutcome]]

COMMANDS: dict[str, Command] = {
    "register": lambda cases, request: cases(RegisterUser("new@example.com", PASSWORD, request), ANONYMOUS),
    "create plan": lambda cases, request: cases(CreatePlan("new", "New", "", some_terms(), request), ADMIN_CALLER),
    "archive plan": lambda cases, request: cases(ArchivePlan("pro", idempotency=request), ADMIN_CALLER),
    "restore plan": lambda cases, request: cases(RestorePlan("old", idempotency=request), ADMIN_CALLER),
    "start trial": lambda cases, request: cases(StartTrial(ANN.id, "pro", idempotency=request), caller_of(ANN)),
    "activate": lambda cases, request: cases(ActivateSubscription(ANN.id, "pro", idempotency=request), caller_of(ANN)),
    "renew": lambda cases, request: cases(RenewSubscription(BOB.id, idempotency=request), caller_of(BOB)),
    "cancel": lambda cases, request: cases(CancelSubscription(BOB.id, idempotency=request), caller_of(BOB)),
    "cancel at end": lambda cases, request: cases(
        CancelSubscription(BOB.id, CancelAt.PERIOD_END, idempotency=request), caller_of(BOB)
    ),
    "resume": lambda cases, request: cases(ResumeSubscription(BOB.id, idempotency=request), caller_of(BOB)),
}


@pytest.fixture(autouse=True)
async def users_and_plans(storage: Storage) -> None:
    """Store Ann without and Bob with a subscription, an active plan and an archived plan."""
    archived = OLD.archive(some_metadata(actor=ADMIN))
    await storage.keep(ANN, BOB, PRO, archived, an_active(BOB, PRO))


async def prepare(use_cases: UseCases, name: str) -> None:
    """Create the state that the command needs."""
    if name == "resume":
        await use_cases(CancelSubscription(BOB.id, CancelAt.PERIOD_END), caller_of(BOB))


@pytest.mark.parametrize("name", COMMANDS)
async def test_a_repeat_returns_the_first_outcome_and_changes_nothing(
    store: MemoryStore, use_cases: UseCases, payments: RecordedPayments, name: str
) -> None:
    await prepare(use_cases, name)
    request = a_key()
    outcome = await COMMANDS[name](use_cases, request)
    before, charged = store.state, len(payments.charges)
    assert await COMMANDS[name](use_cases, request) == replace(outcome, replayed=True)
    assert (store.state, len(payments.charges)) == (before, charged)
    with refused(store, IdempotencyKeyReused):
        await COMMANDS[name](use_cases, replace(request, fingerprint=b"other"))


@pytest.mark.parametrize("name", COMMANDS)
async def test_a_command_writes_one_event_and_stores_its_outcome_under_its_key(
    store: MemoryStore, use_cases: UseCases, name: str
) -> None:
    await prepare(use_cases, name)
    before = len(store.events)
    await COMMANDS[name](use_cases, a_key("one"))
    assert len(store.events) == before + 1
    assert set(store.state.outcomes) == {("user:ann", "one")}


async def test_a_rejected_command_stores_no_outcome(store: MemoryStore, use_cases: UseCases) -> None:
    with refused(store, EmailTaken):
        await use_cases(RegisterUser("ann@example.com", PASSWORD, a_key()), ANONYMOUS)
    await use_cases(RegisterUser("new@example.com", PASSWORD, a_key()), ANONYMOUS)


async def test_a_repeat_after_a_failed_commit_charges_with_the_same_reference(
    store: MemoryStore, use_cases: UseCases, payments: RecordedPayments
) -> None:
    """The payment provider therefore charges once."""
    request = a_key()
    store.fail_next_commit(EmailTaken())
    with refused(store, EmailTaken):
        await COMMANDS["activate"](use_cases, request)
    await COMMANDS["activate"](use_cases, request)
    first, second = payments.charges
    assert first.reference == second.reference
