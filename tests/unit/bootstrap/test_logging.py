"""The log: one line for each event, with its context and without secrets."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest
import structlog

from smp.bootstrap.logging import REDACTED, configure_logging, line_formatter, logging_config, redact_text
from smp.bootstrap.settings import LogFormat, LogLevel

SECRET = "hunter2-canary"
API_KEY = "smp_" + "k" * 43

Lines = Callable[[], list[str]]


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """Return the root logger, and restore it afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def stderr(capsys: pytest.CaptureFixture[str], root: logging.Logger) -> Lines:
    """Return the lines logged so far."""
    seen: list[str] = []

    def lines() -> list[str]:
        seen.extend(capsys.readouterr().err.splitlines())
        return seen

    return lines


def as_json(stderr: Lines) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stderr()]


def ours() -> structlog.stdlib.BoundLogger:
    log: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger("smp.test")
    return log


def test_a_line_is_one_json_object_with_time_level_logger_and_event(stderr: Lines) -> None:
    configure_logging(LogFormat.JSON, LogLevel.INFO)
    ours().info("swept", expired=3)
    (line,) = as_json(stderr)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "swept", "expired": 3, "level": "info", "logger": "smp.test"}


def test_lines_of_libraries_have_the_same_form(stderr: Lines) -> None:
    configure_logging(LogFormat.JSON, LogLevel.INFO)
    logging.getLogger("somebody").warning("beware of %s", "dogs", extra={"count": 2})
    (line,) = as_json(stderr)
    assert (line["event"], line["level"], line["logger"], line["count"]) == ("beware of dogs", "warning", "somebody", 2)
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize("name", ["_granian", "asyncpg", "alembic.runtime.migration", "sqlalchemy.engine"])
def test_libraries_log_warnings_and_errors_only(stderr: Lines, name: str) -> None:
    configure_logging(LogFormat.JSON, LogLevel.INFO)
    logging.getLogger(name).info("routine")
    logging.getLogger(name).warning("trouble")
    assert [line["event"] for line in as_json(stderr)] == ["trouble"]


def test_every_line_of_a_request_has_its_id(stderr: Lines) -> None:
    configure_logging(LogFormat.JSON, LogLevel.INFO)
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        ours().info("ours")
        logging.getLogger("somebody").warning("theirs")
    ours().info("after")
    assert [line.get("request_id") for line in as_json(stderr)] == ["r-1", "r-1", None]


def test_lines_below_the_level_are_not_written(stderr: Lines) -> None:
    configure_logging(LogFormat.JSON, LogLevel.WARNING)
    ours().info("not this")
    ours().warning("this")
    assert [line["event"] for line in as_json(stderr)] == ["this"]


def fail(text: str) -> NoReturn:
    raise ValueError(text)


def leaking_lines() -> None:
    """Log every kind of line that could contain a secret by mistake."""
    log = ours()
    log.info("by name", password=SECRET, new_password=SECRET, token=SECRET, session_token=SECRET, api_key=SECRET)
    log.info("headers", headers={"Authorization": SECRET, "Cookie": SECRET, "Set-Cookie": [SECRET]})
    log.info("a request", header=f"Bearer {SECRET}", cookies=f"a=1; smp_session={SECRET}; b=2")
    log.info("in production", cookies=f"__Host-smp_session={SECRET}")
    log.info(f"a url postgresql://smp:{SECRET}@db/smp in the text")  # noqa: G004 - what careless code does
    log.info("a query", dsn=f"host=db password={SECRET}", text=f"/login?password={SECRET}&x=1")
    log.info("nested", a=[{"b": ({"password": SECRET},)}], c={"d": f"postgres://u:{SECRET}@h/d"})
    log.info("deep", a={"b": {"c": {"d": {"e": {"f": {"g": SECRET}}}}}})
    log.info("an object", error=ValueError(f"postgresql://smp:{SECRET}@db/smp"))
    log.info("%s", f"postgresql://smp:{SECRET}@db/smp")
    log.info("a hash", hash=f"$argon2id$v=19$m=19456${SECRET}")
    logging.getLogger("somebody").warning("postgresql://smp:%s@db/smp", SECRET)
    try:
        fail(f"cannot connect to postgresql://smp:{SECRET}@db/smp")
    except ValueError:
        log.exception("a traceback")
        logging.getLogger("somebody").exception("theirs")


