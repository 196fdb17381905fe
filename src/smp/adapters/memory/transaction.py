"""A transaction on the store: its uncommitted changes and its locks."""

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
    """One table as the transaction sees it: the committed rows, replaced by its uncommitted changes."""

    def __init__(self, committed: Callable[[], Mapping[Key, Row]]) -> None:
        self._committed = committed
        self._changes: dict[Key, Row | None] = {}

    def get(self, key: Key) -> Row | None:
        """Return the row, or ``None``."""
        if key in self._changes:
            return self._changes[key]
        return self._committed().get(key)

    def rows(self) -> Iterator[Row]:
        """Return all rows."""
        return iter(self.merged().values())

    def keys(self) -> Iterator[Key]:
        """Return the keys of all rows."""
        return iter(self.merged())

    def put(self, key: Key, row: Row) -> None:
        """Insert or replace the row."""
        self._changes[key] = row

    def remove(self, key: Key) -> None:
        """Delete the row."""
        self._changes[key] = None

    def merged(self) -> Mapping[Key, Row]:
        """Return the whole table."""
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
    """A transaction at isolation level READ COMMITTED, PostgreSQL's default: it has locks and no snapshot.

    Every use lets other tasks run, like a round trip to a database, so that races also happen in memory.
    """

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._is_over = False
        self._is_aborted = False
        self.recorded: list[DomainEvent] = []
        self.users = View(lambda: store.state.users)
        self.plans = View(lambda: store.state.plans)
        self.revisions = View(lambda: store.state.revisions)
        self.subscriptions = View(lambda: store.state.subscriptions)
        self.trials = View(lambda: store.state.trials)
        self.sessions = View(lambda: store.state.sessions)
        self.api_keys = View(lambda: store.state.api_keys)
        self.test_clock = View(lambda: store.state.test_clock)
        self.events = View(lambda: store.state.events)
        self.outcomes = View(lambda: store.state.outcomes)
        self.attempts = View(lambda: store.state.attempts)

    async def round_trip(self) -> None:
        """Let other tasks run. Raises RuntimeError if the transaction has ended."""
        if self._is_over:
            raise RuntimeError("this transaction has ended; open another one")
        await asyncio.sleep(0)

    async def lock(self, *key: Hashable, shared: bool = False) -> None:
        """Wait for the lock with this key, and hold it until the transaction ends. Raises TransactionConflict."""
        await self.round_trip()
        await self._store.locks.take(self, key, shared=shared)

    def lock_if_free(self, *key: Hashable) -> bool:
        """Take the lock with this key if it is free, and return whether it was."""
        return self._store.locks.take_if_free(self, key)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Abort the transaction if the block raises, as a database does after a refused statement."""
        try:
            yield
        except BaseException:
            self.abort()
            raise

    def record(self, events: Sequence[DomainEvent]) -> None:
        """Insert the events. Raises StorageIntegrityError for an id or a version that is recorded already."""
        versions = {(event.subject_id, event.version) for event in self.events.rows() if event.version is not None}
        for event in events:
            if self.events.get(event.id) is not None:
                raise StorageIntegrityError("event_log_pkey")
            if (event.subject_id, event.version) in versions:
                raise StorageIntegrityError("event_log_version_key")
            if event.version is not None:
                versions.add((event.subject_id, event.version))
            self.events.put(event.id, event)
            self.recorded.append(event)

    def abort(self) -> None:
        """Make every later commit of this transaction fail."""
        self._is_aborted = True

    async def commit(self) -> None:
        """Write all changes into the store at once, and release the locks.

        Raises:
            StorageIntegrityError: if a write was refused before.
        """
        await self.round_trip()
        if self._is_aborted:
            raise StorageIntegrityError("transaction_aborted")
        changed: dict[str, Any] = {name: view.merged() for name, view in vars(self).items() if isinstance(view, View)}
        self._store.state = replace(self._store.state, **changed)
        self.end()

    def end(self) -> None:
        """End the transaction: release the locks, and drop changes that were not committed."""
        self._is_over = True
        self._store.locks.release_all(self)
