"""What a use case leaves behind where something fails between its steps."""

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
    """Verifies, and finds every hash outdated, but has no room to make another."""

    async def verify(self, password_hash: str | None, password: str) -> Verification:
        """Right, and to be hashed anew."""
        return Verification(matches=True, needs_rehash=True)

    async def hash(self, password: str) -> str:
        """Never."""
        raise Overloaded("full")


async def test_a_right_password_is_never_held_against_its_owner(store: MemoryStore, storage: Storage) -> None:
    """Not even where the login, or the change, then fails for want of room."""
    use_cases = UseCases.over(storage, hasher=RightButBusyHasher())
    user = a_user()
    session = a_session(user)
    await storage.keep(user, session)
    with pytest.raises(Overloaded):
        await use_cases(LogIn(user.email.text, PASSWORD, "192.0.2.1"), ANONYMOUS)
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
    """The repeat, which finds nothing changed, pays under the same reference."""
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
    """Does what ``target`` does, and keeps in ``taken`` the order of writing, taking money and committing."""

    def __init__(self, target: object, taken: list[str]) -> None:
        self._target = target
        self._taken = taken

    def __getattr__(self, name: str) -> object:
        """The target's; what it gives is watched too."""
        if name in STEPS:
            self._taken.append(STEPS[name])
        found = getattr(self._target, name)
        return Watched(found, self._taken) if name == "subscriptions" else found


async def test_money_is_taken_last(storage: Storage, use_cases: UseCases, payments: RecordedPayments) -> None:
    """When all is written and only the commit is left, for nothing else may fail once it is taken."""
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


async def test_nothing_is_charged_for_a_period_that_cannot_be(
    store: MemoryStore, storage: Storage, use_cases: UseCases, payments: RecordedPayments
) -> None:
    """The calendar ends with the year 9999; money is asked for when all else is done."""
    user, plan = a_user(), a_plan(terms=some_terms(period="P100Y"))
    await storage.keep(user, plan)
    await use_cases.set_clock(datetime(9850, 1, 1, tzinfo=UTC))
    await use_cases(ActivateSubscription(user.id, plan.code), caller_of(user))
    assert len(payments.charges) == 1
    with refused(store, IllegalTransition):
        await use_cases(RenewSubscription(user.id), caller_of(user))
    assert len(payments.charges) == 1


async def test_the_clock_stays_away_from_the_end_of_the_calendar(store: MemoryStore, use_cases: UseCases) -> None:
    """So that sessions, waits and forecasts that are counted from it have an instant too."""
    with refused(store, ValidationError) as refusal:
        await use_cases(SetTestClock(LATEST), OPERATOR)
    assert refusal.value.pointer == "/now"
    assert await use_cases.clock.now() == NOW
    assert await use_cases(SetTestClock(LATEST - TICK), OPERATOR) == LATEST - TICK
    assert (await use_cases(GetStatistics(), OPERATOR)).as_of == LATEST - TICK


@pytest.mark.parametrize("password", ["\ud800" * 20, "correct horse battery \udfff", "\udcff and more of the same"])
def test_a_password_is_made_of_characters(password: str) -> None:
    """A lone surrogate, as a command line may hold, has no bytes that could be hashed."""
    policy = PasswordPolicy(CommonPasswordList(), 15)
    with pytest.raises(ValidationError) as refusal:
        policy.check(password)
    assert refusal.value.pointer == "/password"
    policy.check("\x00 correct horse 🐎 \U0010ffff battery")
