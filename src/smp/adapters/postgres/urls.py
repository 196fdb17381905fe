"""URLs of databases: of one server, or of several of which one is the primary."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import zip_longest
from typing import Final
from urllib.parse import SplitResult, parse_qs, urlencode, urlsplit

_SCHEMES: Final = frozenset({"postgresql", "postgres", "postgresql+asyncpg"})
_NETLOC: Final = re.compile(r"(?<=//)([^/?#]*)")


def driver_url(url: str) -> str:
    """The URL as the driver reads it: without SQLAlchemy's name for the driver. Raises ValueError where it is none."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise ValueError("the database URL must begin with postgresql://")
    return f"postgresql://{rest}"


def server_urls(url: str) -> Sequence[str]:
    """The URL once for each server that it names, in its order.

    Servers are named as libpq has it: ``postgresql://user@one:5432,two:5432/name``, or in the query,
    ``postgresql://user@/name?host=one,two&port=5432,5432``, where one port may stand for all.

    Raises:
        ValueError: where it is no URL.
    """
    netloc, rest = _NETLOC.split(driver_url(url), maxsplit=1)[1:]
    account, at, hosts = netloc.rpartition("@")
    # Each server's is parsed by itself: the parser of newer Pythons takes brackets only right behind the account.
    urls = [f"postgresql://{account}{at}{host}{rest}" for host in hosts.split(",")]
    parts = [urlsplit(each) for each in urls]
    query = parse_qs(parts[0].query)
    if len(urls) == 1 and "," in (named := query.get("host", [""])[-1]):
        return _by_query(parts[0], query, named.split(","))
    return urls


def _by_query(parts: SplitResult, query: dict[str, list[str]], hosts: Sequence[str]) -> Sequence[str]:
    ports = query.get("port", ["5432"])[-1].split(",")
    if len(ports) not in {1, len(hosts)}:
        raise ValueError("the database URL has another number of ports than of hosts")
    return [
        # Not urlunsplit, which leaves out the slashes before an empty host.
        f"postgresql://{parts.netloc}{parts.path}?{urlencode(query | {'host': [host], 'port': [port]}, doseq=True)}"
        for host, port in zip_longest(hosts, ports, fillvalue=ports[0])
    ]
