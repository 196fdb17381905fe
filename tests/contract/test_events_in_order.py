"""Events of one subject are in order of time, whatever the clock says when they are written."""

from __future__ import annotations

from typing import Final

import pytest

from smp.application.caller import OPERATOR
from smp.application.commands.activate_subscription import ActivateSubscription
from smp.application.commands.archive_plan import ArchivePlan
from smp.application.commands.cancel_subscription import CancelAt, CancelSubscription
from smp.application.commands.create_api_key import CreateApiKey
from smp.application.commands.renew_subscription import RenewSubscription
from smp.application.commands.restore_plan import RestorePlan
from smp.application.commands.resume_subscription import ResumeSubscription
from smp.application.commands.revoke_api_key import RevokeApiKey
from smp.application.commands.start_trial import StartTrial
from smp.application.commands.update_plan import PlanPatch, UpdatePlan
from smp.application.commands.update_user_access import UpdateUserAccess
from smp.domain.user.user import Role
from tests.support.builders import ADMIN_CALLER, DAY, NOW, a_plan, a_user, an_admin, some_metadata
from tests.support.storage import Storage
from tests.support.use_cases import UseCases
from tests.support.waiting import made_to_wait

ANN: Final = a_user()
COMMANDS: Final = {
    "a subscription": [
        StartTrial(ANN.id, "pro"),
        CancelSubscription(ANN.id, CancelAt.PERIOD_END),
        ResumeSubscription(ANN.id),
        ActivateSubscription(ANN.id, "pro"),
        RenewSubscription(ANN.id),
        CancelSubscription(ANN.id),
        ActivateSubscription(ANN.id, "pro"),
    ],
    "a plan": [
        ArchivePlan("pro"),
        RestorePlan("pro"),
        UpdatePlan("pro", PlanPatch(name="Pro+", amount=1)),
    ],
    "a user": [
        UpdateUserAccess(ANN.id, Role.ADMIN, disabled=False),
        UpdateUserAccess(ANN.id, Role.ADMIN, disabled=True),
    ],
}


@pytest.mark.parametrize("commands", COMMANDS.values(), ids=COMMANDS)
async def test_a_clock_that_is_set_back_refuses_no_change_and_undoes_no_order(
    storage: Storage, use_cases: UseCases, commands: list[object]
) -> None:
    """It is set back by a day before each change."""
    await storage.keep(ANN, an_admin(), a_plan())
    for number, command in enumerate(commands):
        await storage.set_clock(NOW + (len(commands) - number) * DAY)
        await use_cases(command, ADMIN_CALLER)
    assert len(await storage.event_types()) > len(commands)
    assert [finding for finding in await storage.integrity.check(NOW + 10 * DAY) if not finding.ok] == []


async def test_an_api_key_that_is_revoked_after_the_clock_was_set_back_has_one_instant_of_revocation(
    storage: Storage, use_cases: UseCases
) -> None:
    """Its event has the instant that the key has, and that is not before the key was created."""
    await storage.set_clock(NOW + DAY)
    created = await use_cases(CreateApiKey("shop"), OPERATOR)
    await storage.set_clock(NOW)
    assert await use_cases(RevokeApiKey(created.key.id), OPERATOR)
    assert [finding for finding in await storage.integrity.check(NOW + DAY) if not finding.ok] == []


async def test_a_change_that_waited_for_another_one_is_not_dated_before_it(storage: Storage) -> None:
    """The time of a change is read before it waits, so it may be earlier than that of the change before it."""
    await storage.keep(ANN)

    async def disable() -> None:
        async with storage.unit_of_work() as other:
            found = await other.users.get(ANN.id, for_update=True)
            await other.users.save(found.change_access(Role.ADMIN, disabled=True, new_metadata=some_metadata))
            await other.commit()

    async with storage.unit_of_work() as work:
        found = await work.users.get(ANN.id, for_update=True)
        async with made_to_wait(disable()):
            later = some_metadata(NOW + DAY)
            await work.users.save(found.change_access(Role.ADMIN, disabled=False, new_metadata=lambda: later))
            await work.commit()
    assert [finding for finding in await storage.integrity.check(NOW + DAY) if not finding.ok] == []
