"""Every command that takes the request of its caller takes effect once for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from smp.adapters.memory.store import MemoryStore
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
from smp.application.idempotency import DuplicateRequest, IdempotentRequest
from smp.domain.errors import EmailTaken
from tests.support.builders import ADMIN, PASSWORD, a_cause, a_plan, a_request, a_user, actor_of, an_active, some_terms
from tests.support.payments import RecordedPayments
from tests.support.refusals import refused
from tests.support.storage import Storage
from tests.support.use_cases import UseCases

ANN, BOB = a_user(), a_user("bob@example.com")
PRO, OLD = a_plan("pro"), a_plan("old")

Command = Callable[[UseCases, IdempotentRequest], Awaitable[object]]

COMMANDS: dict[str, Command] = {
    "register": lambda cases, request: cases.register_user(RegisterUser("new@example.com", PASSWORD, request)),
    "create plan": lambda cases, request: cases.create_plan(CreatePlan(ADMIN, "new", "New", "", some_terms(), request)),
    "archive plan": lambda cases, request: cases.archive_plan(ArchivePlan(ADMIN, "pro", request=request)),
    "restore plan": lambda cases, request: cases.restore_plan(RestorePlan(ADMIN, "old", request=request)),
    "start trial": lambda cases, request: cases.start_trial(StartTrial(actor_of(ANN), ANN.id, "pro", request=request)),
    "activate": lambda cases, request: cases.activate(
        ActivateSubscription(actor_of(ANN), ANN.id, "pro", request=request)
    ),
    "renew": lambda cases, request: cases.renew(RenewSubscription(actor_of(BOB), BOB.id, request=request)),
    "cancel": lambda cases, request: cases.cancel(CancelSubscription(actor_of(BOB), BOB.id, request=request)),
    "cancel at end": lambda cases, request: cases.cancel(
        CancelSubscription(actor_of(BOB), BOB.id, CancelAt.PERIOD_END, request=request)
    ),
    "resume": lambda cases, request: cases.resume(ResumeSubscription(actor_of(BOB), BOB.id, request=request)),
}


@pytest.fixture(autouse=True)
async def people_and_plans(storage: Storage) -> None:
    """Ann without, and Bob with a subscription; an active and an archived plan."""
    archived = OLD.archive(a_cause(actor=ADMIN))
    await storage.keep(ANN, BOB, PRO, archived, an_active(BOB, PRO))


async def prepare(use_cases: UseCases, name: str) -> None:
    """What has to be there before the command."""
    if name == "resume":
        await use_cases.cancel(CancelSubscription(actor_of(BOB), BOB.id, CancelAt.PERIOD_END))


@pytest.mark.parametrize("name", COMMANDS)
async def test_a_repeat_is_answered_and_does_nothing(
    store: MemoryStore, use_cases: UseCases, payments: RecordedPayments, name: str
) -> None:
    """The answer is that of the first result; nothing is charged twice."""
    await prepare(use_cases, name)
    request = a_request()
    outcome = await COMMANDS[name](use_cases, request)
    charged = len(payments.charges)
    with refused(store, DuplicateRequest) as caught:
        await COMMANDS[name](use_cases, request)
    assert caught.value.answer == request.render(outcome)
    assert len(payments.charges) == charged
    with refused(store, IdempotencyKeyReused):
        await COMMANDS[name](use_cases, replace(request, fingerprint=b"other"))


@pytest.mark.parametrize("name", COMMANDS)
async def test_without_the_request_it_is_another_one(store: MemoryStore, use_cases: UseCases, name: str) -> None:
    """Each effect has its events; with a key of its own the second is judged by the state it finds."""
    await prepare(use_cases, name)
    before = len(store.events)
    await COMMANDS[name](use_cases, a_request("one"))
    assert len(store.events) == before + 1
    assert set(store.state.answers) == {("user:ann", "one")}


async def test_a_refusal_keeps_no_answer(store: MemoryStore, use_cases: UseCases) -> None:
    """Nothing was done: what is told to whom about that is not the use case's to keep."""
    with refused(store, EmailTaken):
        await use_cases.register_user(RegisterUser("ann@example.com", PASSWORD, a_request()))
    await use_cases.register_user(RegisterUser("new@example.com", PASSWORD, a_request()))


async def test_a_reference_for_the_payer_is_the_same_when_the_commit_failed(
    store: MemoryStore, use_cases: UseCases, payments: RecordedPayments
) -> None:
    """So that a provider that has the money takes it once, though the first try left nothing here."""
    request = a_request()
    store.fail_next_commit(EmailTaken())
    with refused(store, EmailTaken):
        await COMMANDS["activate"](use_cases, request)
    await COMMANDS["activate"](use_cases, request)
    first, second = payments.charges
    assert first.reference == second.reference
