"""The limit of requests that are worked on at once."""

from __future__ import annotations

from smp.adapters.http.middleware.context import RequestContext
from smp.adapters.http.problems.rejection import RequestRejected

RETRY_AFTER_S = 1


class ConcurrencyLimit:
    """The places for the requests of an area; a request without a place is refused, because waiting has a bound too.

    A request has its place from when its body has arrived until its response begins, so slow clients hold no places.
    """

    def __init__(self, at_once_max: int) -> None:
        self._free = at_once_max

    def enter(self, context: RequestContext) -> None:
        """Give the request a place.

        Raises:
            RequestRejected: ``busy``, if none is free.
        """
        if self._free == 0:
            headers = {"retry-after": str(RETRY_AFTER_S)}
            raise RequestRejected("busy", "too many requests are in progress; try again in a second", headers=headers)
        self._free -= 1
        context.has_place = True

    def leave(self, context: RequestContext) -> None:
        """Take the place of the request back, if it has one."""
        if context.has_place:
            context.has_place = False
            self._free += 1
