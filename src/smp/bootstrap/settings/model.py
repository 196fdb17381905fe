"""The settings as values, with a type for each choice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from smp.application.commands.register_user import Registration
from smp.application.commands.start_trial import TrialScope
from smp.domain.user.session import SessionPolicy, Timeouts


class Environment(StrEnum):
    """The purpose of an installation: development, or serving real users."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class Payments(StrEnum):
    """A payment provider."""

    SIMULATED = "simulated"
    NONE = "none"


class LogFormat(StrEnum):
    """A format of log lines: one JSON object a line, or text for a terminal."""

    JSON = "json"
    CONSOLE = "console"


class LogLevel(StrEnum):
    """The severity of a log line."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one process; one field for each variable of the table, and ``secret_files``."""

    environment: Environment
    data_dir: Path
    host: str
    port: int
    workers: int
    payments: Payments
    test_clock: bool
    trial_scope: TrialScope
    registration: Registration
    sweep_interval_s: int
    purge_interval_s: int
    fold_counts_interval_s: int
    log_format: LogFormat
    log_level: LogLevel
    password_length_min: int
    session_idle_s: int
    session_absolute_s: int
    admin_session_idle_s: int
    admin_session_absolute_s: int
    database_pool_size: int
    database_prepared_statements: bool
    hash_concurrency: int
    trusted_proxies: int
    keep_alive_s: int
    shutdown_grace_s: int
    clock_skew_max_s: int
    password_blocklist: Path | None = None
    metrics_port: int | None = None
    public_url: str | None = None
    admin_email: str | None = None
    admin_password: str | None = field(default=None, repr=False)
    database_url: str | None = field(default=None, repr=False)
    database_replica_url: str | None = field(default=None, repr=False)
    secret_files: Mapping[str, Path] = field(default_factory=dict, repr=False)
    """The files that secrets were read from, by field."""

    @property
    def is_production(self) -> bool:
        """Whether SMP serves real users."""
        return self.environment is Environment.PRODUCTION

    @property
    def is_debug(self) -> bool:
        """Whether errors are shown with a traceback."""
        return self.log_level is LogLevel.DEBUG

    @property
    def session_policy(self) -> SessionPolicy:
        """The time-outs of sessions by role."""
        return SessionPolicy(
            user=Timeouts(timedelta(seconds=self.session_idle_s), timedelta(seconds=self.session_absolute_s)),
            admin=Timeouts(
                timedelta(seconds=self.admin_session_idle_s), timedelta(seconds=self.admin_session_absolute_s)
            ),
        )

    @property
    def address(self) -> str:
        """The URL of the service on this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - read, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


class SettingsInvalid(Exception):
    """The environment has mistakes; ``problems`` has one line for each."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
