"""Messages for errors of commands: one line that says what happened and what to do."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Mapping, Sequence

import asyncpg

from smp.adapters.cli.runtime import Failure
from smp.adapters.embedded_postgres.errors import EmbeddedPostgresError
from smp.adapters.postgres.connecting import UnsuitableDatabase
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

# The beginning of an SQLSTATE, a part of what the server said, and the message; the first row that fits.
_BY_SQLSTATE: Sequence[tuple[str, str, str]] = (
    ("28", "", "the database {database} refuses the user or the password of SMP_DATABASE_URL ({said})"),
    ("3D000", "", "there is no database {database}: create it (createdb), or correct SMP_DATABASE_URL"),
    ("42501", "", "the user of SMP_DATABASE_URL may not do that in {database} ({said}): grant it, or use its owner"),
    ("57P03", "", "the database {database} is starting or stopping: try again shortly"),
    (
        "53300",
        "",
        "the database {database} has no connection left: lower SMP_DATABASE_POOL_SIZE, or raise max_connections",
    ),
    (
        "42704",
        "configuration parameter",
        "the database {database} refused: {said}; remove the parameter from SMP_DATABASE_URL",
    ),
    (
        "08P01",
        "startup parameter",
        "the database {database} refused: {said}; behind PgBouncer, set SMP_DATABASE_PREPARED_STATEMENTS=0",
    ),
    ("26000", "", "a pooler is in front of {database} ({said}): set SMP_DATABASE_PREPARED_STATEMENTS=0"),
    ("42P05", "", "a pooler is in front of {database} ({said}): set SMP_DATABASE_PREPARED_STATEMENTS=0"),
    ("", "", "the database {database} refused: {said} (SQLSTATE {sqlstate}); run smp doctor"),
)


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
    is_refusal = isinstance(error, DomainError) and not _is_said_by_server(error)
    if is_refusal or isinstance(error, TransactionConflict | OutcomeUnknown):
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


def _is_said_by_server(error: Exception) -> bool:
    """Whether the server itself says best what is wrong: not a constraint, whose name is enough."""
    sqlstate = getattr(error.__cause__, "sqlstate", None)
    return isinstance(error, StorageIntegrityError) and isinstance(sqlstate, str) and not sqlstate.startswith("23")


def database_trouble(error: BaseException, database: str) -> str | None:
    """Explain an error of the database, found in ``error`` or its causes; ``None`` if there is none."""
    storage = False
    for cause in _causes(error):
        storage = storage or isinstance(cause, StorageUnavailable)
        sqlstate = getattr(cause, "sqlstate", None)
        if isinstance(sqlstate, str):
            return _by_sqlstate(sqlstate, cause, database)
        if (message := _by_driver(cause, database, is_storage=storage)) is not None:
            return message
    return f"no answer from the database {database}: see that it runs, or correct SMP_DATABASE_URL" if storage else None


def _by_driver(cause: BaseException, database: str, *, is_storage: bool) -> str | None:
    if isinstance(cause, UnsuitableDatabase):
        return f"the database {database} cannot be used: {cause}"
    if isinstance(cause, asyncpg.ClientConfigurationError):
        return f"SMP_DATABASE_URL cannot be used: {redact_text(str(cause))}"
    if isinstance(cause, socket.gaierror):
        return f"the host of the database {database} is not known: correct SMP_DATABASE_URL"
    if is_storage and isinstance(cause, OSError) and not _is_away(cause):
        return f"the database {database} cannot be reached ({cause}): correct SMP_DATABASE_URL"
    return None


def _by_sqlstate(sqlstate: str, cause: BaseException, database: str) -> str:
    said = redact_text(str(cause)).splitlines()[0] if str(cause) else sqlstate
    message = next(text for begin, word, text in _BY_SQLSTATE if sqlstate.startswith(begin) and word in said)
    return message.format(database=database, said=said, sqlstate=sqlstate)


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
