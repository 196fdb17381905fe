"""The event log in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from sqlalchemy.dialects.postgresql import dialect

from smp.adapters.postgres.errors import NO_CONTEXT, ErrorContext
from smp.adapters.postgres.statements import sql
from smp.adapters.postgres.tables import event_log
from smp.adapters.postgres.transaction import Transaction
from smp.application.ports.event_log import EventLog
from smp.domain.events import DomainEvent


def event_row(event: DomainEvent) -> dict[str, object]:
    """Return the columns of ``event_log``, except the transaction's id, which the database sets."""
    actor = event.actor
    return {
        "shard_key": event.subject_id if event.user_id is None else event.user_id,
        "id": event.id,
        "user_id": event.user_id,
        "subject_id": event.subject_id,
        "version": event.version,
        "type": event.type.value,
        "occurred_at": event.occurred_at,
        "recorded_at": event.recorded_at,
        "actor_type": actor.type.value,
        "actor_id": actor.id,
        "data": dict(event.data),
    }


_TYPES: Final = {
    column.name: str(column.type.compile(dialect=dialect()))  # type: ignore[no-untyped-call]
    for column in event_log.columns
    if column.server_default is None
}
"""The columns of an event that the program writes, with their types."""

_SENT: Final = tuple(name for name in _TYPES if name != "shard_key")
_ARRAYS: Final = ", ".join(f"CAST(:event_{name} AS {_TYPES[name]}[])" for name in _SENT)

EVENTS_SQL: Final = f"unnest({_ARRAYS}) AS e ({', '.join(_SENT)})"
"""The events whose values :meth:`PostgresEventLog.values` returns, as a table ``e``."""

EVENT_COLUMNS: Final[Mapping[str, str]] = MappingProxyType(
    {name: f"e.{name}" for name in _TYPES} | {"shard_key": "coalesce(e.user_id, e.subject_id)"}
)
"""Each column of an event and its expression over ``EVENTS_SQL``."""


def insert_events_sql(source: str, columns: Mapping[str, str] = EVENT_COLUMNS) -> str:
    """Return the statement that records the events in ``source``; ``columns`` has an expression for each column."""
    if columns.keys() != _TYPES.keys():
        raise ValueError(f"an event has the columns {sorted(_TYPES)}")
    return f"INSERT INTO event_log ({', '.join(columns)}) SELECT {', '.join(columns.values())} FROM {source}"  # noqa: S608 - constants


_RECORD: Final = sql(insert_events_sql(EVENTS_SQL))


class PostgresEventLog(EventLog):
    """The events of one transaction.

    A statement that writes an aggregate and its events at once takes them from :meth:`values`, and saves a round trip.
    """

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction
        self._recorded: list[DomainEvent] = []

    @property
    def recorded(self) -> Sequence[DomainEvent]:
        """The events recorded so far."""
        return self._recorded

    async def record(self, events: Sequence[DomainEvent], context: ErrorContext = NO_CONTEXT) -> None:
        """Record the events. Raises StorageIntegrityError."""
        if events:
            await self._transaction.run(_RECORD, context, **self.values(events))

    def values(self, events: Iterable[DomainEvent]) -> dict[str, object]:
        """Return the parameters of ``EVENTS_SQL`` for a statement that records these events."""
        events = tuple(events)
        self.note(events)
        rows = [event_row(event) for event in events]
        return {f"event_{name}": [row[name] for row in rows] for name in _SENT}

    def note(self, events: Iterable[DomainEvent]) -> None:
        """Count the events as recorded by a statement that takes other parameters than :meth:`values`."""
        self._recorded.extend(events)
