"""The test clock; these routes exist only if the test clock is switched on."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from dishka.integrations.litestar import FromDishka
from litestar.connection import Request

from smp.adapters.http.api.test_clock.schemas import ClockIn, ClockOut
from smp.adapters.http.authentication import caller_of
from smp.adapters.http.operation import Operation
from smp.adapters.http.parameters import INSTANT, parse_instant
from smp.adapters.http.request_body import body_of
from smp.adapters.http.routing import Controller, get, put
from smp.application.commands.set_test_clock import SetTestClock
from smp.application.execution import Handler
from smp.application.queries.get_test_clock import GetTestClock
from smp.domain.errors import ValidationError


class TestClockController(Controller):
    """The controller of the test clock."""

    path = "/v1/test-clock"

    @get(
        "",
        Operation(
            id="getTestClock",
            response=ClockOut,
            tag="test clock",
            summary="Get the clock of the test platform",
            use_case=GetTestClock,
        ),
    )
    async def get_test_clock(
        self, request: Request[Any, Any, Any], handler: FromDishka[Handler[GetTestClock, datetime]]
    ) -> ClockOut:
        """Return the instant that the platform takes as now: the real one until the clock is set for the first time."""
        return ClockOut(await handler(GetTestClock(), caller_of(request)))

    @put(
        "",
        Operation(
            id="setTestClock",
            response=ClockOut,
            tag="test clock",
            summary="Move the clock of the test platform forward",
            use_case=SetTestClock,
            request=ClockIn,
            problems=("test-clock-moves-forward-only",),
        ),
    )
    async def set_test_clock(
        self, request: Request[Any, Any, Any], handler: FromDishka[Handler[SetTestClock, datetime]]
    ) -> ClockOut:
        """Set the clock, which stands still until it is set again. With `sweep`, what is due is processed first."""
        body = body_of(request, ClockIn)
        try:
            now = parse_instant(body.now)
        except ValueError:
            raise ValidationError("/now", f"must be {INSTANT}") from None
        return ClockOut(await handler(SetTestClock(now, body.sweep), caller_of(request)))


CONTROLLERS = (TestClockController,)
