"""A database URL with several hosts: the primary that answers is used."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from smp.adapters.postgres.pool import PostgresPool, create_pool
from smp.adapters.postgres.pool_settings import PoolSettings
from smp.adapters.postgres.statements import sql
from smp.application.errors import StorageUnavailable
from tests.support.postgres import execute
from tests.support.proxies import Proxy

ASK = sql("SELECT 1")


def url_of(*proxies: Proxy) -> str:
    """Return one URL for all servers."""
    parts = [urlsplit(proxy.url) for proxy in proxies]
    hosts = ",".join(part.netloc.rpartition("@")[2] for part in parts)
    return f"postgresql://{parts[0].username}@{hosts}{parts[0].path}"


async def answers(pool: PostgresPool) -> bool:
    """Return whether a statement succeeds."""
    try:
        return await pool.row(ASK) is not None
    except StorageUnavailable:
        return False


async def test_a_host_that_stops_answering_delays_one_call_only(database_url: str) -> None:
    """The next call begins with the next host and stays with it; the first host is tried again in turn."""
    first, second = Proxy(database_url), Proxy(database_url)
    await first.listen()
    await second.listen()
    pool = await create_pool(
        url_of(first, second), PoolSettings(acquire_timeout_s=0.3, lock_timeout_s=0.2, command_timeout_s=0.3)
    )
    try:
        assert await answers(pool)
        first.stop_passing()
        assert [await answers(pool) for _ in range(4)] == [False, False, True, True]
        await second.close()
        first.resume_passing()
        assert await answers(pool) or await answers(pool)
    finally:
        await pool.close()
        await first.close()
        await second.close()


async def test_a_refused_user_or_password_is_read_again(database_url: str, tmp_path: Path) -> None:
    """The file is replaced while the process runs. A file that cannot be used changes nothing."""
    file = tmp_path / "url"
    parts = urlsplit(database_url)
    refused = database_url.replace(f"//{parts.username}", "//nobody_has_this_name")
    read: list[str] = []

    def read_url() -> str:
        read.append(file.read_text())
        return read[-1]

    pool = await create_pool(refused, PoolSettings(acquire_timeout_s=30.0), read_url=read_url)
    try:
        for text in (refused, "not a URL", ""):
            file.write_text(text)
            assert not await answers(pool)
        file.write_text(database_url)
        assert await answers(pool)
        assert read == [refused, "not a URL", "", database_url]
    finally:
        await pool.close()


async def test_a_host_that_refuses_connections_delays_no_call(database_url: str) -> None:
    there = Proxy(database_url)
    await there.listen()
    parts = urlsplit(there.url)
    pool = await create_pool(f"postgresql://{parts.username}@127.0.0.1:1,127.0.0.1:{parts.port}{parts.path}")
    try:
        assert await answers(pool)
    finally:
        await pool.close()
        await there.close()


@pytest.mark.parametrize(("wanted", "expected"), [("", True), ("primary", True), ("read-write", False)])
async def test_the_url_can_require_a_primary_that_accepts_writes(
    database_url: str,
    wanted: str,
    expected: bool,  # noqa: FBT001
) -> None:
    """Otherwise a primary that is read-only, for example because its disk is full, still answers reads."""
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
