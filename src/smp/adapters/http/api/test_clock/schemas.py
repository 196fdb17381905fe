"""Wire types of the test clock."""

from __future__ import annotations

from datetime import datetime

from smp.adapters.http.parameters import InstantText
from smp.adapters.http.wire import RequestModel, ResponseModel


class ClockIn(RequestModel, frozen=True):
    """Where the clock is to stand; with ``sweep`` what fell due is processed before the answer."""

    now: InstantText
    sweep: bool = True


class ClockOut(ResponseModel, frozen=True):
    """Where the clock stands."""

    now: datetime
