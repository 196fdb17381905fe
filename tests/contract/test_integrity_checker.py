from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from smp.application.caller import OPERATOR
from smp.application.commands.activate_subscription import ActivateSubscription
from smp.application.commands.cancel_subscription import CancelAt, CancelSubscription
from smp.application.commands.create_api_key import CreateApiKey
from smp.application.commands.renew_subscription import RenewSubscription
from smp.application.commands.start_trial import StartTrial
from smp.application.commands.update_plan import PlanPatch, UpdatePlan
from smp.application.commands.update_user_access import UpdateUserAccess
from smp.application.jobs.expire_due_subscriptions import ExpireDueSubscriptions
from smp.domain.plan.events import PlanEventType
from smp.domain.user.user import Role, User
from tests.support.builders import (
    ADMIN_CALLER,
    DAY,
    IDS,
    NOW,
    a_plan,
    a_session,
    a_user,
    an_admin,
    caller_of,
    some_metadata,
    some_terms,
)
from tests.support.storage import Storage
from tests.support.use_cases import UseCases

Damage = Callable[[Storage, UseCases], Awaitable[None]]
ANN = a_user("ann@example.com")


async def assert_sound(storage: Storage) -> None:
    """Check every invariant once; all of them must hold."""
    findings = await storage.integrity.check(await storage.clock.now())
    assert [check_result for check_result in findings if not check_result.ok] == []
    names = [check_result.check for check_result in findings]
    assert len(names) == len(set(names)) >= 5
    assert all(check_result.detail for check_result in findings)


async def test_an_empty_storage_keeps_all_invariants(storage: Storage) -> None:
    await assert_sound(storage)


async def test_the_data_of_use_cases_keep_all_invariants_at_every_instant(
    storage: Storage, use_cases: UseCases
) -> None:
    """The expiry job does not matter."""
    users = [a_user(f"user-{number}@example.com") for number in range(5)]
    await storage.keep(a_plan("pro"), a_plan("life", some_terms(period=None)), *users)
    await storage.keep(a_session(users[0]))
    start = await storage.clock.now()
    for user in users[:3]:
        await use_cases(StartTrial(user.id, "pro"), caller_of(user))
    await storage.set_clock(start + DAY)
    await use_cases(ActivateSubscription(users[0].id, "pro"), caller_of(users[0]))
    await use_cases(CancelSubscription(users[1].id, CancelAt.PERIOD_END), caller_of(users[1]))
    await use_cases(UpdatePlan("pro", PlanPatch(name="Gold", amount=1)), ADMIN_CALLER)
    await use_cases(ActivateSubscription(users[3].id, "life"), caller_of(users[3]))
    await use_cases(CancelSubscription(users[3].id), caller_of(users[3]))
    await use_cases(ActivateSubscription(users[4].id, "pro"), caller_of(users[4]))
    await use_cases(RenewSubscription(users[4].id), caller_of(users[4]))
    await assert_sound(storage)
    await storage.set_clock(start + 20 * DAY)
    await assert_sound(storage)
    result = await use_cases(ExpireDueSubscriptions(), OPERATOR)
    assert (result.expired, result.cancelled) == (1, 1)
    await assert_sound(storage)


def changed_without_event(first: UpdateUserAccess, change: Callable[[User], User]) -> Damage:
    """Return a damage: the user is changed with an event, and then changed again without one."""

    async def damage(storage: Storage, use_cases: UseCases) -> None:
        await storage.keep(ANN, an_admin())
        await use_cases(first, ADMIN_CALLER)
        async with storage.unit_of_work() as work:
            await work.users.save(change(await work.users.get(ANN.id, for_update=True)))
            await work.commit()

    return damage


async def register(storage: Storage, _: UseCases) -> None:
    await storage.keep(replace(ANN, events=()))


def as_user(user: User) -> User:
    return replace(user, role=Role.USER)


def enabled(user: User) -> User:
    return replace(user, disabled=False)


async def revoke_key(storage: Storage, use_cases: UseCases) -> None:
    made = await use_cases(CreateApiKey("shop"), OPERATOR)
    async with storage.unit_of_work() as work:
        assert await work.api_keys.revoke(made.key.id, NOW)
        await work.commit()


async def record_event_of_no_plan(storage: Storage, _: UseCases) -> None:
    async with storage.unit_of_work() as work:
        await work.events.record([some_metadata().event(PlanEventType.ARCHIVED, IDS.new(), {}, version=1)])
        await work.commit()


@pytest.mark.parametrize(
    ("damage", "check"),
    [
        (changed_without_event(UpdateUserAccess(ANN.id, Role.ADMIN), as_user), "users_match_their_last_events"),
        (changed_without_event(UpdateUserAccess(ANN.id, disabled=True), enabled), "users_match_their_last_events"),
        (register, "users_were_registered_once"),
        (revoke_key, "revoked_keys_have_their_event"),
        (record_event_of_no_plan, "no_gap_in_events"),
    ],
    ids=["role", "disabled", "registration", "API key", "subject"],
)
async def test_a_change_without_its_event_is_found(
    storage: Storage, use_cases: UseCases, damage: Damage, check: str
) -> None:
    await damage(storage, use_cases)
    results = await storage.integrity.check(NOW)
    assert check in [result.check for result in results if not result.ok]


async def test_the_check_changes_no_data(storage: Storage) -> None:
    ann = a_user()
    await storage.keep(ann, a_plan())
    before = await storage.event_types()
    await storage.integrity.check(await storage.clock.now())
    assert await storage.event_types() == before