@pytest.mark.parametrize("log_format", list(LogFormat))
def test_no_line_contains_a_secret(stderr: Lines, log_format: LogFormat) -> None:
    configure_logging(log_format, LogLevel.DEBUG)
    leaking_lines()
    text = "\n".join(stderr())
    assert "by name" in text
    assert "a traceback" in text
    assert SECRET not in text


def test_an_api_key_is_redacted_in_any_text(stderr: Lines) -> None:
    configure_logging(LogFormat.JSON, LogLevel.INFO)
    ours().info(f"who sends {API_KEY}?", path=f"/x/{API_KEY}")
    assert API_KEY not in stderr()[0]


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("a://b:c@d", f"a://b:{REDACTED}@d"),
        ("x a://b:c@d, a://b:/c:@d y", f"x a://b:{REDACTED}@d, a://b:{REDACTED}@d y"),
        ("a://b:c a://b:c@d", f"a://b:c a://b:{REDACTED}@d"),
        ("a://b:80/c?d=1", "a://b:80/c?d=1"),
    ],
)
def test_the_password_of_a_url_is_redacted(text: str, redacted: str) -> None:
    assert redact_text(text) == redacted


@pytest.mark.parametrize(
    "harmless",
    ["http://127.0.0.1:8000/docs", "2026-01-31T12:00:00Z", "user@example.com", "smp_http_requests_total", "a token"],
)
def test_a_value_that_is_no_secret_is_not_redacted(harmless: str) -> None:
    assert redact_text(harmless) == harmless


def test_a_boolean_with_the_name_of_a_secret_is_not_redacted(stderr: Lines) -> None:
    configure_logging(LogFormat.JSON, LogLevel.INFO)
    ours().info("login", password_ok=True, path="/v1/me/password")
    (line,) = as_json(stderr)
    assert (line["password_ok"], line["path"]) == (True, "/v1/me/password")


@pytest.mark.parametrize("log_format", list(LogFormat))
def test_a_callers_text_cannot_forge_a_line(stderr: Lines, log_format: LogFormat) -> None:
    """Line ends and cursor codes are escaped."""
    forged = "x\n2026-01-31T12:00:00Z [info     ] forged\r\x1b[2J\u2028forged"
    configure_logging(log_format, LogLevel.INFO)
    ours().info(forged, path=forged)
    logging.getLogger("somebody").warning(forged)
    assert len(stderr()) == 2
    assert not any(line.startswith("2026-01-31T12") for line in stderr())
    assert "\x1b[2J" not in "".join(stderr())


def test_an_exceptions_text_cannot_forge_a_line_of_the_console(stderr: Lines) -> None:
    configure_logging(LogFormat.CONSOLE, LogLevel.INFO)
    try:
        fail("x\n2026-01-31T12:00:00Z [info     ] forged")
    except ValueError:
        ours().exception("failed")
    first, *rest = stderr()
    assert "failed" in first
    assert all(line.startswith("    ") for line in rest)


def test_granian_gets_the_same_configuration(root: logging.Logger) -> None:
    """It configures logging in each worker before the program's code runs there."""
    config = logging_config(LogFormat.JSON, LogLevel.INFO)
    assert config["loggers"]["_granian"] == {"handlers": [], "propagate": True, "level": "WARNING"}
    assert config["formatters"]["smp"] == {"()": line_formatter, "log_format": LogFormat.JSON}


def test_configuring_twice_writes_each_line_once(stderr: Lines) -> None:
    configure_logging(LogFormat.JSON, LogLevel.INFO)
    configure_logging(LogFormat.JSON, LogLevel.INFO)
    ours().info("once")
    assert len(stderr()) == 1
