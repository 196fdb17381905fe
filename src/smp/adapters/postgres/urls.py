"""URLs of databases with one host or several."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Final
from urllib.parse import SplitResult, parse_qs, unquote, urlencode, urlsplit

_SCHEMES: Final = frozenset({"postgresql", "postgres", "postgresql+asyncpg"})
_NETLOC: Final = re.compile(r"(?<=//)([^/?#]*)")
_HOST_AND_PORT: Final = re.compile(r"(?:\[([^\]]*)\]|([^:]*)):?(\d*)")

# Where the driver looks for a server if neither the URL nor the environment names one; libpq would look elsewhere.
_DEFAULT_HOSTS: Final = "/run/postgresql,/var/run/postgresql,/tmp,/private/tmp,localhost"
_LIBPQ: Final = frozenset(
    {"user", "password", "dbname", "database", "passfile", "target_session_attrs", "krbsrvname", "gsslib"}
    | {"sslmode", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslnegotiation"}
    | {"ssl_min_protocol_version", "ssl_max_protocol_version"}
)
# Parameters of libpq that the driver lacks. It would send them to the server as settings, and the server refuses those.
IGNORED: Final = frozenset(
    {"channel_binding", "client_encoding", "connect_timeout", "fallback_application_name", "load_balance_hosts"}
    | {"gssdelegation", "gssencmode", "require_auth", "requirepeer"}
    | {"keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval", "tcp_user_timeout"}
    | {"sslcertmode", "sslcompression", "sslcrldir", "sslsni"}
)
"""The parameters that are removed from a URL."""
_WITHOUT_VARIABLE: Final = ("sslpassword", "service")


def driver_url(url: str) -> str:
    """Return the URL without SQLAlchemy's name for the driver. Raises ValueError if it is not a database URL."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise ValueError("the database URL must begin with postgresql://")
    return f"postgresql://{rest}"


def server_urls(url: str) -> Sequence[str]:
    """Return one URL for each host that the URL names, in their order, for the driver.

    Hosts are named as in libpq: ``postgresql://user@one:5432,two:5432/name``, or in the query,
    ``postgresql://user@/name?host=one,two&port=5432,5432``, where one port may apply to all.

    Raises:
        ValueError: if it is not a database URL.
    """
    netloc, rest = _NETLOC.split(_without_ignored(driver_url(url)), maxsplit=1)[1:]
    account, at, hosts = netloc.rpartition("@")
    # Each is parsed separately: the parser of newer Pythons accepts brackets only directly after the account.
    urls = [f"postgresql://{account}{at}{host}{rest}" for host in hosts.split(",")]
    parts = [urlsplit(each) for each in urls]
    query = parse_qs(parts[0].query)
    if len(urls) == 1 and "," in (named := query.get("host", [""])[-1]):
        return _by_query(parts[0], query, named.split(","))
    return urls


def _without_ignored(url: str) -> str:
    before, mark, query = url.partition("?")
    kept = [each for each in query.split("&") if each.partition("=")[0] not in IGNORED]
    return f"{before}{mark}{'&'.join(kept)}" if any(kept) else before


def _by_query(parts: SplitResult, query: dict[str, list[str]], hosts: Sequence[str]) -> Sequence[str]:
    ports = query.get("port", ["5432"])[-1].split(",")
    if len(ports) not in {1, len(hosts)}:
        raise ValueError("the database URL must have one port, or one for each host")
    return [
        # urlunsplit would leave out the slashes before an empty host.
        f"postgresql://{parts.netloc}{parts.path}?{urlencode(query | {'host': [host], 'port': [port]}, doseq=True)}"
        for host, port in zip_longest(hosts, ports, fillvalue=ports[0])
    ]


def libpq_environment(url: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with which PostgreSQL's programs connect as the driver does with ``url`` in ``environ``.

    Parameters that are settings of the server for the driver become ``PGOPTIONS``.

    Raises:
        ValueError: if the URL has a parameter that cannot be passed on without showing it to other users.
    """
    servers = [urlsplit(each) for each in server_urls(url)]
    query = _parameters(servers[0])
    for name in _WITHOUT_VARIABLE:
        if name in query:
            raise ValueError(f"PostgreSQL's programs cannot be given the parameter {name} of the database URL")
    variables = {_variable(name): environ[_variable(name)] for name in _LIBPQ if _variable(name) in environ}
    addresses = [_host_and_port(server, environ) for server in servers]
    hosts, ports = (",".join(of_each) for of_each in zip(*addresses, strict=True))
    variables |= {"PGTARGETSESSIONATTRS": "primary", "PGHOST": hosts, "PGPORT": ports}
    user, _, password = servers[0].netloc.rpartition("@")[0].partition(":")
    in_front = {"user": user, "password": password, "dbname": servers[0].path.removeprefix("/")}
    given = query | {name: unquote(text) for name, text in in_front.items() if text}
    variables |= {_variable(name): value for name, value in given.items() if name in _LIBPQ}
    settings = {name: value for name, value in query.items() if name not in {*_LIBPQ, "host", "port", "options"}}
    options = [query["options"]] if "options" in query else []
    options += [f"-c {name}={_escaped(value)}" for name, value in settings.items()]
    if options:
        variables["PGOPTIONS"] = " ".join(options)
    return variables


def _parameters(parts: SplitResult) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(parts.query).items()}


def _variable(name: str) -> str:
    return "PGDATABASE" if name == "dbname" else f"PG{name.upper().replace('_', '')}"


def _host_and_port(server: SplitResult, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the host and the port of the one server; several hosts with one port if nothing names it."""
    # Not the host of the parts, which is in lower case and may be the path of a socket.
    named = _HOST_AND_PORT.fullmatch(server.netloc.rpartition("@")[2])
    bracketed, plain, port = named.groups() if named else (None, None, None)
    query = _parameters(server)
    host = unquote(bracketed or plain or "") or query.get("host") or environ.get("PGHOST") or _DEFAULT_HOSTS
    return host, port or query.get("port") or environ.get("PGPORT", "5432")


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
