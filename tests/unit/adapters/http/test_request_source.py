"""The network address for which a login attempt is counted."""

from __future__ import annotations

from typing import Any

import pytest
from litestar.connection import Request
from structlog.testing import capture_logs

from smp.adapters.http.client_source import ClientSources


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
    assert ClientSources(trusted_proxies).of(request(PROXY, *forwarded_for)) == source


def test_a_client_cannot_choose_its_source_by_sending_the_header() -> None:
    """However many addresses it adds on the left."""
    forged = [f"198.51.100.{n}, 203.0.113.7" for n in range(50)]
    assert {ClientSources(1).of(request(PROXY, header)) for header in forged} == {"203.0.113.7"}


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("203.0.113.7", "203.0.113.7"),
        ("unix:", "unix:"),
        ("x" * 100, "x" * 64),
    ],
)
def test_an_ipv6_address_counts_as_its_64_bit_network(address: str, source: str) -> None:
    """One subscriber line has a whole /64."""
    assert ClientSources(0).of(request(address)) == source


def test_a_connection_without_an_address_has_an_empty_source() -> None:
    assert ClientSources(0).of(request(None)) == ""


@pytest.mark.parametrize(
    ("written", "source"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7:51234", "203.0.113.7"),
        ("203.0.113.7:", "203.0.113.7"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]:443", "2001:db8:1:2::/64"),
        ('"[2001:db8:1:2::9]:443"', "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("[fe80::1%25eth0]:443", "fe80::/64"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("[::ffff:203.0.113.7]:51234", "203.0.113.7"),
        # What is no address counts as the proxy's own connection.
        ("unknown", PROXY),
        ("_hidden", PROXY),
        ("client.example:443", PROXY),
        ("203.0.113.7.8", PROXY),
        ("203.0.113.256", PROXY),
        ("203.0.113.7:http", PROXY),
        ("[203.0.113.7", PROXY),
        ("2001:db8::1::2", PROXY),
        ("unix:", PROXY),
        ("x" * 15_000, PROXY),
        ("1" * 15_000 + ":", PROXY),
        ("[" + ":" * 15_000, PROXY),
    ],
)
def test_ports_brackets_and_zones_of_a_forwarded_address_are_ignored(written: str, source: str) -> None:
    assert ClientSources(1).of(request(PROXY, f"198.51.100.1, {written}")) == source


def test_two_connections_of_one_client_are_one_source() -> None:
    ports = {ClientSources(1).of(request(PROXY, f"203.0.113.7:{port}")) for port in range(50_000, 50_100)}
    assert ports == {"203.0.113.7"}


def test_a_header_that_is_ignored_is_reported_once() -> None:
    with capture_logs() as lines:
        sources = ClientSources(0)
        sources.of(request(PROXY))
        assert lines == []
        for _ in range(3):
            sources.of(request(PROXY, "203.0.113.7"))
        ClientSources(1).of(request(PROXY, "203.0.113.7"))
    assert [(line["log_level"], "SMP_TRUSTED_PROXIES" in line["event"]) for line in lines] == [("warning", True)]
