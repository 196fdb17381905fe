"""Messages for errors of commands: one line that says what happened and what to do."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Mapping

from smp.adapters.cli.runtime import Failure
from smp.adapters.embedded_postgres.errors import EmbeddedPostgresError
from smp.adapters.postgres_tools.errors import BackupError
from smp.application.errors import ApplicationError, OutcomeUnknown, StorageUnavailable, TransactionConflict
from smp.bootstrap.database import SchemaMismatch
from smp.bootstrap.demo.refusal import DemoRefused
from smp.bootstrap.logging import redact_text
from smp.bootstrap.port_check import PortUnavailable
from smp.bootstrap.settings import SettingsInvalid
from smp.bootstrap.workers import WorkersFailed
from smp.domain.errors import DomainError, StorageIntegrityError, ValidationError

EXIT_FAILED = 1
EXIT_ASKED_WRONGLY = 2

_SAYS_IT_ALL = (BackupError, SchemaMismatch, PortUnavailable, EmbeddedPostgresError, DemoRefused, WorkersFailed)
_ADVICE: Mapping[type[Exception], str] = {
    TransactionConflict: "; run it again",
    OutcomeUnknown: "; run it again",
    StorageIntegrityError: "; run smp doctor",
}
_CAUSES_MAX = 10


def explain(error: Exception, database: str) -> Failure:
    """Explain ``error``; ``database`` names the database in use, without secrets."""
    if isinstance(error, SettingsInvalid):
        return Failure(error.problems, EXIT_ASKED_WRONGLY)
    if isinstance(error, ValidationError):
        refusals = (error, *error.others)
        return Failure(
            tuple(f"{refusal.pointer.strip('/') or 'the value'} {refusal.detail}" for refusal in refusals),
            EXIT_ASKED_WRONGLY,
        )
    if isinstance(error, _SAYS_IT_ALL):
        return Failure((str(error),))
    return Failure((_trouble(error, database) or _unexpected(error),))


def _trouble(error: Exception, database: str) -> str | None:
    if isinstance(error, DomainError | TransactionConflict | OutcomeUnknown):
        return f"{error}{_ADVICE.get(type(error), '')}"
    if (message := database_trouble(error, database)) is not None:
        return message
    if isinstance(error, ApplicationError):
        return str(error)
    if isinstance(error, PermissionError):
        return f"no permission for {error.filename}: change its owner or mode, or set SMP_DATA_DIR to another folder"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return None


def database_trouble(error: BaseException, database: str) -> str | None:
    """Explain an error of the database, found in ``error`` or its causes; ``None`` if there is none."""
    storage = False
    for cause in _causes(error):
        storage = storage or isinstance(cause, StorageUnavailable)
        sqlstate = getattr(cause, "sqlstate", None)
        if isinstance(sqlstate, str):
            return _by_sqlstate(sqlstate, cause, database)
        if isinstance(cause, socket.gaierror):
            return f"the host of the database {database} is not known: correct SMP_DATABASE_URL"
        if storage and isinstance(cause, OSError) and not _is_away(cause):
            return f"the database {database} cannot be reached ({cause}): correct SMP_DATABASE_URL"
    if storage:
        return f"no answer from the database {database}: see that it runs, or correct SMP_DATABASE_URL"
    return None


def _by_sqlstate(sqlstate: str, cause: BaseException, database: str) -> str:
    said = redact_text(str(cause)).splitlines()[0] if str(cause) else sqlstate
    if sqlstate.startswith("28"):
        return f"the database {database} refuses the user or the password of SMP_DATABASE_URL ({said})"
    if sqlstate == "3D000":
        return f"there is no database {database}: create it (createdb), or correct SMP_DATABASE_URL"
    if sqlstate == "42501":
        return f"the user of SMP_DATABASE_URL may not do that in {database} ({said}): grant it, or use its owner"
    if sqlstate == "57P03":
        return f"the database {database} is starting or stopping: try again shortly"
    if sqlstate == "53300":
        return f"the database {database} has no connection left: lower SMP_DATABASE_POOL_SIZE, or raise max_connections"
    return f"the database {database} refused: {said} (SQLSTATE {sqlstate}); run smp doctor"


def _is_away(error: OSError) -> bool:
    """Whether the server did not answer; otherwise the address or the network is wrong."""
    away = {errno.ECONNREFUSED, errno.ECONNRESET, errno.ENOENT, errno.ETIMEDOUT, errno.EPIPE, None}
    return isinstance(error, TimeoutError | ConnectionError) or error.errno in away


def _causes(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    for _ in range(_CAUSES_MAX):
        if current is None:
            return
        yield current
        # SQLAlchemy keeps the driver's error in an attribute.
        current = current.__cause__ or getattr(current, "orig", None) or current.__context__


def _unexpected(error: Exception) -> str:
    said = " ".join(redact_text(str(error)).split())[:300]
    return f"unexpected {type(error).__name__}: {said}; set SMP_LOG_LEVEL=debug to see where"
