"""What the command line needs of the program around it, and what it is told by it."""

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
    """One environment variable, in words."""

    name: str
    default: str
    wanted: str
    description: str


@dataclass(frozen=True, slots=True)
class Failure:
    """What a person is told of an error, and the exit code: 1 for what failed, 2 for what was asked for wrongly."""

    lines: tuple[str, ...]
    exit_code: int = 1


@dataclass(frozen=True, slots=True)
class SchemaState:
    """How far the database's schema is: at ``current`` (``None``: empty), while this program is made for ``head``."""

    current: str | None
    head: str

    @property
    def is_current(self) -> bool:
        """Whether program and database fit each other."""
        return self.current == self.head


@dataclass(frozen=True, slots=True)
class MigrationOutcome:
    """What a migration did: the revisions that it ``applied``, from ``before`` on."""

    before: SchemaState
    applied: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DemoLogin:
    """One of the accounts that the demonstration made, and what may be seen with it."""

    email: str
    standing: str


@dataclass(frozen=True, slots=True)
class DemoOutcome:
    """What the demonstration's data are; ``already_there`` where they were before and nothing was changed."""

    already_there: bool
    password: str = field(repr=False)
    users: int = 0
    plans: int = 0
    subscriptions: int = 0
    events: int = 0
    logins: tuple[DemoLogin, ...] = ()


@dataclass(frozen=True, slots=True)
class BackupOutcome:
    """What was backed up, with the counts just before; ``size_bytes`` is ``None`` for standard output."""

    schema: str
    users: int
    subscriptions: int
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class RestoreOutcome:
    """What was restored, the migrations that were ``applied`` afterwards, and what ``smp doctor`` found then."""

    schema: str
    users: int
    subscriptions: int
    applied: tuple[str, ...]
    findings: Sequence[CheckResult]


ByteProgress = Callable[[int], None]
"""Is called with the number of bytes that have been processed so far."""

DemoProgress = Callable[[int], None]
"""Hears how many users are written so far."""


class HandlerProvider(Protocol):
    """Hands out handlers by their type."""

    @abstractmethod
    async def get(self, handler: type[Handler], /) -> Handler:
        """The one handler of this type."""


class StartupReporter(Protocol):
    """Hears how the service starts."""

    @abstractmethod
    def notice(self, text: str) -> None:
        """Something that is worth a line."""

    @abstractmethod
    def admin_made(self, email: str, generated_password: str | None) -> None:
        """The first administrator was made; the password is told once, where it was generated."""

    @abstractmethod
    def starting(self, address: str, database: str) -> None:
        """It is about to listen at ``address``; ``database`` says which one, without secrets."""


class CliServices(Protocol):
    """The program around the command line. Nothing is read or opened before a method asks for it.

    Every method may raise; what a person is to be told of an error is :meth:`explain`'s to say.
    """

    @property
    @abstractmethod
    def version(self) -> str:
        """The version of the program."""

    @abstractmethod
    def settings_help(self) -> Sequence[SettingHelp]:
        """All settings, in words."""

    @abstractmethod
    def explain(self, error: Exception) -> Failure:
        """What a person is told of ``error``, whatever it is."""

    @abstractmethod
    def traceback_of(self, error: Exception) -> str | None:
        """Where ``error`` happened, without secrets, where that is wanted; ``None`` otherwise."""

    @abstractmethod
    def new_password(self) -> str:
        """A password that nobody can guess."""

    @abstractmethod
    def use_cases(self) -> AbstractAsyncContextManager[HandlerProvider]:
        """The use cases on the database, whose schema is of this version; where it is the embedded one, it runs."""

    @abstractmethod
    def serve(self, audience: StartupReporter) -> None:
        """Answer requests until told to stop."""

    @abstractmethod
    async def schema_state(self) -> SchemaState:
        """How far the database's schema is."""

    @abstractmethod
    async def migrate(self) -> MigrationOutcome:
        """Bring the schema to this version."""

    @abstractmethod
    def migration_sql(self) -> str:
        """The statements that make the whole schema, without a database."""

    @abstractmethod
    async def load_demo(self, users: int, progress: DemoProgress) -> DemoOutcome:
        """Fill the database with a believable set of data around ``users`` accounts, or leave the one that is there."""

    @abstractmethod
    async def back_up(self, file: Path | None, progress: ByteProgress) -> BackupOutcome:
        """Write the database, as it is at one instant, to ``file``, or to standard output; changes no data."""

    @abstractmethod
    async def restore(self, file: Path, progress: ByteProgress) -> RestoreOutcome:
        """Write the backup into the database, which must be empty, and migrate it to this version."""

    @abstractmethod
    async def diagnose(self) -> Sequence[CheckResult]:
        """Look at the settings, the database, its schema and the invariants of its data; changes nothing."""
