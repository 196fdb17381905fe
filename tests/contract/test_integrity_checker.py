from __future__ import annotations

from smp.application.caller import OPERATOR
from smp.application.commands.activate_subscription import ActivateSubscription
from smp.application.commands.cancel_subscription import CancelAt, CancelSubscription
from smp.application.commands.renew_subscription import RenewSubscription
from smp.application.commands.start_trial import StartTrial
from smp.application.commands.update_plan import PlanPatch, UpdatePlan
from smp.application.jobs.expire_due_subscriptions import ExpireDueSubscriptions
from tests.support.builders import ADMIN_CALLER, DAY, a_plan, a_session, a_user, caller_of, some_terms
from tests.support.storage import Storage
from tests.support.use_cases import UseCases


async def assert_sound(storage: Storage) -> None:
    """Every invariant is checked once, and holds."""
    findings = await storage.integrity.check(await storage.clock.now())
    assert [check_result for check_result in findings if not check_result.ok] == []
    names = [check_result.check for check_result in findings]
    assert len(names) == len(set(names)) >= 5
    assert all(check_result.detail for check_result in findings)


async def test_an_empty_storage_is_sound(storage: Storage) -> None:
    """Nothing is wrong where nothing is."""
    await assert_sound(storage)


async def test_what_use_cases_write_is_sound(storage: Storage, use_cases: UseCases) -> None:
    """Whatever they did, and at every instant, whether or not a sweep came by."""
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
    swept = await use_cases(ExpireDueSubscriptions(), OPERATOR)
    assert (swept.expired, swept.cancelled) == (1, 1)
    await assert_sound(storage)


async def test_checking_changes_nothing(storage: Storage) -> None:
    """It may be run at any time, on any platform."""
    ann = a_user()
    await storage.keep(ann, a_plan())
    before = await storage.event_types()
    await storage.integrity.check(await storage.clock.now())
    assert await storage.event_types() == before
