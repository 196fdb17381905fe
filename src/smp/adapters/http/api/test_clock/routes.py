"""The clock of a test platform; these routes exist only where the platform is one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from dishka.integrations.litestar import FromDishka
from litestar import get, put
from litestar.connection import Request
from litestar.params import JSONBody

from smp.adapters.http.api.test_clock.schemas import ClockIn, ClockOut
from smp.adapters.http.authentication import Who, caller_of
from smp.application.commands.set_test_clock import SetTestClock
from smp.application.execution import Handler
from smp.application.queries.get_test_clock import GetTestClock
from smp.domain.errors import ValidationError


@get(
    "/v1/test-clock",
    operation_id="getTestClock",
    tags=["test clock"],
    summary="What time is it here?",
    opt={"who": Who.ADMIN},
)
async def get_test_clock(
    request: Request[Any, Any, Any], handler: FromDishka[Handler[GetTestClock, datetime]]
) -> ClockOut:
    """The platform's clock: the real one until it is set for the first time."""
    return ClockOut(await handler(GetTestClock(), caller_of(request)))


@put(
    "/v1/test-clock",
    operation_id="setTestClock",
    tags=["test clock"],
    summary="Move the clock forward",
    opt={"who": Who.ADMIN, "problems": ("test-clock-moves-forward-only",)},
)
async def set_test_clock(
    request: Request[Any, Any, Any], data: JSONBody[ClockIn], handler: FromDishka[Handler[SetTestClock, datetime]]
) -> ClockOut:
    """It stands still there until it is moved again; what fell due is processed before the answer."""
    try:
        now = data.now.astimezone(UTC)
    except OverflowError:
        raise ValidationError("/now", "must be an instant from the year 1 to 9999") from None
    return ClockOut(await handler(SetTestClock(now, data.sweep), caller_of(request)))


ROUTES = (get_test_clock, set_test_clock)
