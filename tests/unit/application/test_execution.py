"""The decorators that every use case runs inside, on any driver."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from smp.application.caller import ANONYMOUS, OPERATOR, Caller
from smp.application.commands.activate_subscription import ActivateSubscription
from smp.application.errors import Forbidden, NotAuthenticated, TransactionConflict
from smp.application.execution import (
    ATTEMPTS,
    Handler,
    WithAuthorization,
    WithObserver,
    WithReplay,
    WithRetries,
    WithSpan,
)
from smp.application.idempotency import ReplayedPaymentDeclined
from smp.application.ports.backoff import Backoff
from smp.application.ports.use_case_tracer import UseCaseTracer
from smp.application.queries.list_users import ListUsers
from smp.domain.errors import PaymentDeclined
from tests.support.builders import a_key, a_plan, a_user, caller_of
from tests.support.payments import RecordedPayments
from tests.support.storage import Storage
from tests.support.use_cases import UseCases


@dataclass
class RecordedBackoff(Backoff):
    """A backoff that does not wait and records the attempts after which it was called."""

    attempts: list[int] = field(default_factory=list)

    async def pause(self, attempt: int) -> None:
        self.attempts.append(attempt)


@dataclass
class Conflicting:
    """A use case whose transaction conflicts so many times."""

    conflicts: int
    calls: int = 0

    async def __call__(self, command: str, caller: Caller) -> str:
        self.calls += 1
        if self.calls <= self.conflicts:
            raise TransactionConflict
        return f"{command} by {caller.name}"


async def echo(command: object, _: Caller) -> object:
    """Return the message."""
    return command


@pytest.mark.parametrize("conflicts", range(ATTEMPTS))
async def test_a_use_case_runs_again_after_a_conflict(conflicts: int) -> None:
    """There is a pause after each failed attempt."""
    handler, backoff = Conflicting(conflicts), RecordedBackoff()
    assert await WithRetries(handler, backoff)("done", ANONYMOUS) == "done by anonymous"
    assert (handler.calls, backoff.attempts) == (conflicts + 1, list(range(1, conflicts + 1)))


async def test_a_use_case_gives_up_after_three_conflicts() -> None:
    """There is no pause after the last attempt."""
    handler, backoff = Conflicting(ATTEMPTS), RecordedBackoff()
    with pytest.raises(TransactionConflict):
        await WithRetries(handler, backoff)("done", ANONYMOUS)
    assert (handler.calls, backoff.attempts) == (ATTEMPTS, [1, 2])


async def test_a_use_case_does_not_run_for_a_caller_without_permission() -> None:
    """The table decides: here users may act for themselves, and callers with the scope for anyone."""
    ann, bob = a_user(), a_user("bob@example.com")
    activate = WithAuthorization(echo, ActivateSubscription, is_about_user=True)
    command = ActivateSubscription(ann.id, "pro")
    assert await activate(command, caller_of(ann)) is command
    assert await activate(command, OPERATOR) is command
    with pytest.raises(Forbidden):
        await activate(command, caller_of(bob))
    with pytest.raises(NotAuthenticated):
        await activate(command, ANONYMOUS)
    with pytest.raises(Forbidden):
        await WithAuthorization(echo, ListUsers, is_about_user=False)(ListUsers(), caller_of(ann))


async def test_an_error_is_not_observed_as_a_result() -> None:
    seen: list[str] = []
    handler = WithObserver(Conflicting(1), seen.append)
    with pytest.raises(TransactionConflict):
        await handler("done", ANONYMOUS)
    assert await handler("done", ANONYMOUS) == "done by anonymous"
    assert seen == ["done by anonymous"]


async def test_a_use_case_runs_inside_its_span() -> None:
    log: list[str] = []

    class Tracer(UseCaseTracer):
        @contextmanager
        def span(self, name: str) -> Iterator[None]:
            log.append(f"begin {name}")
            yield
            log.append(f"end {name}")

    async def handler(command: str, _: Caller) -> None:
        log.append(command)

    await WithSpan(handler, "Greet", Tracer())("hello", ANONYMOUS)
    assert log == ["begin Greet", "hello", "end Greet"]


@pytest.fixture
async def activation(storage: Storage, use_cases: UseCases) -> Handler[ActivateSubscription, object]:
    """Return the handler of activation with the replay of idempotent requests; there is a plan with a price."""
    await storage.keep(a_plan())
    return WithReplay(use_cases)


async def test_a_repeated_request_gets_the_outcome_of_the_first_marked_as_replayed(
    storage: Storage, activation: Handler[ActivateSubscription, object], payments: RecordedPayments
) -> None:
    """The user is charged once."""
    ann = a_user()
    await storage.keep(ann)
    command = ActivateSubscription(ann.id, "pro", idempotency=a_key())
    first = await activation(command, caller_of(ann))
    repeat = await activation(command, caller_of(ann))
    assert (first.replayed, repeat.replayed) == (False, True)  # type: ignore[attr-defined]
    assert repeat.subscription == first.subscription  # type: ignore[attr-defined]
    assert len(payments.charges) == 1


async def test_a_repeat_of_a_declined_payment_is_declined_without_another_charge(
    storage: Storage, activation: Handler[ActivateSubscription, object], payments: RecordedPayments
) -> None:
    """With another key the user may pay by another method."""
    ann = a_user()
    await storage.keep(ann)
    declined = ActivateSubscription(ann.id, "pro", "sim_declined", idempotency=a_key())
    with pytest.raises(PaymentDeclined) as first:
        await activation(declined, caller_of(ann))
    assert not isinstance(first.value, ReplayedPaymentDeclined)
    charges = len(payments.charges)
    with pytest.raises(ReplayedPaymentDeclined):
        await activation(declined, caller_of(ann))
    assert len(payments.charges) == charges
    await activation(ActivateSubscription(ann.id, "pro", idempotency=a_key("another")), caller_of(ann))


async def test_a_declined_payment_without_a_key_stores_nothing(
    storage: Storage, use_cases: UseCases, activation: Handler[ActivateSubscription, object]
) -> None:
    ann = a_user()
    await storage.keep(ann)
    with pytest.raises(PaymentDeclined):
        await activation(ActivateSubscription(ann.id, "pro", "sim_declined"), caller_of(ann))
