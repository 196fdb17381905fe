"""The servers that a URL names, and a connection to the one that is wanted."""

from __future__ import annotations

from typing import Any

import asyncpg
from asyncpg.connect_utils import SessionAttribute as Role

from smp.adapters.postgres.urls import server_urls


class HostSelector:
    """One server, or several of which one is the primary; who that is may change, and then the others are asked.

    A server that does not answer at all may take all the time that a caller has; so the next caller begins with the
    next server, and everybody with the one that answered last.
    """

    def __init__(self, url: str, role: Role) -> None:
        """``role`` is wanted of a server where the URL says nothing of ``target_session_attrs``. Raises ValueError."""
        self._urls = server_urls(url)
        self._role = None if "target_session_attrs=" in url else role
        self._first = 0

    async def connect(self, timeout_s: float, **options: Any) -> asyncpg.Connection[Any]:  # noqa: ANN401 - the driver's
        """A connection to the first server that has the role; each has so many seconds.

        Raises:
            asyncpg.PostgresError, asyncpg.InternalClientError, asyncpg.InterfaceError, OSError: as the last server did.
        """
        asked = [(self._first + index) % len(self._urls) for index in range(len(self._urls))]
        for index in asked:
            # Written down first: where it hangs, this call is cancelled and comes back no more.
            self._first = (index + 1) % len(self._urls)
            try:
                connection = await self._open(index, timeout_s, options)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
                if index == asked[-1]:
                    raise
            else:
                self._first = index
                return connection
        raise AssertionError("unreachable: a URL names a server")

    async def _open(self, index: int, timeout_s: float, options: dict[str, Any]) -> asyncpg.Connection[Any]:
        connection: asyncpg.Connection[Any] = await asyncpg.connect(
            self._urls[index], timeout=timeout_s, target_session_attrs=self._role, **options
        )
        return connection
