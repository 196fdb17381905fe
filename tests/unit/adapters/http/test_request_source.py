"""The network address for which a login attempt is counted."""

from __future__ import annotations

from typing import Any

import pytest
from litestar.connection import Request

from smp.adapters.http.authentication import source_of


def request(client: str | None, *forwarded_for: str) -> Request[Any, Any, Any]:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded_for]
    address = None if client is None else (client, 40_000)
    return Request({"type": "http", "headers": headers, "client": address, "method": "POST", "path": "/"})  # type: ignore[arg-type]


PROXY = "10.0.0.9"


@pytest.mark.parametrize(
    ("trusted_proxies", "forwarded_for", "source"),
    [
        # Without a proxy the header is forged: the connection's own address counts.
        (0, (), PROXY),
        (0, ("203.0.113.7",), PROXY),
        (0, ("198.51.100.1, 203.0.113.7",), PROXY),
        # One proxy: it wrote the rightmost address. Everything before that can be forged.
        (1, (), PROXY),
        (1, ("203.0.113.7",), "203.0.113.7"),
        (1, ("198.51.100.1, 203.0.113.7",), "203.0.113.7"),
        (1, ("198.51.100.1", "203.0.113.7"), "203.0.113.7"),
        (1, ("a, b, c, 203.0.113.7",), "203.0.113.7"),
        (1, (" , 203.0.113.7 , ",), "203.0.113.7"),
        (1, ("",), PROXY),
        # Two proxies: the outer one wrote the client's address, the inner one the outer one's.
        (2, (), PROXY),
        (2, ("203.0.113.7, 10.0.0.8",), "203.0.113.7"),
        (2, ("198.51.100.1, 203.0.113.7, 10.0.0.8",), "203.0.113.7"),
        (2, ("198.51.100.1, 203.0.113.7", "10.0.0.8"), "203.0.113.7"),
        (2, ("10.0.0.8",), "10.0.0.8"),
    ],
)
def test_only_addresses_written_by_trusted_proxies_are_used(
    trusted_proxies: int, forwarded_for: tuple[str, ...], source: str
) -> None:
    assert source_of(request(PROXY, *forwarded_for), trusted_proxies) == source


def test_a_client_cannot_choose_its_source_by_sending_the_header() -> None:
    """However many addresses it adds on the left."""
    forged = [f"198.51.100.{n}, 203.0.113.7" for n in range(50)]
    assert {source_of(request(PROXY, header), 1) for header in forged} == {"203.0.113.7"}


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("203.0.113.7", "203.0.113.7"),
        ("unix:", "unix:"),
        ("x" * 100, "x" * 64),
    ],
)
def test_an_ipv6_address_counts_as_its_64_bit_network(address: str, source: str) -> None:
    """One subscriber line has a whole /64."""
    assert source_of(request(address), 0) == source
    assert source_of(request(PROXY, f"198.51.100.1, {address}"), 1) == source


def test_a_connection_without_an_address_has_an_empty_source() -> None:
    assert source_of(request(None), 0) == ""
