"""Reading the settings from the environment; every mistake is reported at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from smp.bootstrap.settings import kinds
from smp.bootstrap.settings.model import Environment, Payments, Settings, SettingsInvalid
from smp.bootstrap.settings.variables import FILE_SUFFIX, VARIABLES, Variable

PREFIX: Final = "SMP_"
SECRET_BYTES_MAX: Final = 8_192

_KNOWN: Final = frozenset(variable.name for variable in VARIABLES) | frozenset(
    f"{variable.name}{FILE_SUFFIX}" for variable in VARIABLES if variable.secret
)
_SERVICE_LINK: Final = re.compile(r"SMP_(?:SERVICE_(?:HOST|PORT)(?:_.+)?|PORT_[0-9]+_(?:TCP|UDP)(?:_.+)?)")
_SERVICE_LINK_ADVICE: Final = (
    "Kubernetes sets it because there is a Service named smp: set enableServiceLinks: false in the pod"
)


def load_settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings from the variables that begin with ``SMP_``, and from files that a ``…_FILE`` variable names.

    Raises:
        SettingsInvalid: with every mistake.
    """
    problems = [_unknown(name) for name in sorted(environ) if name.startswith(PREFIX) and name not in _KNOWN]
    values: dict[str, Any] = {}
    for variable in VARIABLES:
        try:
            text = _read(variable, environ)
            if text is None:
                environment = values.get("environment", Environment.DEVELOPMENT)
                values[variable.field] = variable.default_in(environment)
            else:
                values[variable.field] = _parse(variable, text)
        except ValueError as error:
            problems.append(str(error))
    problems += _contradictions(values)
    if problems:
        raise SettingsInvalid(tuple(problems))
    return Settings(**values, secret_files=_secret_files(environ))


def secret_source(settings: Settings, field: str) -> Callable[[], str] | None:
    """Return a function that reads the secret's file again; ``None`` if the secret was not read from a file.

    The function raises ValueError if the file cannot be read, or if its text is not allowed.
    """
    file = settings.secret_files.get(field)
    if file is None:
        return None
    variable = next(variable for variable in VARIABLES if variable.field == field)

    def read() -> str:
        return str(_parse(variable, _read_secret(f"{variable.name}{FILE_SUFFIX}", str(file))))

    return read


def _secret_files(environ: Mapping[str, str]) -> Mapping[str, Path]:
    named = {variable.field: environ.get(f"{variable.name}{FILE_SUFFIX}") for variable in VARIABLES if variable.secret}
    return {field: Path(name) for field, name in named.items() if name is not None}


def _unknown(name: str) -> str:
    if _SERVICE_LINK.fullmatch(name):
        return f"{name} is not a setting; {_SERVICE_LINK_ADVICE}"
    near = get_close_matches(name, sorted(_KNOWN), n=3, cutoff=0.8)
    if near:
        return f"{name} is not a setting; did you mean {' or '.join(near)}?"
    return f"{name} is not a setting; smp settings lists them"


def _read(variable: Variable, environ: Mapping[str, str]) -> str | None:
    """Return the text of the variable or of its file; ``None`` if neither is set."""
    text = environ.get(variable.name)
    file_name = f"{variable.name}{FILE_SUFFIX}"
    file = environ.get(file_name) if variable.secret else None
    if text is not None and file is not None:
        raise ValueError(f"{variable.name} and {file_name} are both set; set one of them")
    if file is not None:
        text = _read_secret(file_name, file)
    if text == "":
        raise ValueError(f"{variable.name} is empty; it must be {variable.kind.expected_text}, or not be set at all")
    return text


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
        given = "" if variable.secret else f", not {text[:100]!r}"
        # The message of an enumeration only repeats the text.
        reason = str(error) if isinstance(error, ValueError) and "is not a valid" not in str(error) else ""
        if variable.kind is kinds.PORT and "://" in text:
            reason = _SERVICE_LINK_ADVICE
        why = f" ({reason})" if reason else ""
        raise ValueError(f"{variable.name} must be {variable.kind.expected_text}{given}{why}") from None


def _contradictions(values: Mapping[str, Any]) -> list[str]:
    """Find the mistakes that take two variables; ``values`` has only the fields whose variables are right."""
    problems = []
    halves = [values[half] is None for half in ("admin_email", "admin_password") if half in values]
    if len(set(halves)) > 1:
        missing = "SMP_ADMIN_EMAIL" if halves[0] else "SMP_ADMIN_PASSWORD"
        problems.append(f"{missing} is missing; set both the email and the password of the first administrator")
    length_min = values.get("password_length_min", 0)
    if len(values.get("admin_password") or "x" * length_min) < length_min:
        problems.append(f"SMP_ADMIN_PASSWORD must have at least {length_min} characters (SMP_PASSWORD_MIN_LENGTH)")
    for session in ("session", "admin_session"):
        idle_s, absolute_s = values.get(f"{session}_idle_s"), values.get(f"{session}_absolute_s")
        if idle_s is not None and absolute_s is not None and idle_s > absolute_s:
            name = f"SMP_{session.upper()}"
            problems.append(f"{name}_IDLE_S must not be more than {name}_ABSOLUTE_S")
    if "port" in values and values["port"] == values.get("metrics_port"):
        problems.append("SMP_METRICS_PORT must not be SMP_PORT; unset it to have /metrics on SMP_PORT")
    if values.get("database_replica_url") and values.get("database_url", "") is None:
        problems.append("SMP_DATABASE_REPLICA_URL needs SMP_DATABASE_URL: the embedded PostgreSQL has no replica")
    if values.get("environment") is Environment.PRODUCTION:
        problems += _production_problems(values)
    return problems


def _production_problems(values: Mapping[str, Any]) -> list[str]:
    problems = []
    if "database_url" in values and values["database_url"] is None:
        problems.append(
            "SMP_DATABASE_URL is missing; production needs a PostgreSQL server, the embedded one is for development"
        )
    if values.get("payments") is Payments.SIMULATED:
        problems.append("SMP_PAYMENTS must not be simulated in production, because nothing would be charged; use none")
    if values.get("test_clock"):
        problems.append("SMP_TEST_CLOCK must not be set in production, because it allows changing the platform's time")
    return problems
