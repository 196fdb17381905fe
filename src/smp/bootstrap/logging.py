"""The log: lines of structlog and of the standard library's loggers, on standard error, without secrets.

Every line has ``timestamp`` (UTC), ``level``, ``logger`` and ``event``, and ``request_id`` within a request. Lines of
Granian, asyncpg and Alembic have the same form.
"""

from __future__ import annotations

import logging
import logging.config
import re
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from textwrap import indent
from typing import Any, Final

import structlog
from structlog.typing import Processor

from smp.bootstrap.settings import LogFormat, LogLevel

REDACTED: Final = "[redacted]"
DEPTH_MAX: Final = 6
"""How deep nested values are searched for secrets; deeper values are redacted as a whole."""

_SECRET_NAME: Final = re.compile(
    r"passw(?:or)?d|passphrase|secret|token|cookie|authorization|api[-_]?key|credential|database_url|dsn", re.IGNORECASE
)
# The password of a URL, if an @ follows. All of it is one match also without an @, so that it is searched once only.
_URL_PASSWORD: Final = re.compile(r"(://[^\s:/@?#]*+:)[^\s@]++(@?)")
# A bearer secret, a session cookie, an API key, a password in a form or a DSN, and a hash.
_SECRET_TEXTS: Final = (
    (re.compile(r"(\bbearer\s+)[^\s\"',;]+", re.IGNORECASE), rf"\1{REDACTED}"),
    (re.compile(r"((?:__Host-)?smp_session=)[^\s\"',;]+"), rf"\1{REDACTED}"),
    (re.compile(r"\bsmp_[A-Za-z0-9_-]{43}\b"), REDACTED),
    (re.compile(r"(\b(?:password|passwd|pwd)=)[^\s&;,]+", re.IGNORECASE), rf"\1{REDACTED}"),
    (re.compile(r"\$argon2[a-z]*\$\S+"), REDACTED),
)

_SHARED: Final[tuple[Processor, ...]] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def configure_logging(log_format: LogFormat, log_level: LogLevel) -> None:
    """Send every log line of this process to standard error; may be called again."""
    logging.config.dictConfig(logging_config(log_format, log_level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.add_log_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def logging_config(log_format: LogFormat, log_level: LogLevel) -> dict[str, Any]:
    """Return the configuration for :func:`logging.config.dictConfig`, which Granian applies in its workers."""
    level = log_level.value.upper()
    quiet = level if log_level is LogLevel.DEBUG else "WARNING"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"smp": {"()": line_formatter, "log_format": log_format}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "stream": "ext://sys.stderr", "formatter": "smp"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Only their warnings and errors: what they report at each start helps no operator.
            name: {"handlers": [], "propagate": True, "level": quiet}
            for name in ("_granian", "granian.access", "asyncio", "asyncpg", "alembic", "sqlalchemy", "litestar")
        },
    }


def line_formatter(log_format: LogFormat) -> logging.Formatter:
    """Return a formatter that renders a record as one line: JSON, or text for people."""
    if log_format is LogFormat.JSON:
        rendering: list[Processor] = [
            structlog.processors.format_exc_info,
            redact,
            structlog.processors.JSONRenderer(sort_keys=False, default=repr),
        ]
    else:
        rendering = [
            structlog.processors.format_exc_info,
            redact,
            _one_line,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=list(_SHARED),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
    )


def redact(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Redact the secrets of a log line: values with the name of a secret, and texts that look like one."""
    return {key: _without_secrets(key, value, DEPTH_MAX) for key, value in event.items()}


def redact_text(text: str) -> str:
    """Redact everything in a text that looks like a secret, in time linear in its length."""
    text = _URL_PASSWORD.sub(lambda match: f"{match[1]}{REDACTED}@" if match[2] else match[0], text)
    for pattern, replacement in _SECRET_TEXTS:
        text = pattern.sub(replacement, text)
    return text


def _without_secrets(key: object, value: object, depth: int) -> object:  # noqa: PLR0911 - a case each
    if isinstance(key, str) and _SECRET_NAME.search(key) and value is not None and not isinstance(value, bool):
        return REDACTED
    if isinstance(value, (bool, int, float)) or value is None:
        return value
    if depth == 0:
        return REDACTED
    if isinstance(value, Mapping):
        return {inner: _without_secrets(inner, item, depth - 1) for inner, item in value.items()}
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, (Sequence, set, frozenset)) and not isinstance(value, (bytes, bytearray)):
        return [_without_secrets(None, item, depth - 1) for item in value]
    return redact_text(str(value))


def _one_line(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Indent text after a line end, so that a value cannot forge a line of the console log."""
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[key] = "\n".join(map(_escaped, value.splitlines())) if key == "exception" else _escaped(value)
    if "exception" in event:
        event["exception"] = indent(str(event["exception"]), "    ")
    return event


def _escaped(text: str) -> str:
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
