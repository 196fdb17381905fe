"""Connecting to one of the hosts that a database URL names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import asyncpg
import structlog
from asyncpg.connect_utils import SessionAttribute as Role

from smp.adapters.postgres.urls import server_urls

UrlSource = Callable[[], str]
"""Returns the present URL of a database. Raises ValueError if there is none."""

_log = structlog.stdlib.get_logger("smp.database")


class HostSelector:
    """A selector of the host that has a role, such as the primary; the role may move to another host at any time.

    A host that does not answer may take all the time that a caller has. So a caller begins with the host that answered
    last, or after a host that hung, with the next one.
    """

    def __init__(self, url: str, role: Role, read_url: UrlSource | None = None) -> None:
        """``role`` applies if the URL has no ``target_session_attrs``. Raises ValueError.

        ``read_url`` returns the present URL. It is called when a server refuses the user or the password, because the
        password may have been replaced since the start.
        """
        self._url = url
        self._urls = server_urls(url)
        self._default_role = role
        self._read_url = read_url
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
            except asyncpg.InvalidAuthorizationSpecificationError:
                if self._is_url_new():
                    return await self.connect(timeout_s, **options)
                if index == indexes[-1]:
                    raise
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
                if index == indexes[-1]:
                    raise
            else:
                self._first = index
                return connection
        raise AssertionError("unreachable: a URL names a server")

    async def _open(self, index: int, timeout_s: float, options: dict[str, Any]) -> asyncpg.Connection[Any]:
        role = None if "target_session_attrs=" in self._url else self._default_role
        connection: asyncpg.Connection[Any] = await asyncpg.connect(
            self._urls[index], timeout=timeout_s, target_session_attrs=role, **options
        )
        return connection

    def _is_url_new(self) -> bool:
        """Read the URL again, and return whether it has changed; a URL that cannot be read or used is ignored."""
        if self._read_url is None:
            return False
        try:
            url = self._read_url()
            urls = server_urls(url)
        except ValueError as error:
            _log.warning("the database URL cannot be read again", detail=str(error))
            return False
        if url == self._url:
            return False
        self._url, self._urls, self._first = url, urls, 0
        _log.info("the database URL was read again")
        return True
