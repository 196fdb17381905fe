"""The command line: every command, its output for programs, and its messages about errors."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import pytest
import structlog

from smp import __version__
from smp.adapters.cli.program import run_program
from smp.adapters.postgres import migrator
from smp.adapters.postgres.migrations_path import migrations_path
from smp.adapters.security.argon2_hasher import Argon2PasswordHasher
from smp.bootstrap.runtime import ProcessServices
from smp.bootstrap.settings import VARIABLES
from tests.support.postgres import Server

ROOT: Final = Path(__file__).parents[2]
TIMEOUT_S: Final = 60
PASSWORD: Final = "correct horse battery staple"
COMMAND: Final = (sys.executable, "-W", "error", "-m", "smp.bootstrap")

Value = TypeVar("Value")

REVISIONS = sorted(file.name[:4] for file in (migrations_path() / "versions").glob("0*.py"))


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:  # noqa: ANN401 - any JSON
        """Return the JSON document in the standard output."""
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """Return the only error message."""
        (line,) = [line for line in self.err.splitlines() if line.startswith("smp: error: ")]
        assert "Traceback" not in self.err
        return line.removeprefix("smp: error: ")


Run = Callable[..., CommandResult]


@pytest.fixture
def run(database_url: str, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Return a function that runs a command in this process, on the database of the test by default."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def run(*arguments: str, **environ: str | None) -> CommandResult:
        capsys.readouterr()
        given = {"SMP_DATABASE_URL": database_url, **environ}
        runtime = ProcessServices({name: value for name, value in given.items() if value is not None})
        code = run_program(runtime, arguments)
        captured = capsys.readouterr()
        return CommandResult(code, captured.out, captured.err)

    yield run
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def bytecode(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Return the folder of compiled modules, which all processes of the test run share to start faster."""
    mine = tmp_path_factory.getbasetemp()
    return (mine if worker_id == "master" else mine.parent) / "bytecode"


@pytest.fixture
def environ(bytecode: Path) -> dict[str, str]:
    """Return the environment of this process without settings."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("SMP_") and name != "PYTHONDONTWRITEBYTECODE"
    }
    return {**inherited, "PYTHONPATH": str(ROOT / "src"), "PYTHONPYCACHEPREFIX": str(bytecode), "COLUMNS": "200"}


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """Return a folder for an embedded server; its path is short because of the server's socket."""
    folder = Path(tempfile.mkdtemp(prefix="smp-", dir="/tmp"))
    yield folder
    pid_file = folder / "postgres" / "db" / "postmaster.pid"
    if pid_file.exists():
        os.kill(int(pid_file.read_text().split()[0]), signal.SIGINT)
    shutil.rmtree(folder, ignore_errors=True)


