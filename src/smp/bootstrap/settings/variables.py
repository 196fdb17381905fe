"""The table of variables: settings are read by it, ``docs/settings.md`` and ``smp settings`` are written from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from smp.application.commands.register_user import Registration
from smp.application.commands.start_trial import TrialScope
from smp.application.password_policy import LENGTH_FLOOR
from smp.bootstrap.settings import kinds
from smp.bootstrap.settings.kinds import Kind
from smp.bootstrap.settings.model import Environment, LogFormat, LogLevel, Payments

FILE_SUFFIX: Final = "_FILE"

_DAY_S: Final = 86_400
_YEAR_S: Final = 366 * _DAY_S


@dataclass(frozen=True, slots=True)
class Variable:
    """One row of the table.

    ``field`` is the field of the settings that the variable sets. ``default`` is a value, or a mapping that has one
    value for each environment. A secret is never shown, and may be given in a file (:data:`FILE_SUFFIX`).
    """

    name: str
    field: str
    kind: Kind
    default: Any
    description: str
    secret: bool = False

    def default_in(self, environment: Environment) -> object:
        """Return the value of the field when the variable is not set."""
        return self.default[environment] if isinstance(self.default, Mapping) else self.default

    @property
    def default_text(self) -> str:
        """The default as text; empty if there is none."""
        if isinstance(self.default, Mapping):
            return ", ".join(f"{_text(value)} in {environment}" for environment, value in self.default.items())
        return _text(self.default)


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, bool) else str(value)


VARIABLES: Final[tuple[Variable, ...]] = (
    Variable(
        "SMP_ENV",
        "environment",
        kinds.choice(Environment),
        Environment.DEVELOPMENT,
        "Where SMP runs. Production has secure cookies, and neither an embedded database nor simulated payments.",
    ),
    Variable(
        "SMP_DATABASE_URL",
        "database_url",
        kinds.DATABASE_URL,
        None,
        "The PostgreSQL (15 to 18) to use. With several hosts (`one:5432,two:5432`), the one that is currently the"
        " primary. If not set, an embedded PostgreSQL runs in `SMP_DATA_DIR`. A file is read again when"
        " PostgreSQL refuses the user or the password.",
        secret=True,
    ),
    Variable(
        "SMP_DATABASE_REPLICA_URL",
        "database_replica_url",
        kinds.DATABASE_URL,
        None,
        "A standby of that PostgreSQL. Administrators' lists and statistics are read from it while it lags less than"
        " ten seconds.",
        secret=True,
    ),
    Variable(
        "SMP_DATA_DIR",
        "data_dir",
        kinds.FOLDER,
        Path(".smp"),
        "Where the embedded PostgreSQL keeps its data.",
    ),
    Variable(
        "SMP_HOST",
        "host",
        kinds.HOST,
        "127.0.0.1",
        "The address to listen on; `0.0.0.0` for all addresses of this machine.",
    ),
    Variable("SMP_PORT", "port", kinds.PORT, 8_000, "The port to listen on."),
    Variable(
        "SMP_WORKERS",
        "workers",
        kinds.integer(1, 64),
        1,
        "Processes that answer requests; more than one for each processor brings nothing.",
    ),
    Variable(
        "SMP_ADMIN_EMAIL",
        "admin_email",
        kinds.EMAIL,
        None,
        "The email address of the administrator that `smp serve` creates if there is none.",
    ),
    Variable(
        "SMP_ADMIN_PASSWORD",
        "admin_password",
        kinds.PASSWORD,
        None,
        "The password of that administrator; set both variables or neither.",
        secret=True,
    ),
    Variable(
        "SMP_PAYMENTS",
        "payments",
        kinds.choice(Payments),
        {Environment.DEVELOPMENT: Payments.SIMULATED, Environment.PRODUCTION: Payments.NONE},
        "The payment provider. `simulated` charges nothing; with `none`, only administrators activate plans"
        " with a price.",
    ),
    Variable(
        "SMP_TEST_CLOCK",
        "test_clock",
        kinds.SWITCH,
        False,  # noqa: FBT003 - a default like the others
        "Allow administrators to set the platform's clock. Give all processes on one database the same value.",
    ),
    Variable(
        "SMP_TRIAL_SCOPE",
        "trial_scope",
        kinds.choice(TrialScope),
        TrialScope.PLAN,
        "How many trials a user may have: one for each plan, or one in total; with `person`, accounts whose emails"
        " differ only by a `+tag` have one trial together.",
    ),
    Variable(
        "SMP_REGISTRATION",
        "registration",
        kinds.choice(Registration),
        Registration.OPEN,
        "Who may create accounts by `POST /v1/auth/register`: everyone, or (`closed`) administrators only.",
    ),
    Variable(
        "SMP_SWEEP_INTERVAL_S",
        "sweep_interval_s",
        kinds.seconds(0, _DAY_S),
        60,
        "How often each worker runs the expiry job; with 0, never: run `smp expire` instead.",
    ),
    Variable(
        "SMP_PURGE_INTERVAL_S",
        "purge_interval_s",
        kinds.seconds(0, _DAY_S),
        3_600,
        "How often each worker deletes rows that are no longer needed; with 0, never: run `smp purge` instead.",
    ),
    Variable(
        "SMP_FOLD_COUNTS_INTERVAL_S",
        "fold_counts_interval_s",
        kinds.seconds(0, _DAY_S),
        30,
        "How often each worker adds up the changes of the counts behind the statistics; with 0, never:"
        " run `smp fold-counts` instead.",
    ),
    Variable(
        "SMP_CLOCK_SKEW_MAX_S",
        "clock_skew_max_s",
        kinds.seconds(1, 3_600),
        5,
        "How far the clocks of this machine and of the database may differ. If they differ more, one of them is wrong:"
        " `smp serve` is not ready, and `smp expire` and `smp purge` refuse.",
    ),
    Variable(
        "SMP_LOG_FORMAT",
        "log_format",
        kinds.choice(LogFormat),
        {Environment.DEVELOPMENT: LogFormat.CONSOLE, Environment.PRODUCTION: LogFormat.JSON},
        "The format of log lines, which go to standard error.",
    ),
    Variable(
        "SMP_LOG_LEVEL",
        "log_level",
        kinds.choice(LogLevel),
        LogLevel.INFO,
        "The least severe log lines that are written. With `debug`, a command that fails prints a traceback.",
    ),
    Variable(
        "SMP_PASSWORD_MIN_LENGTH",
        "password_length_min",
        kinds.integer(LENGTH_FLOOR, 64),
        15,
        "The fewest characters that a password may have.",
    ),
    Variable(
        "SMP_PASSWORD_BLOCKLIST",
        "password_blocklist",
        kinds.FILE,
        None,
        "Passwords to refuse, one a line, in addition to the built-in list of the 30,000 most common.",
    ),
    Variable(
        "SMP_SESSION_IDLE_S",
        "session_idle_s",
        kinds.seconds(60, _YEAR_S),
        7 * _DAY_S,
        "How long a user's session lasts without use.",
    ),
    Variable(
        "SMP_SESSION_ABSOLUTE_S",
        "session_absolute_s",
        kinds.seconds(60, _YEAR_S),
        30 * _DAY_S,
        "How long a user's session lasts at most.",
    ),
    Variable(
        "SMP_ADMIN_SESSION_IDLE_S",
        "admin_session_idle_s",
        kinds.seconds(60, _YEAR_S),
        1_800,
        "How long an administrator's session lasts without use.",
    ),
    Variable(
        "SMP_ADMIN_SESSION_ABSOLUTE_S",
        "admin_session_absolute_s",
        kinds.seconds(60, _YEAR_S),
        43_200,
        "How long an administrator's session lasts at most.",
    ),
    Variable(
        "SMP_DATABASE_POOL_SIZE",
        "database_pool_size",
        kinds.integer(2, 200),
        10,
        "How many connections each worker opens at most: so many to PostgreSQL, and so many to the replica.",
    ),
    Variable(
        "SMP_DATABASE_PREPARED_STATEMENTS",
        "database_prepared_statements",
        kinds.SWITCH,
        True,  # noqa: FBT003 - a default like the others
        "Prepare each SQL statement once for each connection. Set it to 0 behind PgBouncer in transaction mode.",
    ),
    Variable(
        "SMP_HASH_CONCURRENCY",
        "hash_concurrency",
        kinds.integer(1, 64),
        2,
        "How many passwords each worker hashes at the same time; each needs 19 MiB and a processor.",
    ),
    Variable(
        "SMP_TRUSTED_PROXIES",
        "trusted_proxies",
        kinds.integer(0, 10),
        0,
        "How many of your reverse proxies are in front of SMP and append to `X-Forwarded-For`.",
    ),
    Variable(
        "SMP_PUBLIC_URL",
        "public_url",
        kinds.PUBLIC_URL,
        None,
        "The address at which clients reach SMP. If it has a path, a proxy must remove the path from the requests; the"
        " addresses in responses begin with it.",
    ),
    Variable(
        "SMP_METRICS_PORT",
        "metrics_port",
        kinds.PORT,
        None,
        "A separate port for `/metrics`, on `SMP_HOST`. If not set, `/metrics` is on `SMP_PORT`.",
    ),
    Variable(
        "SMP_KEEP_ALIVE_S",
        "keep_alive_s",
        kinds.seconds(5, 3_600),
        75,
        "How long a connection may be without a request, and how long its headers may take. It must be longer than the"
        " idle time-out of a load balancer in front, which is 60 for many of them.",
    ),
    Variable(
        "SMP_SHUTDOWN_GRACE_S",
        "shutdown_grace_s",
        kinds.seconds(1, 3_600),
        25,
        "How long a stop waits for running requests before it ends them.",
    ),
)
