"""The kinds of rows that a transfer moves, each with the statements that read, write and compare it.

They are made of the tables as the other statements know them, so that a new column is moved as soon as it is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from msgspec import Meta
from sqlalchemy import BigInteger, Boolean, LargeBinary, Table, Text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.dialects.postgresql import UUID as UUID_TYPE
from sqlalchemy.types import TypeEngine

from smp.adapters.postgres import tables
from smp.adapters.postgres.mapping import user_of
from smp.adapters.postgres.statements import Statement, sql
from smp.domain.features import features
from smp.domain.period import Period

STATEMENT_TIMEOUT_S: Final = 120.0
"""For one batch to be read or written."""
COUNT_TIMEOUT_S: Final = 600.0

# What follows from other rows is not moved but made anew: claims of emails with their users, spans with their
# subscriptions, counts by the triggers.
DERIVED: Final = frozenset({"user_emails", "subscription_spans", "subscription_counts", "user_counts"})

_SQL_TYPES: Final[Sequence[tuple[type[TypeEngine[Any]], str, Any]]] = (
    (UUID_TYPE, "uuid", UUID),
    (TIMESTAMP, "timestamptz", Annotated[datetime, Meta(tz=True)]),
    (BigInteger, "bigint", Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]),
    (Boolean, "boolean", bool),
    (LargeBinary, "bytea", bytes),
    (JSONB, "jsonb", dict[str, Any]),
    (Text, "text", str),
)

Row = Sequence[Any]
"""The values of a row in the order of its kind's columns."""


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    sql_type: str
    type: Any


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of rows; ``relation`` is where they are read from, and ``writes`` what puts ``given`` there, as SQL."""

    name: str
    columns: tuple[_Column, ...]
    key: tuple[str, ...]
    relation: str
    writes: str
    check: Callable[[Mapping[str, Any]], object]
    """Raises InvalidValue or ValueError where the program could not read the row."""

    @property
    def _names(self) -> str:
        return ", ".join(column.name for column in self.columns)

    @property
    def _given(self) -> str:
        arrays = ", ".join(f"CAST(:{column.name} AS {column.sql_type}[])" for column in self.columns)
        return f"given AS (SELECT * FROM unnest(CAST(:line AS bigint[]), {arrays}) AS g (line, {self._names}))"  # noqa: S608 - made of our own names

    @property
    def _present(self) -> str:
        """Those of ``given`` whose key was there before the statement."""
        ours, theirs = (", ".join(f"{of}.{column.name}" for column in self.columns) for of in "gk")
        return f"""
            present AS (
                SELECT g.line, ROW({ours}) IS DISTINCT FROM ROW({theirs}) AS differs
                FROM given AS g JOIN ({self.relation}) AS k ON {" AND ".join(f"g.{key} = k.{key}" for key in self.key)}
            )
        """  # noqa: S608 - made of our own names

    def count(self) -> Statement:
        """How many there are."""
        return sql(f"SELECT count(*) FROM ({self.relation}) AS k", COUNT_TIMEOUT_S)  # noqa: S608 - …

    def is_there(self) -> Statement:
        """Whether there is any."""
        return sql(f"SELECT EXISTS (SELECT FROM ({self.relation}) AS k)")  # noqa: S608 - …

    def first_page(self) -> Statement:
        """The first rows in the order of their key, ``limit`` of them."""
        return self._page("")

    def next_page(self) -> Statement:
        """The rows after the one whose key is given as ``after_…``."""
        types = {column.name: column.sql_type for column in self.columns}
        bounds = ", ".join(f"CAST(:after_{key} AS {types[key]})" for key in self.key)
        return self._page(f"WHERE ({', '.join(self.key)}) > ({bounds})")

    def _page(self, after: str) -> Statement:
        return sql(
            f"SELECT {self._names} FROM ({self.relation}) AS k {after}"  # noqa: S608 - …
            f" ORDER BY {', '.join(self.key)} LIMIT :limit",
            STATEMENT_TIMEOUT_S,
        )

    def write(self) -> Statement:
        """Put the rows there that are not there yet: how many ``written``, how many ``present``, first ``differing``.

        All parts of a statement see the database as it was before it, so no row is compared with itself.
        """
        return sql(
            f"""
            WITH {self._given}, {self._present}, {self.writes}
            SELECT (SELECT count(*) FROM written) AS written, (SELECT count(*) FROM present) AS present,
                   (SELECT min(line) FROM present WHERE differs) AS differing
            """,  # noqa: S608 - …
            STATEMENT_TIMEOUT_S,
        )

    def compare(self) -> Statement:
        """The first line whose row is not there just as it is given, if any."""
        return sql(
            f"""
            WITH {self._given}, {self._present}
            SELECT min(line) AS differing FROM given
            WHERE line NOT IN (SELECT line FROM present WHERE NOT differs)
            """,  # noqa: S608 - …
            STATEMENT_TIMEOUT_S,
        )


def _nothing(_: Mapping[str, Any]) -> object:
    """PostgreSQL's constraints say all there is to say."""
    return None


