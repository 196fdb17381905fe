"""The settings: one table of environment variables, and how they are read.

The table is data: :func:`load_settings` reads by it, and ``docs/settings.md`` and ``smp settings`` are written from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from smp.adapters.postgres.urls import server_urls
from smp.application.commands.start_trial import TrialScope
from smp.application.password_policy import LENGTH_FLOOR
from smp.domain.errors import ValidationError
from smp.domain.user.session import SessionPolicy, Timeouts
from smp.domain.user.user import Email

PREFIX: Final = "SMP_"
FILE_SUFFIX: Final = "_FILE"
SECRET_BYTES_MAX: Final = 8_192
_DAY_S: Final = 86_400
_YEAR_S: Final = 366 * _DAY_S


class Environment(StrEnum):
    """Where the platform runs: on a developer's machine, or for real users."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class Payments(StrEnum):
    """Who takes the money."""

    SIMULATED = "simulated"
    NONE = "none"


class LogFormat(StrEnum):
    """How log lines are written: one JSON object a line, or for people."""

    JSON = "json"
    CONSOLE = "console"


class LogLevel(StrEnum):
    """The least severe log lines that are written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that the environment decides; one field for each variable of :data:`VARIABLES`."""

    environment: Environment
    data_dir: Path
    host: str
    port: int
    workers: int
    payments: Payments
    test_clock: bool
    trial_scope: TrialScope
    sweep_interval_s: int
    log_format: LogFormat
    log_level: LogLevel
    password_length_min: int
    session_idle_s: int
    session_absolute_s: int
    admin_session_idle_s: int
    admin_session_absolute_s: int
    database_pool_size: int
    hash_concurrency: int
    trusted_proxies: int
    shutdown_grace_s: int
    password_blocklist: Path | None = None
    metrics_port: int | None = None
    admin_email: str | None = None
    admin_password: str | None = field(default=None, repr=False)
    database_url: str | None = field(default=None, repr=False)
    database_replica_url: str | None = field(default=None, repr=False)

    @property
    def is_production(self) -> bool:
        """Whether real users are served."""
        return self.environment is Environment.PRODUCTION

    @property
    def is_debug(self) -> bool:
        """Whether errors are shown with all that the program knows of them."""
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
        """Where the service is reached from this machine."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - read, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


class SettingsInvalid(Exception):
    """The environment asks for what cannot be; ``problems`` names every bad variable in one line each."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Kind:
    """What a variable's text must be. ``parse`` raises ValueError, whose text, if any, says more than ``wanted``."""

    wanted: str
    parse: Callable[[str], Any]


