"""Rows as lines: for every value that the domain can make, what is read is what was written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smp.adapters.postgres.transfer_kinds import KINDS, Kind
from smp.adapters.postgres.transfer_rows import lines_of, row_of
from smp.application.transfer import TransferRefused
from tests.property.strategies import feature_maps, ids, instants, periods, storable_texts

BY_NAME: Mapping[str, Kind] = {kind.name: kind for kind in KINDS}

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | storable_texts
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(storable_texts, inner, max_size=3),
    max_leaves=6,
)
by_type: Mapping[str, st.SearchStrategy[Any]] = {
    "uuid": ids,
    "timestamptz": instants | st.just(datetime.max.replace(tzinfo=UTC)),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "boolean": st.booleans(),
    "bytea": st.binary(max_size=40),
    "jsonb": st.dictionaries(storable_texts, json_values, max_size=3),
    "text": storable_texts,
}
by_name: Mapping[str, st.SearchStrategy[Any]] = {
    "features": feature_maps.map(dict),
    "period": st.none() | periods().map(str),
    "trial_period": st.none() | periods().map(str),
    "email": st.just("ann@example.com"),
    "role": st.sampled_from(["user", "admin"]),
}


@st.composite
def rows(draw: st.DrawFn) -> tuple[Kind, tuple[object, ...]]:
    """A row of any kind, with any value that its columns can have."""
    kind = draw(st.sampled_from(KINDS))
    values = []
    for column in kind.columns:
        strategy = by_name.get(column.name, by_type[column.sql_type])
        is_nullable = type(None) in getattr(column.type, "__args__", ())
        values.append(draw(st.none() | strategy if is_nullable else strategy))
    return kind, tuple(values)


@given(rows())
def test_a_row_comes_back_from_its_line(made: tuple[Kind, tuple[object, ...]]) -> None:
    """Every column, to the microsecond and to the byte; and written again it is the same line."""
    kind, row = made
    (line,) = lines_of(kind, [row])
    assert b"\n" not in line
    assert row_of(2, line + b"\n") == (kind, row)
    assert lines_of(kind, [row_of(2, line)[1]]) == [line]


@given(rows(), st.data())
def test_a_row_without_one_of_its_columns_is_refused(
    made: tuple[Kind, tuple[object, ...]], data: st.DataObject
) -> None:
    """As is one with a column too many, and one whose column is of another type."""
    kind, row = made
    (line,) = lines_of(kind, [row])
    name = data.draw(st.sampled_from([column.name for column in kind.columns]))
    document = json.loads(line)
    for wrong in (
        {key: value for key, value in document.items() if key != name},
        {**document, f"{name}_": 1},
        {**document, name: [[1]]},
        {**document, "table": name},
    ):
        with pytest.raises(TransferRefused, match=r"^line 7: "):
            row_of(7, json.dumps(wrong).encode())


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_anything_else_is_refused_with_its_line(line: bytes) -> None:
    """And with nothing worse."""
    with pytest.raises(TransferRefused, match=r"^line 3: "):
        row_of(3, line)


def test_deep_nesting_is_refused() -> None:
    """However deep: it would otherwise end the process."""
    deep = b'{"table":"events","data":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001
    with pytest.raises(TransferRefused, match=r"^line 3: "):
        row_of(3, deep)
