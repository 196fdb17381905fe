"""A clock that steps back and forth between changes: no change is refused for it, and no order is undone."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from smp.application.caller import OPERATOR
from smp.application.commands.activate_subscription import ActivateSubscription
from smp.application.commands.cancel_subscription import CancelAt, CancelSubscription
from smp.application.commands.renew_subscription import RenewSubscription
from smp.application.commands.resume_subscription import ResumeSubscription
from smp.application.commands.start_trial import StartTrial
from smp.application.jobs.expire_due_subscriptions import ExpireDueSubscriptions
from smp.domain.errors import IllegalTransition, LiveSubscriptionExists, NoLiveSubscription, TrialAlreadyUsed
from tests.support.builders import NOW, a_plan, a_user, an_admin
from tests.support.storage import memory_storage
from tests.support.use_cases import UseCases

ANN: Final = a_user()
COMMANDS: Final = (
    StartTrial(ANN.id, "pro"),
    ActivateSubscription(ANN.id, "pro"),
    RenewSubscription(ANN.id),
    CancelSubscription(ANN.id, CancelAt.PERIOD_END),
    ResumeSubscription(ANN.id),
    CancelSubscription(ANN.id),
    ExpireDueSubscriptions(),
)
REFUSALS: Final = (IllegalTransition, LiveSubscriptionExists, NoLiveSubscription, TrialAlreadyUsed)
"""What these commands raise also if the clock is right."""

steps = st.tuples(st.sampled_from(COMMANDS), st.timedeltas(timedelta(days=-50), timedelta(days=50)))


@settings(max_examples=settings().max_examples // 2)  # each builds a container
@given(st.lists(steps, min_size=2, max_size=12))
def test_whatever_the_clock_says_data_stay_right_and_a_subscription_can_be_had(
    history: list[tuple[object, timedelta]],
) -> None:
    """In the end the user, who may have none, activates one and has it."""
    asyncio.run(play(history))


async def play(history: list[tuple[object, timedelta]]) -> None:
    storage = memory_storage()
    use_cases = UseCases.over(storage)
    await storage.keep(ANN, an_admin(), a_plan())
    now = NOW
    for command, step in history:
        now += step
        await storage.set_clock(now)
        try:
            await use_cases(command, OPERATOR)
        except REFUSALS:
            continue
    if await storage.subscriptions.current(ANN.id, now) is None:
        await use_cases(ActivateSubscription(ANN.id, "pro"), OPERATOR)
    current = await storage.subscriptions.current(ANN.id, now)
    assert current is not None
    assert [finding for finding in await storage.integrity.check(now) if not finding.ok] == []