def process(environ: dict[str, str], *arguments: str, **settings: str) -> CommandResult:
    """Run a command in a new process."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        env={**environ, **settings},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return CommandResult(done.returncode, done.stdout, done.stderr)


def sql(url: str, statement: str, *values: object) -> Any:  # noqa: ANN401 - any value
    """Run a statement directly in the database, and return its first value."""

    async def ask() -> object:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(statement, *values)
        finally:
            await connection.close()

    return wait_for(ask())


def wait_for(work: Coroutine[Any, Any, Value]) -> Value:
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def make_overdue(url: str) -> int:
    """Move live subscriptions of the demo into the past; return how many are overdue now."""
    shifted = """
        WITH adjusted AS (
            UPDATE subscriptions SET starts_at = starts_at - interval '13 months',
                ends_at = ends_at - interval '13 months',
                trial_ends_at = trial_ends_at - interval '13 months', anchor_at = anchor_at - interval '13 months',
                cancel_at = cancel_at - interval '13 months', converted_at = converted_at - interval '13 months',
                created_at = created_at - interval '13 months'
            WHERE status IN ('trial', 'active') AND ends_at IS NOT NULL
                AND NOT EXISTS (SELECT FROM subscriptions AS o WHERE o.user_id = subscriptions.user_id
                    AND o.id <> subscriptions.id)
            RETURNING user_id, id, starts_at, ends_at
        ), spans AS (
            UPDATE subscription_spans AS s SET span = tstzrange(m.starts_at, m.ends_at) FROM adjusted AS m
            WHERE s.user_id = m.user_id AND s.subscription_id = m.id
        )
        SELECT count(*) FROM adjusted WHERE ends_at <= now()
    """
    count: int = sql(url, shifted)
    return count


# --- commands without a database ----------------------------------------------------------------------------------


def test_help_lists_every_command(run: Run) -> None:
    answer = run("--help", SMP_NONSENSE="1")
    assert answer.code == 0
    commands = (
        "serve",
        "migrate",
        "expire",
        "purge",
        "fold-counts",
        "admin",
        "api-key",
        "demo",
        "backup",
        "restore",
        "doctor",
        "settings",
        "version",
    )
    for command in commands:
        assert f" {command} " in answer.out


def test_the_version_is_shown_even_if_a_setting_is_wrong(run: Run) -> None:
    assert run("version", SMP_NONSENSE="1").out == f"smp {__version__}\n"
    assert run("--version", SMP_NONSENSE="1").out == f"smp {__version__}\n"
    assert run("version", "--json").document == {"version": __version__}


def test_every_setting_is_listed_with_its_default(run: Run) -> None:
    answer = run("settings", SMP_NONSENSE="1")
    listed = run("settings", "--json").document
    assert [setting["name"] for setting in listed] == [variable.name for variable in VARIABLES]
    assert set(listed[0]) == {"name", "default", "expected", "description"}
    assert all(f"{setting['name']}={setting['default']}\n" in answer.out for setting in listed)


def test_the_whole_schema_is_printed_as_sql(run: Run) -> None:
    """The command needs no database."""
    answer = run("migrate", "--sql", SMP_DATABASE_URL=None)
    assert answer.code == 0
    assert "CREATE TABLE subscriptions (" in answer.out
    assert run("migrate", "--sql", "--json").document == {"sql": answer.out.removesuffix("\n")}


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("serve", "--nonsense"),
        ("demo", "--users", "0"),
        ("demo", "--users", "many"),
        ("api-key", "create"),
        ("api-key", "revoke", "nonsense"),
        ("migrate", "--sql", "--check"),
        ("backup",),
        ("backup", "-", "--json"),
        ("backup", "/nowhere/smp.dump"),
        ("backup", "/"),
        ("restore",),
        ("restore", "/nowhere/smp.dump"),
        ("admin", "create"),
        ("admin", "disable"),
        ("admin", "reset-password", "a@example.com"),
        ("serve", "--port"),
        ("admin", "create", "--email", "a@example.com", "--password-stdin", "--generate-password"),
    ],
)
def test_wrong_usage_is_one_error_line_with_exit_code_2(run: Run, arguments: tuple[str, ...]) -> None:
    answer = run(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert "--help" in answer.error


# --- migrate ------------------------------------------------------------------------------------------------------


def test_migrate_creates_the_schema_in_an_empty_database_once(run: Run, unmigrated_database_url: str) -> None:
    head = migrator.head()

    def on_empty(*arguments: str) -> CommandResult:
        return run("migrate", *arguments, SMP_DATABASE_URL=unmigrated_database_url)

    before = on_empty("--check")
    assert (before.code, before.out) == (
        1,
        f"the database has no schema yet, and this version needs {head}: run smp migrate\n",
    )
    assert on_empty("--check", "--json").document == {"up_to_date": False, "current": None, "head": head}
    assert on_empty("--json").document == {"applied": REVISIONS, "before": None, "current": head}
    again = on_empty()
    assert (again.code, again.out) == (0, f"nothing to apply, at {head}\n")
    after = on_empty("--check")
    assert (after.code, after.out) == (0, f"up to date, at {head}\n")
    assert on_empty("--check", "--json").document == {"up_to_date": True, "current": head, "head": head}


def test_of_two_simultaneous_migrations_one_runs(environ: dict[str, str], unmigrated_database_url: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        answers = list(
            pool.map(
                lambda _: process(environ, "migrate", "--json", SMP_DATABASE_URL=unmigrated_database_url), range(2)
            )
        )
    assert [answer.code for answer in answers] == [0, 0], answers
    assert [applied for answer in answers if (applied := answer.document["applied"])] == [REVISIONS]


# --- administrators and keys --------------------------------------------------------------------------------------


def test_an_administrator_is_created_with_a_password_from_standard_input(
    run: Run, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\nthis is not read\n"))
    answer = run("admin", "create", "--email", "Root@Example.com", "--password-stdin")
    assert (answer.code, answer.out) == (0, "administrator created: Root@Example.com\n")
    stored = sql(
        database_url, "SELECT password_hash FROM users WHERE email_key = 'root@example.com' AND role = 'admin'"
    )
    assert wait_for(matches(stored, PASSWORD))


async def matches(password_hash: str, password: str) -> bool:
    hasher = Argon2PasswordHasher()
    try:
        return (await hasher.verify(password_hash, password)).matches
    finally:
        hasher.close()


def test_a_generated_password_of_an_administrator_is_shown_once(run: Run, database_url: str) -> None:
    created = run("admin", "create", "--email", "root@example.com", "--generate-password", "--json").document
    assert set(created) == {"id", "email", "role", "created_at", "password"}
    assert (created["email"], created["role"]) == ("root@example.com", "admin")
    assert created["created_at"].endswith("Z")
    stored = sql(database_url, "SELECT password_hash FROM users WHERE id = $1", UUID(created["id"]))
    assert wait_for(matches(stored, created["password"]))
    text = run("admin", "create", "--email", "two@example.com", "--generate-password")
    assert text.out.startswith("administrator created: two@example.com\npassword, shown only once: ")


def test_without_a_terminal_the_password_must_come_from_an_option(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    answer = run("admin", "create", "--email", "root@example.com")
    assert answer.code == 2
    assert "add --password-stdin or --generate-password" in answer.error


def test_on_a_terminal_the_password_is_asked_for_twice(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        """A standard input that is a terminal."""

        def isatty(self) -> bool:
            """Return true."""
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", lambda *_, **__: PASSWORD)
    monkeypatch.setattr("click.termui.hidden_prompt_func", lambda *_: PASSWORD)
    answer = run("admin", "create", "--email", "root@example.com")
    assert answer.code == 0, answer
    assert answer.out.endswith("administrator created: root@example.com\n")


def test_an_invalid_email_and_password_are_reported_together_with_exit_code_2(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("short\n"))
    answer = run("admin", "create", "--email", "nonsense", "--password-stdin")
    assert (answer.code, answer.out) == (2, "")
    assert "email must be an email address" in answer.err
    assert "password must have 15 to 1024 characters" in answer.err


def test_a_taken_email_is_an_error_with_exit_code_1(run: Run) -> None:
    create = ("admin", "create", "--email", "root@example.com", "--generate-password")
    assert run(*create).code == 0
    again = run(*create)
    assert (again.code, again.error) == (1, "another account has this email")


def test_administrators_are_listed(run: Run) -> None:
    assert "there are no administrators" in run("admin", "list").out
    assert run("admin", "list", "--json").document == []
    run("admin", "create", "--email", "root@example.com", "--generate-password")
    run("admin", "create", "--email", "second@example.com", "--generate-password")
    run("admin", "disable", "second@example.com")
    listed = run("admin", "list", "--json").document
    assert [(user["email"], user["disabled"]) for user in listed] == [
        ("root@example.com", False),
        ("second@example.com", True),
    ]
    assert set(listed[0]) == {"id", "email", "role", "disabled", "created_at"}
    table = run("admin", "list").out
    assert [line.split()[::2] for line in table.splitlines() if "@" in line] == [
        ["root@example.com", "no"],
        ["second@example.com", "yes"],
    ]


def test_the_last_administrator_cannot_be_disabled_and_a_disabled_one_can_be_enabled(run: Run) -> None:
    run("admin", "create", "--email", "root@example.com", "--generate-password")
    last = run("admin", "disable", "root@example.com")
    assert (last.code, last.out) == (1, "")
    assert "administrator" in last.error
    run("admin", "create", "--email", "second@example.com", "--generate-password")
    assert run("admin", "disable", "ROOT@example.com").out == "disabled: root@example.com\n"
    assert run("admin", "enable", "root@example.com", "--json").document["disabled"] is False
    unknown = run("admin", "disable", "nobody@example.com")
    assert (unknown.code, unknown.error) == (1, "there is no user 'nobody@example.com'")


def test_a_forgotten_password_is_reset_and_shown_once(
    run: Run, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("admin", "create", "--email", "root@example.com", "--generate-password")
    stored = "SELECT password_hash FROM users WHERE email_key = 'root@example.com'"
    generated = run("admin", "reset-password", "root@example.com", "--generate-password")
    first, second = generated.out.splitlines()
    assert first == "password reset: root@example.com; all sessions of this user have ended"
    assert wait_for(matches(sql(database_url, stored), second.removeprefix("password, shown only once: ")))
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\n"))
    answer = run("admin", "reset-password", "root@example.com", "--password-stdin", "--json").document
    assert set(answer) == {"id", "email", "role", "disabled", "created_at"}
    assert wait_for(matches(sql(database_url, stored), PASSWORD))
    unknown = run("admin", "reset-password", "nobody@example.com", "--generate-password")
    assert (unknown.code, unknown.error) == (1, "there is no user 'nobody@example.com'")


def test_api_keys_can_be_created_listed_and_revoked(run: Run) -> None:
    assert "there are no API keys" in run("api-key", "list").out
    assert run("api-key", "list", "--json").document == []
    created = run("api-key", "create", "the web shop", "--json").document
    assert set(created) == {"id", "name", "created_at", "revoked_at", "secret"}
    assert created["secret"].startswith("smp_")
    other = run("api-key", "create", "a proxy")
    assert "secret, shown only once: smp_" in other.out
    (listed, _) = run("api-key", "list", "--json").document
    assert listed == {name: created[name] for name in ("id", "name", "created_at", "revoked_at")}
    assert run("api-key", "revoke", created["id"], "--json").document == {"id": created["id"], "revoked": True}
    (revoked, stored) = run("api-key", "list", "--json").document
    assert revoked["revoked_at"] is not None
    assert stored["revoked_at"] is None
    table = run("api-key", "list").out
    assert created["id"] in table
    assert "the web shop" in table
    assert created["secret"] not in table


def test_revoking_an_unknown_or_revoked_api_key_is_an_error_with_exit_code_1(run: Run) -> None:
    key_id = run("api-key", "create", "shop", "--json").document["id"]
    assert run("api-key", "revoke", key_id).out == f"key {key_id} revoked\n"
    again = run("api-key", "revoke", key_id)
    assert (again.code, again.out) == (1, "")
    assert again.error.startswith(f"there is no key {key_id}, or it is revoked already")
    assert run("api-key", "revoke", key_id, "--json").document["revoked"] is False


def test_the_name_of_an_api_key_cannot_control_the_terminal(run: Run) -> None:
    run("api-key", "create", "shop\x1b[2Jx\nfake")
    assert "\x1b[2J" not in run("api-key", "list").out


# --- expire -------------------------------------------------------------------------------------------------------


def test_expire_without_overdue_subscriptions_changes_nothing(run: Run) -> None:
    answer = run("expire")
    assert answer.code == 0
    assert answer.out.startswith("0 subscriptions ended (0 expired, 0 cancelled) in ")
    document = run("expire", "--json").document
    assert document.pop("elapsed_s") >= 0
    assert document == {"expired": 0, "cancelled": 0, "failed": []}


# --- purge --------------------------------------------------------------------------------------------------------


def test_purge_reports_the_number_of_deleted_rows_of_each_kind(run: Run) -> None:
    assert run("purge").out.startswith("0 rows deleted in ")
    document = run("purge", "--json").document
    assert document.pop("elapsed_s") >= 0
    assert document == {"idempotency_keys": 0, "sessions": 0, "login_attempts": 0}


def test_fold_counts_reports_the_number_of_changes_that_were_added_up(run: Run, database_url: str) -> None:
    assert run("fold-counts").out.startswith("0 changes added up in ")
    assert run("demo", "--users", "30").code == 0
    insert = "INSERT INTO user_count_changes (n) SELECT 1 - 2 * (i % 2) FROM generate_series(1, 2000) AS i"
    sql(database_url, insert)
    document = run("fold-counts", "--json").document
    assert document["changes"] >= 2_000
    assert document["elapsed_s"] >= 0


def test_two_simultaneous_expiry_jobs_share_the_work(run: Run, environ: dict[str, str], database_url: str) -> None:
    """Each subscription is ended once, with one event."""
    assert run("demo", "--users", "300").code == 0
    overdue = make_overdue(database_url)
    assert overdue > 50
    with ThreadPoolExecutor(2) as pool:
        answers = list(
            pool.map(lambda _: process(environ, "expire", "--json", SMP_DATABASE_URL=database_url), range(2))
        )
    assert [answer.code for answer in answers] == [0, 0], answers
    assert sum(answer.document["expired"] + answer.document["cancelled"] for answer in answers) == overdue
    assert run("expire", "--json").document["expired"] == 0
    findings = {
        check_result["check"]: check_result["ok"] for check_result in run("doctor", "--json").document["findings"]
    }
    assert findings["no_gap_in_events"]
    assert findings["subscriptions_match_their_last_event"]


def test_a_damaged_subscription_does_not_stop_the_expiry_job_which_ends_with_1(run: Run, database_url: str) -> None:
    run("demo", "--users", "100")
    overdue = make_overdue(database_url)
    # One has a version that an event has already: its next event cannot be stored.
    bad: UUID = sql(
        database_url,
        """
        UPDATE subscriptions SET version = version - 1 WHERE id = (
            SELECT id FROM subscriptions WHERE status = 'active' AND ends_at <= now() AND version > 1 LIMIT 1
        ) RETURNING id
        """,
    )
    answer = run("expire", "--json")
    assert answer.code == 1
    assert answer.document["failed"] == [str(bad)]
    assert answer.document["expired"] + answer.document["cancelled"] == overdue - 1
    assert str(bad) in answer.err
    text = run("expire")
    assert text.code == 1
    assert "1 subscription could not be ended: see the log, and run smp doctor" in text.out


# --- demo and doctor ----------------------------------------------------------------------------------------------


def test_the_demo_is_complete_and_created_once(run: Run, database_url: str) -> None:
    created = run("demo", "--users", "60", "--json").document
    assert set(created) == {"already_there", "users", "plans", "subscriptions", "events", "password", "logins"}
    assert (created["already_there"], created["users"]) == (False, 60)
    assert {"trial running", "active", "expired", "cancelled"} <= {login["standing"] for login in created["logins"]}
    for table in ("users", "plans", "subscriptions"):
        assert sql(database_url, f"SELECT count(*) FROM {table}") == created[table]  # noqa: S608 - ours
    count = "SELECT count(*) FROM event_log"
    assert sql(database_url, count) == created["events"]
    examination = run("doctor", "--json")
    assert examination.code == 0
    assert examination.document["ok"]
    stored = sql(database_url, "SELECT password_hash FROM users WHERE email_key = $1", created["logins"][0]["email"])
    assert wait_for(matches(stored, created["password"]))
    again = run("demo", "--json").document
    assert (again["already_there"], again["users"], again["password"]) == (True, 0, created["password"])
    assert again["logins"] == created["logins"]
    assert sql(database_url, count) == created["events"]


def test_the_demo_shows_how_to_sign_in(run: Run) -> None:
    answer = run("demo", "--users", "30")
    assert answer.code == 0
    assert answer.out.startswith("Created 6 plans, 30 users, ")
    assert "@demo.example" in answer.out
    assert "nothing was changed" in run("demo").out


def test_the_demo_is_refused_in_production(run: Run, database_url: str) -> None:
    answer = run("demo", SMP_ENV="production")
    assert answer.code == 1
    assert answer.error.startswith("smp demo is refused with SMP_ENV=production")
    assert sql(database_url, "SELECT count(*) FROM plans") == 0


def test_doctor_finds_no_problem_on_a_new_platform(run: Run) -> None:
    answer = run("doctor")
    assert answer.code == 0, answer
    assert answer.out.endswith("Nothing is wrong.\n")
    document = run("doctor", "--json").document
    assert document["ok"] is True
    assert all(set(check_result) == {"check", "ok", "detail", "advice"} for check_result in document["findings"])
    assert {"settings", "database", "migrations", "clock", "one_live_subscription_a_user"} <= {
        check_result["check"] for check_result in document["findings"]
    }


def test_doctor_reports_damaged_data_with_advice(run: Run, database_url: str) -> None:
    run("demo", "--users", "20")
    sql(database_url, "UPDATE subscriptions SET version = version + 1 WHERE version = 1")
    answer = run("doctor")
    assert answer.code == 1
    assert "WRONG  no_gap_in_events: " in answer.out
    assert "→ restore the rows from a backup" in answer.out
    wrong = [check_result for check_result in run("doctor", "--json").document["findings"] if not check_result["ok"]]
    assert "no_gap_in_events" in {check_result["check"] for check_result in wrong}
    assert all(check_result["advice"] for check_result in wrong)


def test_doctor_changes_nothing(run: Run, database_url: str, unmigrated_database_url: str, data_dir: Path) -> None:
    run("demo", "--users", "20")
    make_overdue(database_url)
    snapshot = "SELECT md5(string_agg(s::text, ',' ORDER BY id)) FROM subscriptions AS s"
    before = sql(database_url, snapshot)
    run("doctor")
    assert sql(database_url, snapshot) == before
    assert run("doctor", SMP_DATABASE_URL=unmigrated_database_url).code == 1
    assert sql(unmigrated_database_url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    nothing_yet = run("doctor", SMP_DATABASE_URL=None, SMP_DATA_DIR=str(data_dir / "new"))
    assert nothing_yet.code == 0
    assert "smp serve makes it" in nothing_yet.out
    assert not (data_dir / "new").exists()


def test_doctor_reports_problems_of_settings_database_and_schema(
    run: Run, unmigrated_database_url: str, tmp_path: Path
) -> None:
    def wrong(**environ: str | None) -> list[tuple[str, str, str]]:
        answer = run("doctor", "--json", **environ)
        assert answer.code == 1
        found = [check_result for check_result in answer.document["findings"] if not check_result["ok"]]
        return [(check_result["check"], check_result["detail"], check_result["advice"]) for check_result in found]

    assert wrong(SMP_PROT="1") == [
        ("settings", "SMP_PROT is not a setting; did you mean SMP_PORT?", "correct the environment variable")
    ]
    assert wrong(SMP_DATABASE_URL=unmigrated_database_url) == [
        ("migrations", f"the schema is at nothing, and this version needs {migrator.head()}", "run smp migrate")
    ]
    ((check, detail, _),) = wrong(SMP_DATABASE_URL="postgresql://smp:hunter2@127.0.0.1:1/smp")
    assert (check, detail.split(":")[0]) == ("database", "no answer from the database smp at 127.0.0.1")
    (tmp_path / "list").write_bytes(b"\xff")
    ((check, _, advice),) = wrong(SMP_PASSWORD_BLOCKLIST=str(tmp_path / "list"))
    assert (check, advice.split(":")[0]) == ("password blocklist", "correct SMP_PASSWORD_BLOCKLIST")


@pytest.mark.parametrize(
    ("parameter", "detail"),
    [
        ("channel_binding=require&connect_timeout=10&keepalives_idle=30&options=-c%20jit%3Doff", None),
        ("pgbouncer=true", 'unrecognized configuration parameter "pgbouncer"; remove the parameter'),
        ("sslmode=no-verify", "SMP_DATABASE_URL cannot be used: "),
        ("jit=maybe", 'parameter "jit" requires a Boolean value'),
    ],
)
def test_a_url_as_providers_show_it_works_or_is_explained_by_every_command(
    run: Run, database_url: str, parameter: str, detail: str | None
) -> None:
    url = f"{database_url}{'&' if '?' in database_url else '?'}{parameter}"
    answers = [run(*command, SMP_DATABASE_URL=url) for command in (("doctor", "--json"), ("expire",), ("migrate",))]
    if detail is None:
        assert [answer.code for answer in answers] == [0, 0, 0], answers
        return
    doctor, *others = answers
    assert detail in doctor.document["findings"][-1]["detail"]
    for answer in others:
        assert (answer.code, detail in answer.error) == (1, True), answer


def test_a_database_that_does_not_store_utf8_is_refused_by_every_command(
    run: Run, postgres_server: Server, worker_id: str
) -> None:
    name = f"latin1_{worker_id}"
    postgres_server.execute(
        f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"
    )
    try:
        for command in ("doctor", "migrate", "expire"):
            answer = run(command, SMP_DATABASE_URL=postgres_server.url(name))
            assert answer.code == 1
            assert "has the encoding LATIN1, and SMP needs UTF8" in answer.out + answer.err
    finally:
        postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_doctor_reports_a_database_that_accepts_no_writes(run: Run, database_url: str, postgres_server: Server) -> None:
    name = urlsplit(database_url).path.strip("/")
    postgres_server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    document = run("doctor", "--json").document
    wrong = [check_result["check"] for check_result in document["findings"] if not check_result["ok"]]
    assert wrong == ["writes"]


# --- errors at the start ------------------------------------------------------------------------------------------


def test_a_wrong_setting_is_an_error_with_its_variable_and_exit_code_2(run: Run) -> None:
    answer = run("expire", SMP_PROT="1")
    assert (answer.code, answer.error) == (2, "SMP_PROT is not a setting; did you mean SMP_PORT?")


def test_production_without_a_database_url_is_an_error(run: Run) -> None:
    answer = run("serve", SMP_ENV="production", SMP_DATABASE_URL=None)
    assert answer.code == 2
    assert answer.error.startswith("SMP_DATABASE_URL is missing; production needs a PostgreSQL server")


def test_an_unreachable_database_is_an_error_without_its_password(run: Run) -> None:
    answer = run("expire", SMP_DATABASE_URL="postgresql://smp:hunter2@127.0.0.1:1/smp")
    assert answer.code == 1
    assert answer.error.startswith("no answer from the database smp at 127.0.0.1:1: see that it runs")
    assert "hunter2" not in answer.err


def test_a_missing_database_is_an_error_with_its_name(run: Run, database_url: str) -> None:
    answer = run("expire", SMP_DATABASE_URL=database_url.replace("/smp_", "/nosuch_"))
    assert answer.code == 1
    assert answer.error.startswith("there is no database nosuch_")


def test_an_old_schema_is_refused_in_production_and_migrated_in_development(
    run: Run, unmigrated_database_url: str
) -> None:
    refused = run("expire", SMP_ENV="production", SMP_DATABASE_URL=unmigrated_database_url)
    assert refused.code == 1
    assert (
        refused.error
        == f"the database has no schema yet, and this version needs {migrator.head()}: run smp migrate first"
    )
    assert run("expire", SMP_DATABASE_URL=unmigrated_database_url).code == 0
    assert run("expire", SMP_ENV="production", SMP_DATABASE_URL=unmigrated_database_url).code == 0


@pytest.mark.parametrize("command", [("expire",), ("migrate",)])
def test_a_newer_schema_is_refused_by_commands_that_would_migrate(
    run: Run, database_url: str, command: tuple[str, ...]
) -> None:
    sql(database_url, "UPDATE smp_schema_version SET version_num = '9999'")
    answer = run(*command)
    assert answer.code == 1
    assert answer.error.startswith("the database has the schema 9999, newer than this version, which needs ")


def test_production_runs_on_a_newer_schema(run: Run, database_url: str) -> None:
    """A rollout migrates first and a roll-back does not undo it, so commands of the old version have to work."""
    sql(database_url, "UPDATE smp_schema_version SET version_num = '9999'")
    answer = run("expire", SMP_ENV="production")
    assert answer.code == 0
    assert "the schema is newer than this version" in answer.err


def test_migrating_to_an_older_version_in_production_changes_nothing_and_succeeds(run: Run, database_url: str) -> None:
    """So a roll-back is a rollout of the older version, and takes the same way."""
    sql(database_url, "UPDATE smp_schema_version SET version_num = '9999'")
    answer = run("migrate", SMP_ENV="production")
    newer = f"nothing to apply: the schema is at 9999, newer than this version, which needs {migrator.head()}"
    assert (answer.code, answer.out) == (0, f"{newer}\n")
    assert "the schema is newer than this version" in answer.err
    as_json = run("migrate", "--json", SMP_ENV="production")
    assert json.loads(as_json.out) == {"applied": [], "before": "9999", "current": "9999"}
    checked = run("migrate", "--check", SMP_ENV="production")
    assert (checked.code, checked.out) == (1, f"{newer}\n")


def test_an_unwritable_data_directory_is_an_error_with_the_setting(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    answer = run("expire", SMP_DATABASE_URL=None, SMP_DATA_DIR=str(tmp_path / "file" / "data"))
    assert answer.code == 1
    assert answer.error.endswith("; set SMP_DATA_DIR to another folder")


def test_a_data_directory_of_an_old_postgresql_is_an_error(run: Run, data_dir: Path) -> None:
    cluster = data_dir / "postgres" / "db"
    cluster.mkdir(parents=True)
    (data_dir / "postgres" / "start.lock").touch()
    (cluster / "PG_VERSION").write_text("13\n")
    answer = run("expire", SMP_DATABASE_URL=None, SMP_DATA_DIR=str(data_dir))
    assert answer.code == 1
    assert "are of PostgreSQL 13, and this is PostgreSQL" in answer.error


def test_a_traceback_is_shown_only_at_log_level_debug(run: Run) -> None:
    nowhere = "postgresql://smp:hunter2@127.0.0.1:1/smp"
    assert "Traceback" not in run("expire", SMP_DATABASE_URL=nowhere).err
    shown = run("expire", SMP_DATABASE_URL=nowhere, SMP_LOG_LEVEL="debug").err
    assert "Traceback" in shown
    assert "hunter2" not in shown


# --- real processes -----------------------------------------------------------------------------------------------


def test_a_process_with_an_unknown_variable_prints_one_line_and_ends_with_2(environ: dict[str, str]) -> None:
    answer = process(environ, "expire", SMP_WROKERS="2")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "smp: error: SMP_WROKERS is not a setting; did you mean SMP_WORKERS?\n"


@pytest.mark.parametrize(
    ("arguments", "unexpected"),
    [
        ("--help", {"litestar", "granian", "sqlalchemy", "asyncpg", "dishka", "alembic", "structlog"}),
        ("version", {"litestar", "granian", "sqlalchemy", "asyncpg", "dishka", "alembic", "structlog", "rich.console"}),
        ("expire", {"litestar", "granian", "alembic", "prometheus_client", "zxcvbn", "uvloop"}),
    ],
)
def test_a_command_imports_only_what_it_needs(
    environ: dict[str, str], database_url: str, arguments: str, unexpected: set[str]
) -> None:
    """Otherwise it would start slowly."""
    code = (
        "import sys; from smp.adapters.cli.program import run_program;"
        "from smp.bootstrap.runtime import ProcessServices;"
        f"code = run_program(ProcessServices({{'SMP_DATABASE_URL': {database_url!r}}}), [{arguments!r}]);"
        f"print(code, sorted({unexpected!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=TIMEOUT_S, check=True
    )
    assert done.stdout.splitlines()[-1] == "0 []"


def test_a_command_starts_the_embedded_server_and_stops_it_at_its_end(environ: dict[str, str], data_dir: Path) -> None:
    """The first command initializes and migrates the database; the second one finds its data."""
    environ = {**environ, "SMP_DATA_DIR": str(data_dir)}
    created = process(environ, "api-key", "create", "shop", "--json")
    assert created.code == 0, created
    assert not (data_dir / "postgres" / "db" / "postmaster.pid").exists()
    listed = process(environ, "api-key", "list", "--json")
    assert [key["id"] for key in listed.document] == [created.document["id"]]
    assert datetime.fromisoformat(listed.document[0]["created_at"]) <= datetime.now(UTC)


def test_a_terminated_command_stops_the_embedded_server(environ: dict[str, str], data_dir: Path) -> None:
    environ = {**environ, "SMP_DATA_DIR": str(data_dir)}
    pid_file = data_dir / "postgres" / "db" / "postmaster.pid"
    with subprocess.Popen(
        [*COMMAND, "demo", "--users", "1000000", "--json"], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as demo:
        deadline = time.monotonic() + TIMEOUT_S
        while not (pid_file.exists() and "ready" in pid_file.read_text()):
            assert time.monotonic() < deadline
            assert demo.poll() is None
            time.sleep(0.05)
        time.sleep(0.5)
        demo.terminate()
        out, err = demo.communicate(timeout=TIMEOUT_S)
    assert demo.returncode == 128 + signal.SIGTERM, err
    assert out == b""
    assert b"Traceback" not in err
    assert not pid_file.exists()
