"""The limit on registrations, in PostgreSQL."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from smp.adapters.postgres.mapping import instant_of
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import sql
from smp.application.attempt_limits import REGISTRATION_LIMIT, Attempts
from smp.application.errors import TooManyRegistrations
from smp.application.ports.registration_throttle import RegistrationThrottle

# The same as WindowLimit.counted, as one statement. The window begins at last_attempt_at; a window that begins in the
# future, because the server's clock was set back, is over.
_COUNT: Final = sql(
    """
    INSERT INTO login_throttle AS kept (key, attempts, last_attempt_at) VALUES (:key, 1, statement_timestamp())
    ON CONFLICT (key) DO UPDATE SET (attempts, last_attempt_at) = (
        SELECT CASE WHEN is_over THEN 1 ELSE kept.attempts + 1 END,
            CASE WHEN is_over THEN excluded.last_attempt_at ELSE kept.last_attempt_at END
        FROM (
            SELECT kept.last_attempt_at NOT BETWEEN excluded.last_attempt_at - CAST(:window AS interval)
                AND excluded.last_attempt_at AS is_over
        ) AS spans
    )
    WHERE kept.attempts < :most
       OR kept.last_attempt_at NOT BETWEEN excluded.last_attempt_at - CAST(:window AS interval)
          AND excluded.last_attempt_at
    """
)
_FIND: Final = sql(
    "SELECT attempts, last_attempt_at, statement_timestamp() AS now FROM login_throttle WHERE key = CAST(:key AS text)"
)


class PostgresRegistrationThrottle(RegistrationThrottle):
    """A throttle with one row for each source, beside those of the login throttle. The time is the server's.

    The key is a digest of the source and of what it does, so that registrations and sign-ins are counted apart. The
    cleanup deletes it like the others of a source, after a quarter of an hour.
    """

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def attempt(self, source: str) -> None:
        """Count a registration. Raises TooManyRegistrations."""
        digest = sha256(f"registration {source}".encode("utf-8", "surrogatepass")).hexdigest()
        key = f"source:{digest}"
        # Most attempts of a flood are refused here, without waiting for the lock of the row.
        row = await self._pool.row(_FIND, key=key)
        if row is not None:
            counted = Attempts(row["attempts"], instant_of(row["last_attempt_at"]))
            if wait_s := REGISTRATION_LIMIT.wait_s(counted, instant_of(row["now"])):
                raise TooManyRegistrations(wait_s)
        limit = REGISTRATION_LIMIT
        if not await self._pool.run(_COUNT, key=key, most=limit.most, window=limit.window):
            raise TooManyRegistrations(1)  # others have used the last places in the meantime
