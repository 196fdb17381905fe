"""URLs of databases of one server and of several."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from smp.adapters.postgres.urls import driver_url, server_urls


@pytest.mark.parametrize("url", ["postgresql://h/d", "postgresql+asyncpg://h/d", "postgres://h/d"])
def test_urls_of_postgresql(url: str) -> None:
    """Each of the usual spellings."""
    assert driver_url(url) == "postgresql://h/d"


@pytest.mark.parametrize("url", ["", "mysql://h/d", "h/d", "postgresql+psycopg://h/d"])
def test_urls_of_anything_else(url: str) -> None:
    """Are refused at once, not at the first connection."""
    with pytest.raises(ValueError, match="postgresql://"):
        driver_url(url)


@pytest.mark.parametrize(
    ("url", "servers"),
    [
        ("postgresql://u:p@one/d?ssl=require", ["postgresql://u:p@one/d?ssl=require"]),
        ("postgresql://u:a%2Cb@one/d", ["postgresql://u:a%2Cb@one/d"]),
        (
            "postgres://u:p%40,q@one:5432,two:5433,[::1]:5434/d?ssl=require",
            [f"postgresql://u:p%40,q@{host}/d?ssl=require" for host in ("one:5432", "two:5433", "[::1]:5434")],
        ),
        ("postgresql://one,two/d", ["postgresql://one/d", "postgresql://two/d"]),
        (
            "postgresql://u@/d?host=/run/a,/run/b&port=5432,5433",
            ["postgresql://u@/d?host=%2Frun%2Fa&port=5432", "postgresql://u@/d?host=%2Frun%2Fb&port=5433"],
        ),
        ("postgresql:///d?host=a,b&port=6", ["postgresql:///d?host=a&port=6", "postgresql:///d?host=b&port=6"]),
        ("postgresql:///d?host=a,b", ["postgresql:///d?host=a&port=5432", "postgresql:///d?host=b&port=5432"]),
    ],
)
def test_a_url_names_its_servers_in_their_order(url: str, servers: Sequence[str]) -> None:
    """With everything else that it says; a comma in a password names none."""
    assert server_urls(url) == servers


def test_every_server_has_a_port_or_all_have_one() -> None:
    """Two ports for three servers are a slip."""
    with pytest.raises(ValueError, match="number of ports"):
        server_urls("postgresql:///d?host=a,b,c&port=1,2")
