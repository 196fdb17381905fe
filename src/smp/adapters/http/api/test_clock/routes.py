"""The clock of a test platform; these routes exist only where the platform is one."""

from __future__ import annotations

from datetime import UTC

from dishka.integrations.litestar import FromDishka
from litestar import get, put
from litestar.params import JSONBody

from smp.adapters.http.api.test_clock.schemas import ClockIn, ClockOut
from smp.adapters.http.authentication import Who
from smp.adapters.http.idempotency import retried
from smp.application.commands.set_test_clock import SetTestClock, SetTestClockHandler
from smp.application.ports.clock import Clock
from smp.domain.errors import ValidationError


@get(
    "/v1/test-clock",
    operation_id="getTestClock",
    tags=["test clock"],
    summary="What time is it here?",
    opt={"who": Who.ADMIN},
)
async def get_test_clock(clock: FromDishka[Clock]) -> ClockOut:
    """The platform's clock: the real one until it is set for the first time."""
    return ClockOut(await clock.now())


@put(
    "/v1/test-clock",
    operation_id="setTestClock",
    tags=["test clock"],
    summary="Move the clock forward",
    opt={"who": Who.ADMIN, "problems": ("test-clock-moves-forward-only",)},
)
async def set_test_clock(data: JSONBody[ClockIn], handler: FromDishka[SetTestClockHandler]) -> ClockOut:
    """It stands still there until it is moved again; what fell due is processed before the answer."""
    try:
        now = data.now.astimezone(UTC)
    except OverflowError:
        raise ValidationError("/now", "must be an instant from the year 1 to 9999") from None
    return ClockOut(await retried(lambda: handler(SetTestClock(now, data.sweep))))


ROUTES = (get_test_clock, set_test_clock)