Default = Mapping[Environment, Any]
"""A default that depends on the environment."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One row of the table: the variable, the field that it sets, what it must be, and what it is for."""

    name: str
    field: str
    kind: Kind
    default: Any
    description: str
    secret: bool = False

    def default_in(self, environment: Environment) -> object:
        """The value where the variable is not set."""
        return self.default[environment] if isinstance(self.default, Mapping) else self.default

    @property
    def default_text(self) -> str:
        """The default for people; empty for none."""
        if isinstance(self.default, Mapping):
            return ", ".join(f"{_text(value)} in {environment}" for environment, value in self.default.items())
        return _text(self.default)


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings; only names that begin with ``SMP_`` count, and files that a ``…_FILE`` variable names.

    Raises:
        SettingsInvalid: naming everything that is wrong, at once.
    """
    problems = [_unknown(name) for name in sorted(environ) if name.startswith(PREFIX) and name not in _KNOWN]
    values: dict[str, Any] = {}
    for variable in VARIABLES:
        try:
            given = _given(variable, environ)
            if given is None:
                environment = values.get("environment", Environment.DEVELOPMENT)
                values[variable.field] = variable.default_in(environment)
            else:
                values[variable.field] = _parse(variable, given)
        except ValueError as error:
            problems.append(str(error))
    problems += _contradictions(values)
    if problems:
        raise SettingsInvalid(tuple(problems))
    return Settings(**values)


def settings_markdown() -> str:
    """The list of all settings, as docs/settings.md holds it."""
    rows = [
        f"| `{variable.name}` | {_code(variable.default_text)} | {variable.kind.wanted} | {variable.description} |"
        for variable in VARIABLES
    ]
    return "\n".join(
        [
            "# Settings",
            "",
            "SMP is set by environment variables and by nothing else. A name that begins with `SMP_` and is not",
            "listed here is an error, as is a value that is not what is wanted: `smp` then names every bad variable",
            "and ends with exit code 2. An empty value is not the same as none. `smp doctor` checks the settings too.",
            "",
            "| variable | default | wanted | what it is |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
            "## Secrets in files",
            "",
            *(f"`{name}{FILE_SUFFIX}` may name a file that holds the value of `{name}`." for name in _IN_FILES),
            "One line end at the file's end is not part of the value. Giving both is an error.",
            "",
            "## In production",
            "",
            "With `SMP_ENV=production`, `SMP_DATABASE_URL` is needed, and `SMP_PAYMENTS=simulated` and",
            "`SMP_TEST_CLOCK=1` are refused.",
            "",
            "## In Kubernetes",
            "",
            "A Service with the name `smp` makes Kubernetes put `SMP_PORT`, `SMP_SERVICE_HOST` and the like into every",
            "pod of its namespace. Set `enableServiceLinks: false` in the pod, as the manifests of this repository do.",
            "",
        ]
    )


def _integer(low: int, high: int, unit: str = "") -> Kind:
    wanted = f"a whole number{unit} from {low} to {high}"

    def parse(text: str) -> int:
        # Digits only: int() would take "1_000", "+5" and other scripts' digits.
        if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise ValueError
        return int(text)

    return Kind(wanted, parse)


def _seconds(low: int, high: int) -> Kind:
    return _integer(low, high, " of seconds")


def _choice(choices: type[StrEnum]) -> Kind:
    return Kind(" or ".join(f"`{choice}`" for choice in choices), choices)


def _switch(text: str) -> bool:
    return {"1": True, "true": True, "0": False, "false": False}[text]


def _file_path(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_file():
        raise ValueError("no file is there")
    return path


def _folder_path(text: str) -> Path:
    path = Path(text).expanduser()
    if "\x00" in text or (path.exists() and not path.is_dir()):
        raise ValueError("it is not a folder")
    return path


def _host(text: str) -> str:
    if not re.fullmatch(r"[0-9A-Za-z.:_%-]{1,253}", text):
        raise ValueError
    return text


def _email(text: str) -> str:
    try:
        return Email(text).text
    except ValidationError:
        raise ValueError from None


def _database_url(text: str) -> str:
    if text.partition("://")[0] not in {"postgresql", "postgres"}:
        # What stands in its place is not shown: it may be the password.
        raise ValueError("it must begin with postgresql://, and name no driver")
    try:
        servers = [urlsplit(url) for url in server_urls(text)]
        _ = [server.port for server in servers]  # a property that raises ValueError for what is no port
    except ValueError:
        raise ValueError("its port or its brackets are wrong; write @ : / in a password as %40 %3A %2F") from None
    if not servers[0].path.strip("/"):
        raise ValueError("it names no database; add /NAME at its end")
    return text


_SWITCH: Final = Kind("`1`, `true`, `0` or `false`", _switch)
_PORT: Final = _integer(1, 65_535)

VARIABLES: Final[tuple[Variable, ...]] = (
    Variable(
        "SMP_ENV",
        "environment",
        _choice(Environment),
        Environment.DEVELOPMENT,
        "Where it runs. Production has no embedded database, secure cookies and no simulated payments.",
    ),
    Variable(
        "SMP_DATABASE_URL",
        "database_url",
        Kind("a URL like `postgresql://user:password@host:5432/name`", _database_url),
        None,
        "The PostgreSQL (15 to 18) to use; of several servers (`one:5432,two:5432`) the primary, whoever that is."
        " Without it an embedded one runs in `SMP_DATA_DIR`.",
        secret=True,
    ),
    Variable(
        "SMP_DATABASE_REPLICA_URL",
        "database_replica_url",
        Kind("a URL like `postgresql://user:password@host:5432/name`", _database_url),
        None,
        "A standby of that PostgreSQL for administrators' lists and statistics, while it lags less than ten seconds.",
        secret=True,
    ),
    Variable(
        "SMP_DATA_DIR",
        "data_dir",
        Kind("a folder that can be made or written to", _folder_path),
        Path(".smp"),
        "Where the embedded PostgreSQL keeps its data.",
    ),
    Variable(
        "SMP_HOST",
        "host",
        Kind("an address or a name of this machine", _host),
        "127.0.0.1",
        "The address to listen at; `0.0.0.0` for all of this machine's.",
    ),
    Variable("SMP_PORT", "port", _PORT, 8_000, "The port to listen at."),
    Variable(
        "SMP_WORKERS",
        "workers",
        _integer(1, 64),
        1,
        "Processes that answer requests; one for each processor is plenty.",
    ),
    Variable(
        "SMP_ADMIN_EMAIL",
        "admin_email",
        Kind("an email address", _email),
        None,
        "The administrator that `smp serve` makes where there is none.",
    ),
    Variable(
        "SMP_ADMIN_PASSWORD",
        "admin_password",
        Kind("a password", str),
        None,
        "That administrator's password; given with `SMP_ADMIN_EMAIL` or not at all.",
        secret=True,
    ),
    Variable(
        "SMP_PAYMENTS",
        "payments",
        _choice(Payments),
        {Environment.DEVELOPMENT: Payments.SIMULATED, Environment.PRODUCTION: Payments.NONE},
        "Who takes the money. `simulated` charges nothing; with `none`, administrators activate what has a price.",
    ),
    Variable(
        "SMP_TEST_CLOCK",
        "test_clock",
        _SWITCH,
        False,  # noqa: FBT003 - a default like the others
        "Lets administrators set the platform's clock; all processes on one database must agree on it.",
    ),
    Variable(
        "SMP_TRIAL_SCOPE",
        "trial_scope",
        _choice(TrialScope),
        TrialScope.PLAN,
        "How often a user may try: once for each plan, or once at all.",
    ),
    Variable(
        "SMP_SWEEP_INTERVAL_S",
        "sweep_interval_s",
        _seconds(0, _DAY_S),
        60,
        "How often each worker writes down what time has ended; 0 for never, then run `smp expire`.",
    ),
    Variable(
        "SMP_LOG_FORMAT",
        "log_format",
        _choice(LogFormat),
        {Environment.DEVELOPMENT: LogFormat.CONSOLE, Environment.PRODUCTION: LogFormat.JSON},
        "How log lines are written, to standard error.",
    ),
    Variable(
        "SMP_LOG_LEVEL",
        "log_level",
        _choice(LogLevel),
        LogLevel.INFO,
        "The least severe lines that are written. With `debug`, commands that fail show where.",
    ),
    Variable(
        "SMP_PASSWORD_MIN_LENGTH",
        "password_length_min",
        _integer(LENGTH_FLOOR, 64),
        15,
        "Characters in the shortest password that is taken.",
    ),
    Variable(
        "SMP_PASSWORD_BLOCKLIST",
        "password_blocklist",
        Kind("the path of a text file", _file_path),
        None,
        "Passwords to refuse, one a line, besides the built-in 30,000 most common ones.",
    ),
    Variable(
        "SMP_SESSION_IDLE_S",
        "session_idle_s",
        _seconds(60, _YEAR_S),
        7 * _DAY_S,
        "How long a user's session lives unused.",
    ),
    Variable(
        "SMP_SESSION_ABSOLUTE_S",
        "session_absolute_s",
        _seconds(60, _YEAR_S),
        30 * _DAY_S,
        "How long a user's session lives at most.",
    ),
    Variable(
        "SMP_ADMIN_SESSION_IDLE_S",
        "admin_session_idle_s",
        _seconds(60, _YEAR_S),
        1_800,
        "How long an administrator's session lives unused.",
    ),
    Variable(
        "SMP_ADMIN_SESSION_ABSOLUTE_S",
        "admin_session_absolute_s",
        _seconds(60, _YEAR_S),
        43_200,
        "How long an administrator's session lives at most.",
    ),
    Variable(
        "SMP_DATABASE_POOL_SIZE",
        "database_pool_size",
        _integer(2, 200),
        10,
        "Connections to PostgreSQL that each worker opens at most, and as many to the replica.",
    ),
    Variable(
        "SMP_HASH_CONCURRENCY",
        "hash_concurrency",
        _integer(1, 64),
        2,
        "Passwords that each worker hashes at once; each takes 19 MiB and a processor meanwhile.",
    ),
    Variable(
        "SMP_TRUSTED_PROXIES",
        "trusted_proxies",
        _integer(0, 10),
        0,
        "How many reverse proxies of yours stand in front and add to `X-Forwarded-For`.",
    ),
    Variable(
        "SMP_METRICS_PORT",
        "metrics_port",
        _PORT,
        None,
        "The port of its own that `/metrics` is served at, on `SMP_HOST`; without it, it is on `SMP_PORT`.",
    ),
    Variable(
        "SMP_SHUTDOWN_GRACE_S",
        "shutdown_grace_s",
        _seconds(1, 3_600),
        25,
        "How long a stop waits for requests under way before it ends them.",
    ),
)

_IN_FILES: Final = tuple(variable.name for variable in VARIABLES if variable.secret)
_KNOWN: Final = frozenset(v.name for v in VARIABLES) | frozenset(f"{name}{FILE_SUFFIX}" for name in _IN_FILES)
_SERVICE_LINK: Final = re.compile(r"SMP_(?:SERVICE_(?:HOST|PORT)(?:_.+)?|PORT_[0-9]+_(?:TCP|UDP)(?:_.+)?)")
_SERVICE_LINK_ADVICE: Final = (
    "set enableServiceLinks: false in the pod, for Kubernetes made it from a Service named smp"
)


def _given(variable: Variable, environ: Mapping[str, str]) -> str | None:
    text = environ.get(variable.name)
    file_name = f"{variable.name}{FILE_SUFFIX}"
    file_text = environ.get(file_name) if variable.secret else None
    if text is not None and file_text is not None:
        raise ValueError(f"{variable.name} and {file_name} are both set; give one of them")
    if file_text is not None:
        variable_text = _read_secret(file_name, file_text)
    elif text is not None:
        variable_text = text
    else:
        return None
    if not variable_text:
        raise ValueError(f"{variable.name} is empty; it must be {_plain(variable.kind.wanted)}, or not be set at all")
    return variable_text


def _read_secret(name: str, file: str) -> str:
    path = Path(file).expanduser()
    try:
        if path.stat().st_size > SECRET_BYTES_MAX:
            raise ValueError(f"{name} names {file!r}, which is larger than {SECRET_BYTES_MAX} bytes")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(f"{name} names {file!r}, which cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{name} names {file!r}, which is not text in UTF-8") from None
    return text.removesuffix("\n").removesuffix("\r")


def _parse(variable: Variable, text: str) -> object:
    try:
        return variable.kind.parse(text)
    except (ValueError, KeyError) as error:
        shown = "" if variable.secret else f", not {text[:100]!r}"
        # An enumeration's own message only repeats the text.
        more = str(error) if isinstance(error, ValueError) and "is not a valid" not in str(error) else ""
        if _PORT is variable.kind and "://" in text:
            more = _SERVICE_LINK_ADVICE
        why = f" ({more})" if more else ""
        raise ValueError(f"{variable.name} must be {_plain(variable.kind.wanted)}{shown}{why}") from None


def _unknown(name: str) -> str:
    if _SERVICE_LINK.fullmatch(name):
        return f"{name} is not a setting; {_SERVICE_LINK_ADVICE}"
    near = get_close_matches(name, sorted(_KNOWN), n=3, cutoff=0.8)
    if near:
        return f"{name} is not a setting; did you mean {' or '.join(near)}?"
    return f"{name} is not a setting; smp settings lists them"


def _contradictions(values: Mapping[str, Any]) -> list[str]:
    """What no single variable has wrong; ``values`` lacks those that have."""
    problems = []
    halves = [values[half] is None for half in ("admin_email", "admin_password") if half in values]
    if len(set(halves)) > 1:
        missing = "SMP_ADMIN_EMAIL" if halves[0] else "SMP_ADMIN_PASSWORD"
        problems.append(
            f"{missing} is missing; email and password of the first administrator are given together or not at all"
        )
    length_min = values.get("password_length_min", 0)
    if len(values.get("admin_password") or "x" * length_min) < length_min:
        problems.append(f"SMP_ADMIN_PASSWORD must have at least {length_min} characters (SMP_PASSWORD_MIN_LENGTH)")
    for who in ("session", "admin_session"):
        if values.get(f"{who}_idle_s", 0) > values.get(f"{who}_absolute_s", _YEAR_S):
            name = f"SMP_{who.upper()}"
            problems.append(f"{name}_IDLE_S must not be more than {name}_ABSOLUTE_S")
    if "port" in values and values["port"] == values.get("metrics_port"):
        problems.append("SMP_METRICS_PORT must not be SMP_PORT; unset it to have /metrics there")
    if values.get("database_replica_url") and values.get("database_url", "") is None:
        problems.append("SMP_DATABASE_REPLICA_URL needs SMP_DATABASE_URL: the embedded PostgreSQL has no replica")
    if values.get("environment") is Environment.PRODUCTION:
        problems += _production_problems(values)
    return problems


def _production_problems(values: Mapping[str, Any]) -> list[str]:
    problems = []
    if "database_url" in values and values["database_url"] is None:
        problems.append(
            "SMP_DATABASE_URL is missing; production needs a PostgreSQL of yours, the embedded one is for development"
        )
    if values.get("payments") is Payments.SIMULATED:
        problems.append("SMP_PAYMENTS must not be simulated in production, where nothing would be charged; use none")
    if values.get("test_clock"):
        problems.append("SMP_TEST_CLOCK must not be set in production, where nobody may move the clock")
    return problems


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, bool) else str(value)


def _code(text: str) -> str:
    """In code marks, word by word where the text names environments."""
    if not text:
        return "none"
    return re.sub(r"(^|, )([^ ,]+)", r"\1`\2`", text)


def _plain(wanted: str) -> str:
    return wanted.replace("`", "")