def _check_terms(row: Mapping[str, Any]) -> object:
    return [features(row["features"]), *(Period.parse(row[key]) for key in ("period", "trial_period") if row[key])]


def _columns(table: Table) -> tuple[_Column, ...]:
    found = []
    for column in table.columns:
        sql_type, type_ = next((name, type_) for kind, name, type_ in _SQL_TYPES if isinstance(column.type, kind))
        if column.name == "features":
            type_ = dict[str, bool | int | str]
        # Names are of a class of SQLAlchemy's, which msgspec does not take.
        found.append(_Column(str(column.name), sql_type, type_ | None if column.nullable else type_))
    return tuple(found)


def _insert(table: Table, given: str = "given", returning: str = "1") -> str:
    names = ", ".join(column.name for column in table.columns)
    keys = ", ".join(column.name for column in table.primary_key.columns)
    return (
        f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {given} ORDER BY line"  # noqa: S608 - …
        f" ON CONFLICT ({keys}) DO NOTHING RETURNING {returning}"
    )


def _plain(table: Table, check: Callable[[Mapping[str, Any]], object] = _nothing) -> Kind:
    columns = _columns(table)
    key = tuple(str(column.name) for column in table.primary_key.columns)
    names = ", ".join(column.name for column in columns)
    return Kind(
        str(table.name),
        columns,
        key,
        f"SELECT {names} FROM {table.name}",  # noqa: S608 - …
        f"written AS ({_insert(table)})",
        check,
    )


def _users() -> Kind:
    """A user with the claim of the email."""
    return replace(
        _plain(tables.users, user_of),
        writes=f"""
        written AS ({_insert(tables.users, returning="id, email_key")}), claimed AS (
            INSERT INTO user_emails (email_key, user_id) SELECT email_key, id FROM written
        )
        """,  # noqa: S608 - …
    )


def _plans() -> Kind:
    """A plan with its newest terms: each refers to the other, so that one statement must write both."""
    table, terms = tables.plans, tables.plan_revisions
    revised = [
        column for column in _columns(terms) if column.name in {"currency", "period", "trial_period", "features"}
    ]
    revised_at = _Column("revised_at", "timestamptz", Annotated[datetime, Meta(tz=True)])
    names = ", ".join(column.name for column in revised)
    ours = ", ".join(f"p.{column.name}" for column in table.columns)
    theirs, given = (", ".join(f"{of}.{column.name}" for column in revised) for of in "rg")
    return Kind(
        str(table.name),
        (*_columns(table), *revised, revised_at),
        ("id",),
        f"SELECT {ours}, {theirs}, r.created_at AS revised_at"  # noqa: S608 - …
        " FROM plans AS p JOIN plan_revisions AS r ON r.plan_id = p.id AND r.number = p.revision",
        f"""
        written AS ({_insert(table, returning="id")}), terms AS (
            INSERT INTO plan_revisions (plan_id, number, amount, {names}, created_at)
            SELECT g.id, g.revision, g.amount, {given}, g.revised_at
            FROM given AS g JOIN written ON written.id = g.id
        )
        """,  # noqa: S608 - …
        _check_terms,
    )


def _past_revisions() -> Kind:
    """The terms that a plan had before its newest ones."""
    table = tables.plan_revisions
    columns = _columns(table)
    return Kind(
        str(table.name),
        columns,
        ("plan_id", "number"),
        f"SELECT {', '.join(f'r.{column.name}' for column in columns)} FROM plan_revisions AS r"  # noqa: S608 - …
        " JOIN plans AS p ON p.id = r.plan_id AND p.revision <> r.number",
        f"written AS ({_insert(table)})",
        _check_terms,
    )


def _subscriptions() -> Kind:
    """A subscription with the span that it covers."""
    written = _insert(tables.subscriptions, returning="user_id, id, starts_at, ends_at, ended_at")
    return replace(
        _plain(tables.subscriptions),
        writes=f"""
        written AS ({written}), covered AS (
            INSERT INTO subscription_spans (user_id, subscription_id, span)
            SELECT user_id, id, tstzrange(starts_at, coalesce(ended_at, ends_at)) FROM written
        )
        """,  # noqa: S608 - …
    )


KINDS: Final[Sequence[Kind]] = (
    _users(),
    _plain(tables.api_keys),
    _plans(),
    _past_revisions(),
    _plain(tables.plan_events),
    _subscriptions(),
    _plain(tables.trials),
    _plain(tables.events),
    _plain(tables.sessions),
    _plain(tables.idempotency_keys),
    _plain(tables.login_throttle),
    _plain(tables.test_clock),
)
"""In the order of the file: what is referred to comes before what refers to it."""
