"""Errors as the command line reports them."""

from __future__ import annotations

import socket
from errno import EACCES, ECONNREFUSED, ENETUNREACH

import asyncpg
import pytest

from smp.adapters.embedded_postgres.errors import DataDirectoryUnusable
from smp.adapters.postgres.connecting import UnsuitableDatabase
from smp.application.errors import OutcomeUnknown, Overloaded, StorageUnavailable, TransactionConflict
from smp.bootstrap.database import SchemaMismatch, describe
from smp.bootstrap.failures import explain
from smp.bootstrap.port_check import PortUnavailable
from smp.bootstrap.settings import SettingsInvalid, load_settings
from smp.domain.errors import EmailTaken, StorageIntegrityError, ValidationError, collect_errors

DATABASE = "smp at db:5432"


def explained(error: Exception) -> str:
    failure = explain(error, DATABASE)
    assert failure.exit_code == 1
    (line,) = failure.lines
    assert "\n" not in line
    return line


def unavailable(cause: BaseException) -> StorageUnavailable:
    """Return the adapter's error for ``cause``."""
    error = StorageUnavailable()
    error.__cause__ = cause
    return error


def test_wrong_settings_are_all_reported_with_exit_code_2() -> None:
    failure = explain(SettingsInvalid(("SMP_A is wrong", "SMP_B is wrong")), DATABASE)
    assert (failure.lines, failure.exit_code) == (("SMP_A is wrong", "SMP_B is wrong"), 2)


def test_wrong_values_are_all_reported_with_exit_code_2() -> None:
    def refuse(pointer: str) -> None:
        raise ValidationError(pointer, "is wrong")

    with pytest.raises(ValidationError) as caught:
        collect_errors(lambda: refuse("/email"), lambda: refuse("/password"))
    failure = explain(caught.value, DATABASE)
    assert (failure.lines, failure.exit_code) == (("email is wrong", "password is wrong"), 2)


@pytest.mark.parametrize("error", [SchemaMismatch, PortUnavailable, DataDirectoryUnusable])
def test_a_message_for_users_is_shown_unchanged(error: type[Exception]) -> None:
    assert explained(error("do this")) == "do this"


@pytest.mark.parametrize("error", [EmailTaken(), Overloaded("too many passwords are being looked at")])
def test_a_refusal_of_the_domain_is_shown_with_its_message(error: Exception) -> None:
    assert explained(error) == str(error)


def test_a_violated_constraint_is_explained_as_the_rule_of_the_domain() -> None:
    error = EmailTaken()
    error.__cause__ = asyncpg.UniqueViolationError("duplicate key")
    assert explained(error) == "another account has this email"
    assert explained(StorageIntegrityError("users_role")).endswith("'users_role'; run smp doctor")


@pytest.mark.parametrize("error", [TransactionConflict(), OutcomeUnknown()])
def test_a_temporary_error_suggests_a_retry(error: Exception) -> None:
    assert explained(error).endswith("; run it again")


@pytest.mark.parametrize(
    ("cause", "line"),
    [
        (
            ConnectionRefusedError(ECONNREFUSED, "refused"),
            "no answer from the database smp at db:5432: see that it runs",
        ),
        (TimeoutError(), "no answer from the database smp at db:5432: see that it runs"),
        (FileNotFoundError(2, "no socket"), "no answer from the database smp at db:5432: see that it runs"),
        (
            socket.gaierror(-2, "unknown"),
            "the host of the database smp at db:5432 is not known: correct SMP_DATABASE_URL",
        ),
        (OSError(ENETUNREACH, "no route"), "the database smp at db:5432 cannot be reached"),
        (asyncpg.InvalidPasswordError("no"), "the database smp at db:5432 refuses the user or the password of"),
        (
            asyncpg.InvalidCatalogNameError("no"),
            "there is no database smp at db:5432: create it (createdb), or correct",
        ),
        (asyncpg.InsufficientPrivilegeError("no"), "the user of SMP_DATABASE_URL may not do that in smp at db:5432"),
        (asyncpg.CannotConnectNowError("no"), "the database smp at db:5432 is starting or stopping: try again shortly"),
        (asyncpg.TooManyConnectionsError("no"), "the database smp at db:5432 has no connection left: lower SMP_"),
        (asyncpg.DiskFullError("no"), "the database smp at db:5432 refused: no (SQLSTATE 53100); run smp doctor"),
    ],
)
def test_an_error_of_the_database_is_explained_by_its_cause(cause: Exception, line: str) -> None:
    assert explained(unavailable(cause)).startswith(line)
    wrapped = RuntimeError("of a library")
    wrapped.__context__ = unavailable(cause)
    assert explained(wrapped).startswith(line)


