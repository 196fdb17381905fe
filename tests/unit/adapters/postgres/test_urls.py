"""Database URLs with one host or several."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from smp.adapters.postgres.urls import IGNORED, driver_url, libpq_environment, server_urls


@pytest.mark.parametrize("url", ["postgresql://h/d", "postgresql+asyncpg://h/d", "postgres://h/d"])
def test_every_usual_form_of_a_database_url_is_accepted(url: str) -> None:
    assert driver_url(url) == "postgresql://h/d"


@pytest.mark.parametrize("url", ["", "mysql://h/d", "h/d", "postgresql+psycopg://h/d"])
def test_a_url_of_another_database_is_refused_at_once(url: str) -> None:
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
def test_the_hosts_of_a_url_keep_their_order_and_all_other_parts(url: str, servers: Sequence[str]) -> None:
    """A comma in a password separates no hosts."""
    assert server_urls(url) == servers


def test_hosts_have_one_port_each_or_one_for_all() -> None:
    """Two ports for three hosts are refused."""
    with pytest.raises(ValueError, match="one port, or one for each host"):
        server_urls("postgresql:///d?host=a,b,c&port=1,2")


DEFAULT = {"PGPORT": "5432", "PGTARGETSESSIONATTRS": "primary"}


@pytest.mark.parametrize(
    ("url", "environ", "variables"),
    [
        (
            "postgresql://u%40x:p%2Fw@one:6000/d%20b",
            {"PGPASSWORD": "other", "PGOPTIONS": "-c x=y", "PGSERVICE": "s", "PGTARGETSESSIONATTRS": "any"},
            {"PGUSER": "u@x", "PGPASSWORD": "p/w", "PGHOST": "one", "PGPORT": "6000", "PGDATABASE": "d b"},
        ),
        (
            "postgres://one,two:5433,[::1]/d?target_session_attrs=any&passfile=/p",
            {"PGUSER": "ann", "PGPORT": "7000"},
            {"PGHOST": "one,two,::1", "PGPORT": "7000,5433,7000", "PGDATABASE": "d", "PGUSER": "ann"}
            | {"PGTARGETSESSIONATTRS": "any", "PGPASSFILE": "/p"},
        ),
        (
            "postgresql://u@/d?host=/Run/a,/run/b&port=6",
            {},
            {"PGHOST": "/Run/a,/run/b", "PGPORT": "6,6", "PGUSER": "u", "PGDATABASE": "d"},
        ),
        ("postgresql://u@%2FRun%2Fa/d", {}, {"PGHOST": "/Run/a", "PGUSER": "u", "PGDATABASE": "d"}),
        (
            "postgresql:///d?user=u&password=p",
            {"PGHOST": "h"},
            {"PGHOST": "h", "PGUSER": "u", "PGPASSWORD": "p", "PGDATABASE": "d"},
        ),
        (
            "postgresql:///d",
            {},
            {"PGHOST": "/run/postgresql,/var/run/postgresql,/tmp,/private/tmp,localhost", "PGDATABASE": "d"},
        ),
        (
            "postgresql://h/d?sslmode=verify-full&sslrootcert=/ca&ssl_min_protocol_version=TLSv1.3",
            {"PGSSLMODE": "disable", "PGSSLCERT": "/cert"},
            {"PGHOST": "h", "PGDATABASE": "d", "PGSSLMODE": "verify-full", "PGSSLROOTCERT": "/ca"}
            | {"PGSSLMINPROTOCOLVERSION": "TLSv1.3", "PGSSLCERT": "/cert"},
        ),
        (
            "postgresql://h/d?search_path=a,%20b&application_name=x%5Cy",
            {},
            {"PGHOST": "h", "PGDATABASE": "d", "PGOPTIONS": "-c search_path=a,\\ b -c application_name=x\\\\y"},
        ),
        (
            "postgresql://h/d?options=endpoint%3Da-1&sslmode=require&channel_binding=require&jit=off",
            {},
            {"PGHOST": "h", "PGDATABASE": "d", "PGSSLMODE": "require", "PGOPTIONS": "endpoint=a-1 -c jit=off"},
        ),
    ],
)
def test_client_programs_of_postgresql_use_the_same_connection_parameters_as_the_driver(
    url: str, environ: Mapping[str, str], variables: Mapping[str, str]
) -> None:
    """The URL comes first, then the environment, then the driver's defaults."""
    assert libpq_environment(url, environ) == DEFAULT | dict(variables)


@pytest.mark.parametrize("name", ["sslpassword", "service"])
def test_a_parameter_that_other_users_could_see_or_that_is_read_differently_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        libpq_environment(f"postgresql://h/d?{name}=x", {})


@pytest.mark.parametrize(
    ("url", "servers"),
    [
        ("postgresql://h/d?sslmode=require&channel_binding=require", ["postgresql://h/d?sslmode=require"]),
        ("postgresql://h/d?connect_timeout=10", ["postgresql://h/d"]),
        (
            "postgresql://a,b/d?connect_timeout=10&application_name=x&keepalives=1&sslsni=1",
            ["postgresql://a/d?application_name=x", "postgresql://b/d?application_name=x"],
        ),
        (
            "postgresql:///d?host=a,b&gssencmode=disable",
            ["postgresql:///d?host=a&port=5432", "postgresql:///d?host=b&port=5432"],
        ),
        ("postgresql://h/d?pgbouncer=true", ["postgresql://h/d?pgbouncer=true"]),
    ],
)
def test_parameters_that_only_libpq_knows_are_not_sent_to_the_server(url: str, servers: Sequence[str]) -> None:
    """Providers put them into the URLs that they show. A parameter that is unknown to libpq too stays."""
    assert list(server_urls(url)) == servers


def test_the_page_about_installing_names_every_parameter_that_is_ignored() -> None:
    """An operator must not believe that `channel_binding=require` protects the connection."""
    page = Path(__file__).parents[4] / "docs" / "operations" / "install.md"
    section = page.read_text(encoding="utf-8").partition("## Parameters of the database URL\n")[2].partition("\n## ")[0]
    rows = re.findall(r"(?m)^\| (`.*?) \| ", section)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == IGNORED
    for name in IGNORED:
        assert server_urls(f"postgresql://h/d?{name}=require") == ["postgresql://h/d"]
