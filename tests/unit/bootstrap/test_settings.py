"""Settings are read from the environment, and every mistake is reported at once."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest

from smp.application.commands.start_trial import TrialScope
from smp.bootstrap.settings import (
    VARIABLES,
    Environment,
    LogFormat,
    LogLevel,
    Payments,
    Settings,
    SettingsInvalid,
    load_settings,
    secret_source,
    settings_markdown,
)
from smp.domain.user.session import Timeouts

PRODUCTION = {"SMP_ENV": "production", "SMP_DATABASE_URL": "postgresql://smp:hunter2@db:5432/smp"}


def problems(environ: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(SettingsInvalid) as caught:
        load_settings(environ)
    return caught.value.problems


def the_problem(environ: dict[str, str]) -> str:
    (problem,) = problems(environ)
    return problem


def test_every_setting_has_one_variable() -> None:
    """Every field has its variable, and every variable its field."""
    names = {field.name for field in fields(Settings)} - {"secret_files"}
    assert sorted(variable.field for variable in VARIABLES) == sorted(names)
    assert len({variable.name for variable in VARIABLES}) == len(VARIABLES)


def test_an_empty_environment_gives_the_documented_defaults() -> None:
    settings = load_settings({})
    assert settings.environment is Environment.DEVELOPMENT
    assert (settings.database_url, settings.data_dir) == (None, Path(".smp"))
    assert (settings.host, settings.port, settings.workers, settings.metrics_port) == ("127.0.0.1", 8000, 1, None)
    assert (settings.payments, settings.test_clock) == (Payments.SIMULATED, False)
    assert settings.trial_scope is TrialScope.PLAN
    assert (settings.sweep_interval_s, settings.shutdown_grace_s) == (60, 25)
    assert (settings.log_format, settings.log_level) == (LogFormat.CONSOLE, LogLevel.INFO)
    assert (settings.password_length_min, settings.password_blocklist) == (15, None)
    assert (settings.database_pool_size, settings.hash_concurrency, settings.trusted_proxies) == (10, 2, 0)
    assert settings.session_policy.user == Timeouts(timedelta(days=7), timedelta(days=30))
    assert settings.session_policy.admin == Timeouts(timedelta(minutes=30), timedelta(hours=12))


def test_production_has_other_defaults() -> None:
    settings = load_settings(PRODUCTION)
    assert (settings.payments, settings.log_format, settings.is_production) == (Payments.NONE, LogFormat.JSON, True)


def test_variables_without_the_prefix_are_ignored() -> None:
    assert load_settings({"PATH": "/bin", "XSMP_PORT": "1", "smp_port": "1"}) == load_settings({})


@pytest.mark.parametrize(
    ("name", "suggested"),
    [("SMP_PROT", "SMP_PORT"), ("SMP_DATABASEURL", "SMP_DATABASE_URL"), ("SMP_WORKER", "SMP_WORKERS")],
)
def test_an_unknown_name_is_refused_with_a_suggestion(name: str, suggested: str) -> None:
    problem = the_problem({name: "1"})
    assert problem.startswith(f"{name} is not a setting; did you mean ")
    assert suggested in problem


def test_an_unknown_name_without_a_similar_one_is_refused_with_the_command_that_lists_all_settings() -> None:
    assert the_problem({"SMP_QQQ": "1"}) == "SMP_QQQ is not a setting; smp settings lists them"


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("SMP_ENV", "prod"),
        ("SMP_PORT", "0"),
        ("SMP_PORT", "65536"),
        ("SMP_PORT", "8_000"),
        ("SMP_PORT", "+80"),
        ("SMP_PORT", " 80"),
        ("SMP_PORT", "\u0661"),
        ("SMP_PORT", "9" * 5_000),
        ("SMP_WORKERS", "65"),
        ("SMP_WORKERS", "two"),
        ("SMP_TEST_CLOCK", "yes"),
        ("SMP_TEST_CLOCK", "TRUE"),
        ("SMP_PAYMENTS", "stripe"),
        ("SMP_TRIAL_SCOPE", "account"),
        ("SMP_SWEEP_INTERVAL_S", "86401"),
        ("SMP_SWEEP_INTERVAL_S", "-1"),
        ("SMP_LOG_FORMAT", "xml"),
        ("SMP_LOG_LEVEL", "INFO"),
        ("SMP_PASSWORD_MIN_LENGTH", "7"),
        ("SMP_PASSWORD_BLOCKLIST", "/does/not/exist"),
        ("SMP_SESSION_IDLE_S", "59"),
        ("SMP_DATABASE_POOL_SIZE", "1"),
        ("SMP_HOST", "http://localhost"),
        ("SMP_DATA_DIR", "/dev/null"),
        ("SMP_ADMIN_EMAIL", "root"),
        ("SMP_PUBLIC_URL", "example.com"),
        ("SMP_PUBLIC_URL", "https://user@example.com"),
        ("SMP_PUBLIC_URL", "https://example.com/a?b"),
        ("SMP_PUBLIC_URL", "https://example.com//a"),
        ("SMP_PUBLIC_URL", "https://example.com:port"),
    ],
)
def test_a_bad_value_is_refused_with_the_allowed_values_and_the_given_one(name: str, bad: str) -> None:
    found = problems({name: bad})
    assert any(problem.startswith(f"{name} must be ") and repr(bad[:100]) in problem for problem in found)


@pytest.mark.parametrize("name", sorted(variable.name for variable in VARIABLES))
def test_an_empty_value_is_refused(name: str) -> None:
    assert any(problem.startswith(f"{name} is empty; it must be ") for problem in problems({name: ""}))


@pytest.mark.parametrize(("text", "value"), [("1", True), ("true", True), ("0", False), ("false", False)])
def test_a_switch_has_two_spellings_for_on_and_for_off(text: str, value: bool) -> None:  # noqa: FBT001 - the case itself
    assert load_settings({"SMP_TEST_CLOCK": text}).test_clock is value


def test_all_mistakes_are_reported_at_once() -> None:
    found = problems({"SMP_PORT": "x", "SMP_WORKERS": "0", "SMP_NOPE": "", "SMP_ENV": "production"})
    assert [problem.split()[0] for problem in found] == ["SMP_NOPE", "SMP_PORT", "SMP_WORKERS", "SMP_DATABASE_URL"]


@pytest.mark.parametrize(
    "url",
    [
        "mysql://smp:hunter2@db/smp",
        "postgresql+asyncpg://smp:hunter2@db/smp",
        "hunter2",
        "postgresql://smp:hunter2@db",
        "postgresql://smp:hunter2@db:port/smp",
        "postgresql://smp:hunter2@[db/smp",
        "postgresql://smp:hunter2@one:5432,two:port/smp",
        "postgresql://smp:hunter2@/smp?host=one,two,three&port=1,2",
    ],
)
def test_a_bad_database_url_is_refused_without_showing_it(url: str) -> None:
    """It contains a password."""
    problem = the_problem({"SMP_DATABASE_URL": url})
    assert problem.startswith("SMP_DATABASE_URL must be a URL like postgresql://")
    assert "hunter2" not in problem.replace("user:password", "")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@h:5432/d",
        "postgres://h/d",
        "postgresql:///d?host=/run/postgresql",
        "postgresql://u@[::1]/d",
        "postgresql://u:p@one:5432,two:5433,[::1]:5434/d?target_session_attrs=read-write",
        "postgresql://u@/d?host=one,two&port=5432,5433",
    ],
)
def test_every_form_of_url_that_postgresql_accepts_is_accepted(url: str) -> None:
    settings = load_settings({"SMP_DATABASE_URL": url, "SMP_DATABASE_REPLICA_URL": url})
    assert (settings.database_url, settings.database_replica_url) == (url, url)
    assert "u:p@" not in repr(settings)


def test_a_replica_needs_a_database_url() -> None:
    assert the_problem({"SMP_DATABASE_REPLICA_URL": "postgresql://h/d"}).startswith("SMP_DATABASE_REPLICA_URL needs")


def test_the_representation_of_the_settings_has_no_secrets() -> None:
    settings = load_settings(
        {**PRODUCTION, "SMP_ADMIN_EMAIL": "root@example.com", "SMP_ADMIN_PASSWORD": "a secret that is long"}
    )
    assert settings.admin_password == "a secret that is long"
    assert "hunter2" not in repr(settings)
    assert "secret" not in repr(settings)


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_secret_is_read_from_a_file_without_its_last_line_end(tmp_path: Path, end: str) -> None:
    file = tmp_path / "url"
    file.write_bytes(b"postgresql://h/d" + end.encode())
    assert load_settings({"SMP_DATABASE_URL_FILE": str(file)}).database_url == "postgresql://h/d"


def test_a_password_in_a_file_keeps_its_spaces(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("  a password with blanks \n\n")
    settings = load_settings({"SMP_ADMIN_EMAIL": "root@example.com", "SMP_ADMIN_PASSWORD_FILE": str(file)})
    assert settings.admin_password == "  a password with blanks \n"


def test_a_secret_and_its_file_are_not_both_set(tmp_path: Path) -> None:
    problem = the_problem({"SMP_DATABASE_URL": "postgresql://h/d", "SMP_DATABASE_URL_FILE": str(tmp_path / "url")})
    assert problem == "SMP_DATABASE_URL and SMP_DATABASE_URL_FILE are both set; set one of them"


def test_a_secret_of_a_file_can_be_read_again(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("postgresql://smp:old@h/d\n")
    settings = load_settings({"SMP_DATABASE_URL_FILE": str(file)})
    read = secret_source(settings, "database_url")
    assert read is not None
    file.write_text("postgresql://smp:new@h/d\n")
    assert read() == "postgresql://smp:new@h/d"
    for unusable in ("", "mysql://h/d"):
        file.write_text(unusable)
        with pytest.raises(ValueError, match="SMP_DATABASE_URL"):
            read()
    file.unlink()
    with pytest.raises(ValueError, match="cannot be read"):
        read()
    assert secret_source(load_settings({"SMP_DATABASE_URL": "postgresql://h/d"}), "database_url") is None


def test_a_secret_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing, binary, big = tmp_path / "missing", tmp_path / "binary", tmp_path / "big"
    binary.write_bytes(b"\xff\xfe")
    big.write_bytes(b"x" * 10_000)
    for file, why in ((missing, "No such file"), (binary, "not text in UTF-8"), (big, "larger than"), (tmp_path, "")):
        problem = the_problem({"SMP_DATABASE_URL_FILE": str(file)})
        assert problem.startswith(f"SMP_DATABASE_URL_FILE names {str(file)!r}, which ")
        assert why in problem


def test_only_secrets_have_files() -> None:
    assert the_problem({"SMP_PORT_FILE": "/etc/hostname"}).startswith("SMP_PORT_FILE is not a setting")


def test_the_first_admin_needs_both_email_and_password() -> None:
    assert the_problem({"SMP_ADMIN_EMAIL": "root@example.com"}).startswith("SMP_ADMIN_PASSWORD is missing")
    assert the_problem({"SMP_ADMIN_PASSWORD": "correct horse battery"}).startswith("SMP_ADMIN_EMAIL is missing")


def test_the_minimum_length_applies_to_the_first_admins_password() -> None:
    admin = {"SMP_ADMIN_EMAIL": "root@example.com", "SMP_ADMIN_PASSWORD": "x" * 14}
    assert the_problem(admin) == "SMP_ADMIN_PASSWORD must have at least 15 characters (SMP_PASSWORD_MIN_LENGTH)"
    assert load_settings({**admin, "SMP_PASSWORD_MIN_LENGTH": "14"}).admin_password == "x" * 14


def test_production_needs_a_database_url() -> None:
    assert the_problem({"SMP_ENV": "production"}).startswith(
        "SMP_DATABASE_URL is missing; production needs a PostgreSQL"
    )


def test_production_refuses_simulated_payments_and_the_test_clock() -> None:
    found = problems({**PRODUCTION, "SMP_PAYMENTS": "simulated", "SMP_TEST_CLOCK": "1"})
    assert [problem.split()[0] for problem in found] == ["SMP_PAYMENTS", "SMP_TEST_CLOCK"]


def test_the_idle_limit_of_a_session_is_not_above_its_absolute_limit() -> None:
    assert the_problem({"SMP_SESSION_IDLE_S": "100", "SMP_SESSION_ABSOLUTE_S": "99"}).startswith("SMP_SESSION_IDLE_S")
    assert the_problem({"SMP_ADMIN_SESSION_ABSOLUTE_S": "60"}).startswith("SMP_ADMIN_SESSION_IDLE_S")
    assert load_settings({"SMP_SESSION_IDLE_S": "99", "SMP_SESSION_ABSOLUTE_S": "99"}).session_idle_s == 99


def test_the_metrics_port_differs_from_the_main_port() -> None:
    assert the_problem({"SMP_METRICS_PORT": "8000"}).startswith("SMP_METRICS_PORT must not be SMP_PORT")
    assert load_settings({"SMP_METRICS_PORT": "9000"}).metrics_port == 9000


@pytest.mark.parametrize("name", ["SMP_SERVICE_HOST", "SMP_SERVICE_PORT_HTTP", "SMP_PORT_8000_TCP_ADDR"])
def test_a_variable_that_kubernetes_adds_for_a_service_is_explained(name: str) -> None:
    assert "enableServiceLinks: false" in the_problem({name: "10.0.0.1"})
    assert "enableServiceLinks: false" in the_problem({"SMP_PORT": "tcp://10.0.0.1:8000"})


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),  # noqa: S104 - read, not bound
        ("::", "http://[::1]:8000"),
        ("app.internal", "http://app.internal:8000"),
    ],
)
def test_the_address_can_be_opened_on_this_machine(host: str, address: str) -> None:
    assert load_settings({"SMP_HOST": host}).address == address


def test_the_document_has_every_variable_with_its_default() -> None:
    document = settings_markdown()
    for variable in VARIABLES:
        assert f"| `{variable.name}` | " in document
    assert "| `SMP_PAYMENTS` | `simulated` in development, `none` in production | `simulated` or `none` |" in document
    assert "| `SMP_TEST_CLOCK` | `0` |" in document
    assert "`SMP_ADMIN_PASSWORD_FILE` may name a file" in document
