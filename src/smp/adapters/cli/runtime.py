"""The ports through which the commands reach the rest of the program, and the data that these return."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from smp.application.queries.views import CheckResult

Handler = TypeVar("Handler")


@dataclass(frozen=True, slots=True)
class SettingHelp:
    """The description of one environment variable; ``expected`` completes "It must be"."""

    name: str
    default: str
    expected: str
    description: str


@dataclass(frozen=True, slots=True)
class Failure:
    """The message of an error, line by line, and the exit code: 1 for a failure, 2 for wrong usage or settings."""

    lines: tuple[str, ...]
    exit_code: int = 1


@dataclass(frozen=True, slots=True)
class SchemaState:
    """The schema revision ``current`` of the database (``None``: no schema), and ``head``, which this version needs."""

    current: str | None
    head: str

    @property
    def is_current(self) -> bool:
        """Whether the database has the revision that this version needs."""
        return self.current == self.head

    @property
    def is_newer(self) -> bool:
        """Whether a later version has migrated the database."""
        return self.current is not None and self.current > self.head


@dataclass(frozen=True, slots=True)
class MigrationOutcome:
    """The result of a migration: the state ``before`` it, and the revisions that it ``applied``."""

    before: SchemaState
    applied: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DemoLogin:
    """One of the demo users, with the state of the user's subscription in words."""

    email: str
    standing: str


@dataclass(frozen=True, slots=True)
class DemoOutcome:
    """The demo data that were created; if ``already_there`` is set, nothing was changed and all counts are 0."""

    already_there: bool
    password: str = field(repr=False)
    users: int = 0
    plans: int = 0
    subscriptions: int = 0
    events: int = 0
    logins: tuple[DemoLogin, ...] = ()


@dataclass(frozen=True, slots=True)
class BackupOutcome:
    """The result of a backup, with the counts just before; ``size_bytes`` is ``None`` for standard output."""

    schema: str
    users: int
    subscriptions: int
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class RestoreOutcome:
    """The result of a restore, the migrations ``applied`` afterwards, and the results of ``smp doctor`` after them."""

    schema: str
    users: int
    subscriptions: int
    applied: tuple[str, ...]
    findings: Sequence[CheckResult]


ByteProgress = Callable[[int], None]
"""A callback that gets the number of bytes processed so far."""

DemoProgress = Callable[[int], None]
"""A callback that gets the number of users written so far."""


class HandlerProvider(Protocol):
    """The source of the handlers of commands and queries."""

    @abstractmethod
    async def get(self, handler: type[Handler], /) -> Handler:
        """Return the handler of this type."""


class StartupReporter(Protocol):
    """The receiver of reports about the start of the service."""

    @abstractmethod
    def notice(self, text: str) -> None:
        """Report something that the person who starts the service should read."""

    @abstractmethod
    def admin_created(self, email: str, generated_password: str | None) -> None:
        """Report the first administrator, and the password if it was generated; it is shown nowhere else."""

    @abstractmethod
    def starting(self, address: str, database: str) -> None:
        """Report that the service will listen at ``address``; ``database`` describes the database without secrets."""


class CliServices(Protocol):
    """The services of the program that the commands use. They read and open nothing before a method needs it.

    Every method may raise any error; :meth:`explain` turns it into a message.
    """

    @property
    @abstractmethod
    def version(self) -> str:
        """The version of the program."""

    @abstractmethod
    def settings_help(self) -> Sequence[SettingHelp]:
        """Return the descriptions of all settings."""

    @abstractmethod
    def explain(self, error: Exception) -> Failure:
        """Return the message and the exit code for any error."""

    @abstractmethod
    def traceback_of(self, error: Exception) -> str | None:
        """Return the traceback of ``error`` without secrets, or ``None`` if the log level does not ask for it."""

    @abstractmethod
    def new_password(self) -> str:
        """Return a random password."""

    @abstractmethod
    def use_cases(self) -> AbstractAsyncContextManager[HandlerProvider]:
        """Open the database, and provide the handlers on it during the block.

        The embedded database is started for it. The schema is checked, and outside production migrated.
        """

    @abstractmethod
    def serve(self, reporter: StartupReporter, *, host: str | None, port: str | None) -> None:
        """Serve requests until a signal stops the process; ``host`` and ``port`` override their settings."""

    @abstractmethod
    async def schema_state(self) -> SchemaState:
        """Return the schema revision of the database and the one that this version needs."""

    @abstractmethod
    async def migrate(self) -> MigrationOutcome:
        """Migrate the schema to this version."""

    @abstractmethod
    def migration_sql(self) -> str:
        """Return the SQL statements that create the whole schema, without using a database."""

    @abstractmethod
    async def load_demo(self, users: int, progress: DemoProgress) -> DemoOutcome:
        """Fill the database with demo data of ``users`` users; if such data exist already, change nothing."""

    @abstractmethod
    async def back_up(self, file: Path | None, progress: ByteProgress) -> BackupOutcome:
        """Write a backup of the database at one instant to ``file``, or to standard output."""

    @abstractmethod
    async def restore(self, file: Path, progress: ByteProgress) -> RestoreOutcome:
        """Write the backup into the database, which must be empty, and migrate it to this version."""

    @abstractmethod
    async def diagnose(self) -> Sequence[CheckResult]:
        """Check the settings, the database, its schema and the invariants of its data, without changing anything."""
