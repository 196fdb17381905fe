"""The retention cleanup in memory."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import islice

from smp.adapters.memory.login_throttle import LIMITS
from smp.adapters.memory.store import Key, MemoryStore, Row
from smp.adapters.memory.transaction import Transaction, View
from smp.application.idempotency import RETENTION
from smp.application.ports.retention_cleanup import PurgedRows, RetentionCleanup
from smp.domain.user.session import SessionPolicy


class MemoryRetentionCleanup(RetentionCleanup):
    """A retention cleanup of a store. It skips rows that an open transaction has locked."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def purge_expired(self, now: datetime, real_now: datetime, sessions: SessionPolicy, limit: int) -> PurgedRows:
        """Delete up to ``limit`` expired rows of each kind."""
        transaction = Transaction(self._store)
        try:
            purged = PurgedRows(
                idempotency_keys=self._purge_answers(transaction, now, limit),
                sessions=self._purge_sessions(transaction, now, sessions, limit),
                login_attempts=self._purge_attempts(transaction, real_now, limit),
            )
            await transaction.commit()
        finally:
            transaction.end()
        return purged

    def _purge_answers(self, transaction: Transaction, now: datetime, limit: int) -> int:
        old = (key for key, kept in self._store.state.outcomes.items() if now - kept.received_at > RETENTION)
        return _remove(
            transaction.outcomes, (key for key in old if transaction.lock_if_free("idempotency key", *key)), limit
        )

    def _purge_sessions(self, transaction: Transaction, now: datetime, policy: SessionPolicy, limit: int) -> int:
        state = self._store.state
        over = (
            session.id
            for session in state.sessions.values()
            if policy.ends_at(session, state.users[session.user_id].role) <= now
        )
        return _remove(transaction.sessions, (key for key in over if transaction.lock_if_free("session", key)), limit)

    def _purge_attempts(self, transaction: Transaction, now: datetime, limit: int) -> int:
        old = (key for key, known in self._store.state.attempts.items() if LIMITS[key[0]].is_expired(known, now))
        return _remove(transaction.attempts, (key for key in old if transaction.lock_if_free(*key)), limit)


def _remove(view: View[Key, Row], keys: Iterable[Key], limit: int) -> int:
    removed = list(islice(keys, limit))
    for key in removed:
        view.remove(key)
    return len(removed)