def test_messages_of_the_driver_are_shown_without_secrets() -> None:
    error = asyncpg.InvalidPasswordError("bad postgresql://smp:hunter2@db/smp\nsecond line")
    assert "hunter2" not in explained(unavailable(error))


def test_an_error_with_a_file_contains_the_path_of_the_file() -> None:
    assert explained(PermissionError(EACCES, "denied", "/data")).startswith("no permission for /data: ")
    assert explained(IsADirectoryError(21, "Is a directory", "/data")) == "/data: Is a directory"


def test_an_unexpected_error_is_one_line_with_the_way_to_see_the_traceback() -> None:
    line = explained(RuntimeError("it\nbroke at postgresql://smp:hunter2@db/smp" + "x" * 1_000))
    assert line.startswith("unexpected RuntimeError: it broke at postgresql://smp:[redacted]@db/smp")
    assert line.endswith("set SMP_LOG_LEVEL=debug to see where")
    assert len(line) < 400


@pytest.mark.parametrize(
    ("url", "description"),
    [
        ("postgresql://smp:hunter2@db:5432/smp?password=hunter2", "smp at db:5432"),
        ("postgresql://db/a%20b", "a b at db"),
        ("postgresql:///smp?host=/run/postgresql", "smp at a local socket"),
        ("postgresql://smp:hunter2@one:5432,[::1]/smp?password=hunter2", "smp at one:5432 or ::1"),
    ],
)
def test_a_database_is_described_without_secrets(url: str, description: str) -> None:
    assert describe(load_settings({"SMP_DATABASE_URL": url})) == description


def test_the_embedded_database_is_described_by_its_folder() -> None:
    assert describe(load_settings({"SMP_DATA_DIR": "/data"})) == "embedded PostgreSQL in /data/postgres"


def test_what_the_server_said_is_shown_unless_a_constraint_was_violated() -> None:
    def refused(rule: str, cause: Exception) -> str:
        error = StorageIntegrityError(rule)
        error.__cause__ = cause
        return explained(error)

    column = asyncpg.UndefinedColumnError('column "x" does not exist')
    assert refused("42703", column) == (
        f'the database {DATABASE} refused: column "x" does not exist (SQLSTATE 42703); run smp doctor'
    )
    assert "users_role" in refused("users_role", asyncpg.CheckViolationError("new row violates"))


@pytest.mark.parametrize(
    ("cause", "advice"),
    [
        (asyncpg.UndefinedObjectError('unrecognized configuration parameter "schema"'), "remove the parameter"),
        (asyncpg.ProtocolViolationError("unsupported startup parameter: lock_timeout"), "SMP_DATABASE_PREPARED_STAT"),
        (asyncpg.InvalidSQLStatementNameError('prepared statement "x" does not exist'), "SMP_DATABASE_PREPARED_STAT"),
        (asyncpg.DuplicatePreparedStatementError('prepared statement "x" exists'), "SMP_DATABASE_PREPARED_STAT"),
        (asyncpg.ClientConfigurationError("`sslmode` parameter must be one of ..."), "`sslmode` parameter must be"),
        (UnsuitableDatabase("it has the encoding LATIN1"), "it has the encoding LATIN1"),
    ],
)
def test_a_connection_that_cannot_be_used_is_explained(cause: Exception, advice: str) -> None:
    line = explained(unavailable(cause))
    assert advice in line
    assert str(cause) in line
