"""The state that a use case leaves if it fails between its steps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from smp.adapters.memory.store import MemoryStore
from smp.adapters.security.common_passwords import CommonPasswordList
from smp.application.caller import ANONYMOUS, OPERATOR
from smp.application.commands.activate_subscription import ActivateSubscription, ActivateSubscriptionHandler
from smp.application.commands.cancel_subscription import CancelSubscription
from smp.application.commands.change_password import ChangePassword
from smp.application.commands.log_in import LogIn
from smp.application.commands.renew_subscription import RenewSubscription, RenewSubscriptionHandler
from smp.application.commands.set_test_clock import LATEST, SetTestClock
from smp.application.commands.start_trial import StartTrial
from smp.application.errors import Overloaded, StorageUnavailable
from smp.application.idempotency import IdempotencyKey
from smp.application.password_policy import PasswordPolicy
from smp.application.ports.password_hasher import Verification
from smp.application.ports.payment_gateway import PaymentGateway
from smp.application.ports.unit_of_work import UnitOfWork
from smp.application.queries.get_statistics import GetStatistics
from smp.domain.errors import IllegalTransition, ValidationError
from tests.support.builders import IDS, NOW, PASSWORD, a_key, a_plan, a_session, a_user, caller_of, some_terms
from tests.support.hashing import InstantHasher
from tests.support.payments import RecordedPayments
from tests.support.refusals import refused
from tests.support.storage import Storage
from tests.support.use_cases import UseCases

TICK = timedelta(microseconds=1)


class RightButBusyHasher(InstantHasher):
    """A hasher that accepts every password, reports every hash as outdated, and has a full queue."""

    async def verify(self, password_hash: str | None, password: str) -> Verification:
        """Report a match and an outdated hash."""
        return Verification(matches=True, needs_rehash=True)

    async def hash(self, password: str) -> str:
        """Raise Overloaded."""
        raise Overloaded("full")


async def test_a_right_password_never_counts_as_a_failed_attempt(store: MemoryStore, storage: Storage) -> None:
    """Not even if the hashing queue is full: a sign-in then keeps the outdated hash, a change of password fails."""
    use_cases = UseCases.over(storage, hasher=RightButBusyHasher())
    user = a_user()
    session = a_session(user)
    await storage.keep(user, session)
    assert await use_cases(LogIn(user.email.text, PASSWORD, "192.0.2.1"), ANONYMOUS)
    assert store.state.users[user.id].password_hash == user.password_hash
    assert store.state.attempts == {}
    with pytest.raises(Overloaded):
        await use_cases(ChangePassword(PASSWORD, f"new {PASSWORD}", "192.0.2.1"), caller_of(user, session.id))
    assert store.state.attempts == {}


@pytest.mark.parametrize("request_", [None, a_key()])
async def test_a_renewal_that_was_not_committed_is_charged_once(
    store: MemoryStore,
    storage: Storage,
    use_cases: UseCases,
    payments: RecordedPayments,
    request_: IdempotencyKey | None,
) -> None:
    """The repeat finds the state unchanged and charges with the same reference."""
    user, plan = a_user(), a_plan()
    await storage.keep(user, plan)
    await use_cases(ActivateSubscription(user.id, plan.code), caller_of(user))
    command = RenewSubscription(user.id, idempotency=request_)
    store.fail_next_commit(StorageUnavailable())
    with refused(store, StorageUnavailable):
        await use_cases(command, caller_of(user))
    await use_cases(command, caller_of(user))
    assert payments.charges[1] == payments.charges[2]


STEPS = {"add": "write", "save": "write", "charge": "charge", "commit": "commit"}


class Watched:
    """A wrapper of ``target`` that records the order of writing, charging and committing in ``taken``."""

    def __init__(self, target: object, taken: list[str]) -> None:
        self._target = target
        self._taken = taken

    def __getattr__(self, name: str) -> object:
        """Return the attribute of the target; repositories are wrapped as well."""
        if name in STEPS:
            self._taken.append(STEPS[name])
        found = getattr(self._target, name)
        return Watched(found, self._taken) if name == "subscriptions" else found


async def test_the_user_is_charged_after_all_writes_and_before_the_commit(
    storage: Storage, use_cases: UseCases, payments: RecordedPayments
) -> None:
    """After the charge, only the commit can fail."""
    user, plan = a_user(), a_plan()
    await storage.keep(user, plan)
    taken: list[str] = []

    @asynccontextmanager
    async def watched(key: IdempotencyKey | None = None) -> AsyncIterator[UnitOfWork]:
        async with storage.unit_of_work(key) as work:
            yield cast("UnitOfWork", Watched(work, taken))

    gateway = cast("PaymentGateway", Watched(payments, taken))
    activate = ActivateSubscriptionHandler(watched, use_cases.clock, IDS, gateway)
    renew = RenewSubscriptionHandler(watched, use_cases.clock, IDS, gateway)
    await use_cases(StartTrial(user.id, plan.code), caller_of(user))
    await activate(ActivateSubscription(user.id, plan.code), caller_of(user))
    await renew(RenewSubscription(user.id), caller_of(user))
    await use_cases(CancelSubscription(user.id), caller_of(user))
    await activate(ActivateSubscription(user.id, plan.code), caller_of(user))
    assert taken == ["write", "charge", "commit"] * 3


async def test_a_renewal_that_would_end_after_the_year_9999_is_not_charged(
    store: MemoryStore, storage: Storage, use_cases: UseCases, payments: RecordedPayments
) -> None:
    user, plan = a_user(), a_plan(terms=some_terms(period="P100Y"))
    await storage.keep(user, plan)
    await use_cases.set_clock(datetime(9850, 1, 1, tzinfo=UTC))
    await use_cases(ActivateSubscription(user.id, plan.code), caller_of(user))
    assert len(payments.charges) == 1
    with refused(store, IllegalTransition):
        await use_cases(RenewSubscription(user.id), caller_of(user))
    assert len(payments.charges) == 1


async def test_the_test_clock_cannot_be_set_near_the_end_of_the_calendar(
    store: MemoryStore, use_cases: UseCases
) -> None:
    """Sessions, waits and forecasts that start at that instant need an end within the calendar."""
    with refused(store, ValidationError) as refusal:
        await use_cases(SetTestClock(LATEST), OPERATOR)
    assert refusal.value.pointer == "/now"
    assert await use_cases.clock.now() == NOW
    assert await use_cases(SetTestClock(LATEST - TICK), OPERATOR) == LATEST - TICK
    assert (await use_cases(GetStatistics(), OPERATOR)).as_of == LATEST - TICK


@pytest.mark.parametrize("password", ["\ud800" * 20, "correct horse battery \udfff", "\udcff and more of the same"])
def test_a_password_with_a_lone_surrogate_is_rejected(password: str) -> None:
    """A command line can contain one; it has no UTF-8 encoding that could be hashed."""
    policy = PasswordPolicy(CommonPasswordList(), 15)
    with pytest.raises(ValidationError) as refusal:
        policy.check(password, "ann@example.com")
    assert refusal.value.pointer == "/password"
    policy.check("\x00 correct horse 🐎 \U0010ffff battery", "ann@example.com")
