"""The metadata of all tables, and their kinds of columns."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, MetaData, Text
from sqlalchemy.dialects.postgresql import TIMESTAMP, UUID
from sqlalchemy.types import UserDefinedType

METADATA: Final = MetaData()


class Xid8(UserDefinedType[int]):
    """The type of a transaction's id, which is unique in a cluster."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """Return the name of the type in SQL."""
        return "xid8"


def instant_column(name: str, *, nullable: bool = False) -> Column[object]:
    """Return a column for an instant."""
    return Column(name, TIMESTAMP(timezone=True), nullable=nullable)


def id_column(name: str, *, nullable: bool = False) -> Column[object]:
    """Return a column for a UUID."""
    return Column(name, UUID(as_uuid=True), nullable=nullable)


def text_column(name: str, *, nullable: bool = False) -> Column[object]:
    """Return a column for text in the order of the database."""
    return Column(name, Text(), nullable=nullable)


def key_column(name: str, *, nullable: bool = False, server_default: str | None = None) -> Column[object]:
    """Return a text column that is sorted by code points, which is the same on every server."""
    return Column(name, Text(collation="C"), nullable=nullable, server_default=server_default)


def number_column(name: str, *, nullable: bool = False) -> Column[object]:
    """Return a column for a whole number of 64 bits."""
    return Column(name, BigInteger(), autoincrement=False, nullable=nullable)
