"""Wire types of the test clock."""

from __future__ import annotations

from smp.adapters.http.parameters import InstantText
from smp.adapters.http.wire import Instant, RequestModel, ResponseModel


class ClockIn(RequestModel, frozen=True):
    """The new instant of the clock. With `sweep`, what is due by then is processed before the response."""

    now: InstantText
    sweep: bool = True


class ClockOut(ResponseModel, frozen=True):
    """The instant that the platform takes as now."""

    now: Instant
