"""The settings of a pool: its size, and its time limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

LOCK_TIMEOUT_MS: Final = 1_000
STATEMENT_TIMEOUT_MS: Final = 5_000
IDLE_IN_TRANSACTION_TIMEOUT_MS: Final = 10_000


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """The size of a pool, the name of its connections in PostgreSQL, and its time limits.

    A ``read_only`` pool connects to any server, a standby too, and PostgreSQL refuses every write; any other pool
    connects to the primary only. A connection that was unused for ``idle_lifetime_s`` is not used again, because a
    firewall may have dropped it. Of the connections, ``reserved`` are for urgent statements only (see
    :class:`~smp.adapters.postgres.statements.Statement`).

    Without ``prepares``, each statement runs in a transaction that sets the limits, and none is prepared, because a
    pooler between SMP and PostgreSQL may give each transaction another connection.

    Raises:
        ValueError: if the time limits are not in this order: a lock, an answer to the client, a statement on the
            server. Otherwise a wait for a lock would look like a database that does not answer.
    """

    size: int = 10
    reserved: int = 0
    read_only: bool = False
    application_name: str = "smp"
    connect_timeout_s: float = 2.0
    acquire_timeout_s: float = 0.9
    lock_timeout_s: float = LOCK_TIMEOUT_MS / 1000
    command_timeout_s: float = 2.0
    statement_timeout_s: float = STATEMENT_TIMEOUT_MS / 1000
    idle_lifetime_s: float = 300.0
    prepares: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.lock_timeout_s < self.command_timeout_s < self.statement_timeout_s:
            raise ValueError("the time limits must be in this order: lock, command, statement")
        if not 0 <= self.reserved < self.size:
            raise ValueError("fewer connections must be reserved than there are")

    @property
    def limits(self) -> Mapping[str, str]:
        """The limits that PostgreSQL enforces, in milliseconds."""
        limits_s = {
            "statement_timeout": self.statement_timeout_s,
            "lock_timeout": self.lock_timeout_s,
            "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_TIMEOUT_MS / 1000,
        }
        return {name: str(round(limit_s * 1000)) for name, limit_s in limits_s.items()}

    @property
    def server_settings(self) -> Mapping[str, str]:
        """The settings of PostgreSQL for each connection of the pool; poolers accept those without ``prepares``."""
        settings = {"application_name": self.application_name, "TimeZone": "UTC"}
        if not self.prepares:
            return settings
        read_only = {"default_transaction_read_only": "on"} if self.read_only else {}
        return settings | {"default_transaction_isolation": "read committed", **self.limits, **read_only}

    @property
    def begin(self) -> str:
        """The SQL that begins a transaction."""
        if self.prepares:
            return "BEGIN"
        access = " READ ONLY" if self.read_only else ""
        limits = "".join(f"; SET LOCAL {name} = {limit}" for name, limit in self.limits.items())
        return f"BEGIN ISOLATION LEVEL READ COMMITTED{access}{limits}"
