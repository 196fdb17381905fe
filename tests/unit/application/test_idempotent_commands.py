"""Every command that takes the request of its caller takes effect once for it."""

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
async def people_and_plans(storage: Storage) -> None:
    """Ann without, and Bob with a subscription; an active and an archived plan."""
    archived = OLD.archive(some_metadata(actor=ADMIN))
    await storage.keep(ANN, BOB, PRO, archived, an_active(BOB, PRO))


async def prepare(use_cases: UseCases, name: str) -> None:
    """What has to be there before the command."""
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
async def test_without_the_request_it_is_another_one(store: MemoryStore, use_cases: UseCases, name: str) -> None:
    """Each effect has its events; with a key of its own the second is judged by the state it finds."""
    await prepare(use_cases, name)
    before = len(store.events)
    await COMMANDS[name](use_cases, a_key("one"))
    assert len(store.events) == before + 1
    assert set(store.state.outcomes) == {("user:ann", "one")}


async def test_a_refusal_keeps_no_answer(store: MemoryStore, use_cases: UseCases) -> None:
    """Nothing was done: what is told to whom about that is not the use case's to keep."""
    with refused(store, EmailTaken):
        await use_cases(RegisterUser("ann@example.com", PASSWORD, a_key()), ANONYMOUS)
    await use_cases(RegisterUser("new@example.com", PASSWORD, a_key()), ANONYMOUS)


async def test_a_reference_for_the_payer_is_the_same_when_the_commit_failed(
    store: MemoryStore, use_cases: UseCases, payments: RecordedPayments
) -> None:
    """So that a provider that has the money takes it once, though the first try left nothing here."""
    request = a_key()
    store.fail_next_commit(EmailTaken())
    with refused(store, EmailTaken):
        await COMMANDS["activate"](use_cases, request)
    await COMMANDS["activate"](use_cases, request)
    first, second = payments.charges
    assert first.reference == second.reference
