"""Connecting to one of the hosts that a database URL names."""

from __future__ import annotations

from typing import Any

import asyncpg
from asyncpg.connect_utils import SessionAttribute as Role

from smp.adapters.postgres.urls import server_urls


class HostSelector:
    """A selector of the host that has a role, such as the primary; the role may move to another host at any time.

    A host that does not answer may take all the time that a caller has. So a caller begins with the host that answered
    last, or after a host that hung, with the next one.
    """

    def __init__(self, url: str, role: Role) -> None:
        """``role`` applies if the URL has no ``target_session_attrs``. Raises ValueError."""
        self._urls = server_urls(url)
        self._role = None if "target_session_attrs=" in url else role
        self._first = 0

    async def connect(self, timeout_s: float, **options: Any) -> asyncpg.Connection[Any]:  # noqa: ANN401 - the driver's
        """Connect to the first host that has the role; each host has ``timeout_s`` to answer.

        Raises:
            asyncpg.PostgresError, asyncpg.InternalClientError, asyncpg.InterfaceError, OSError: the last host's error.
        """
        indexes = [(self._first + index) % len(self._urls) for index in range(len(self._urls))]
        for index in indexes:
            # Set before the attempt: if the host hangs, this call is cancelled and never returns.
            self._first = (index + 1) % len(self._urls)
            try:
                connection = await self._open(index, timeout_s, options)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
                if index == indexes[-1]:
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
