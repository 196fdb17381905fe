"""A transaction over the store: its own changes over what is committed, and the locks it holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Generic

from smp.adapters.memory.store import Key, MemoryStore, Row
from smp.domain.errors import StorageIntegrityError
from smp.domain.events import DomainEvent


class View(Generic[Key, Row]):
    """One table as the transaction sees it: what others have committed by now, and over it its own changes."""

    def __init__(self, committed: Callable[[], Mapping[Key, Row]]) -> None:
        self._committed = committed
        self._changes: dict[Key, Row | None] = {}

    def get(self, key: Key) -> Row | None:
        """The row, if there is one."""
        if key in self._changes:
            return self._changes[key]
        return self._committed().get(key)

    def rows(self) -> Iterator[Row]:
        """All rows."""
        return iter(self.merged().values())

    def keys(self) -> Iterator[Key]:
        """The keys of all rows."""
        return iter(self.merged())

    def put(self, key: Key, row: Row) -> None:
        """Write the row."""
        self._changes[key] = row

    def remove(self, key: Key) -> None:
        """Delete the row."""
        self._changes[key] = None

    def merged(self) -> Mapping[Key, Row]:
        """The whole table."""
        if not self._changes:
            return self._committed()
        rows = dict(self._committed())
        for key, row in self._changes.items():
            if row is None:
                rows.pop(key, None)
            else:
                rows[key] = row
        return MappingProxyType(rows)


class Transaction:
    """Read committed, as PostgreSQL's default: locks and constraints keep transactions apart, not a snapshot.

    Every use gives other tasks a turn, as a round trip to a database would, so that races show in memory as well.
    """

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._is_over = False
        self._is_doomed = False
        self.recorded: list[DomainEvent] = []
        self.users = View(lambda: store.state.users)
        self.plans = View(lambda: store.state.plans)
        self.revisions = View(lambda: store.state.revisions)
        self.subscriptions = View(lambda: store.state.subscriptions)
        self.trials = View(lambda: store.state.trials)
        self.sessions = View(lambda: store.state.sessions)
        self.api_keys = View(lambda: store.state.api_keys)
        self.events = View(lambda: store.state.events)
        self.outcomes = View(lambda: store.state.outcomes)
        self.attempts = View(lambda: store.state.attempts)

    async def round_trip(self) -> None:
        """Give others a turn. Raises RuntimeError where the transaction is over."""
        if self._is_over:
            raise RuntimeError("this transaction is over; open another one")
        await asyncio.sleep(0)

    async def lock(self, *key: Hashable, shared: bool = False) -> None:
        """Wait for the lock of this name and hold it until the end. Raises TransactionConflict."""
        await self.round_trip()
        await self._store.locks.take(self, key, shared=shared)

    def lock_if_free(self, *key: Hashable) -> bool:
        """Take the lock of this name if it can be had at once."""
        return self._store.locks.take_if_free(self, key)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Where a write is refused, nothing of this transaction can be committed any more: databases are like that."""
        try:
            yield
        except BaseException:
            self.doom()
            raise

    def record(self, events: Sequence[DomainEvent]) -> None:
        """Write the events. Raises StorageIntegrityError where there is one of the same id."""
        for event in events:
            if self.events.get(event.id) is not None:
                raise StorageIntegrityError("event_log_id_unique")
            self.events.put(event.id, event)
            self.recorded.append(event)

    def doom(self) -> None:
        """Never let this transaction be committed."""
        self._is_doomed = True

    async def commit(self) -> None:
        """Put the changes into the store, all at once, and let the locks go.

        Raises:
            StorageIntegrityError: where a write was refused before.
        """
        await self.round_trip()
        if self._is_doomed:
            raise StorageIntegrityError("transaction_aborted")
        changed: dict[str, Any] = {name: view.merged() for name, view in vars(self).items() if isinstance(view, View)}
        self._store.state = replace(self._store.state, **changed)
        self.end()

    def end(self) -> None:
        """Let everything go; what was not committed never was."""
        self._is_over = True
        self._store.locks.release_all(self)
