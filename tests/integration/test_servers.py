"""One URL for several servers: the one that answers, and is the primary, is found."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from smp.adapters.postgres.pool import PoolSettings, PostgresPool, create_pool
from smp.adapters.postgres.statements import sql
from smp.application.errors import StorageUnavailable
from tests.support.postgres import execute
from tests.support.proxies import Proxy

ASK = sql("SELECT 1")


def url_of(*proxies: Proxy) -> str:
    """One URL for all of them."""
    parts = [urlsplit(proxy.url) for proxy in proxies]
    hosts = ",".join(part.netloc.rpartition("@")[2] for part in parts)
    return f"postgresql://{parts[0].username}@{hosts}{parts[0].path}"


async def answers(pool: PostgresPool) -> bool:
    """Whether a statement is answered."""
    try:
        return await pool.row(ASK) is not None
    except StorageUnavailable:
        return False


async def test_a_server_that_falls_silent_costs_one_wait(database_url: str) -> None:
    """Who asks next begins with the next server, and goes on with it; it comes back to the first in its turn."""
    first, second = Proxy(database_url), Proxy(database_url)
    await first.come_up()
    await second.come_up()
    pool = await create_pool(url_of(first, second), PoolSettings(acquire_timeout_s=0.3, command_timeout_s=0.3))
    try:
        assert await answers(pool)
        first.fall_silent()
        assert [await answers(pool) for _ in range(4)] == [False, False, True, True]
        await second.go_down()
        first.speak_again()
        assert await answers(pool) or await answers(pool)
    finally:
        await pool.close()
        await first.go_down()
        await second.go_down()


async def test_a_server_that_is_not_there_costs_nothing(database_url: str) -> None:
    """Refused at once, so that the next is asked at once."""
    there = Proxy(database_url)
    await there.come_up()
    parts = urlsplit(there.url)
    pool = await create_pool(f"postgresql://{parts.username}@127.0.0.1:1,127.0.0.1:{parts.port}{parts.path}")
    try:
        assert await answers(pool)
    finally:
        await pool.close()
        await there.go_down()


@pytest.mark.parametrize(("wanted", "expected"), [("", True), ("primary", True), ("read-write", False)])
async def test_what_a_primary_is_can_be_said_in_the_url(database_url: str, wanted: str, expected: bool) -> None:  # noqa: FBT001
    """A primary that is read only, for its disk is full, still answers reads, unless one that can write is wanted."""
    database = urlsplit(database_url).path.strip("/")
    await execute(database_url, f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    url = (
        f"{database_url}{'&' if '?' in database_url else '?'}target_session_attrs={wanted}" if wanted else database_url
    )
    pool = await create_pool(url)
    try:
        assert await answers(pool) is expected
    finally:
        await pool.close()
