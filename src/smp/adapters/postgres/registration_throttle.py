"""The limit on registrations, in PostgreSQL."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import sql
from smp.application.attempt_limits import REGISTRATION_LIMIT
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
_WAIT: Final = sql(
    """
    SELECT ceil(extract(epoch FROM last_attempt_at + CAST(:window AS interval) - statement_timestamp())) AS wait_s
    FROM login_throttle
    WHERE key = :key AND attempts >= :most AND last_attempt_at <= statement_timestamp()
      AND last_attempt_at + CAST(:window AS interval) > statement_timestamp()
    """
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
        limit = {"key": f"source:{digest}", "most": REGISTRATION_LIMIT.most, "window": REGISTRATION_LIMIT.window}
        # Most attempts of a flood are refused here, without waiting for the lock of the row.
        row = await self._pool.row(_WAIT, **limit)
        if row is not None:
            raise TooManyRegistrations(int(row["wait_s"]))
        if not await self._pool.run(_COUNT, **limit):
            raise TooManyRegistrations(1)  # others have used the last places in the meantime
