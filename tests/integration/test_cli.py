"""The command line: every command, what programs read of it, and what people are told when something is wrong."""

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

ROOT: Final = Path(__file__).parents[2]
TIMEOUT_S: Final = 60
PASSWORD: Final = "correct horse battery staple"
COMMAND: Final = (sys.executable, "-W", "error", "-m", "smp.bootstrap")

Value = TypeVar("Value")

REVISIONS = sorted(file.name[:4] for file in (migrations_path() / "versions").glob("0*.py"))


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:  # noqa: ANN401 - whatever it is
        """The JSON document that it wrote; ``err`` is beside it and never in it."""
        return json.loads(self.out)

    @property
    def error(self) -> str:
        """The one line in which it said what was wrong."""
        (line,) = [line for line in self.err.splitlines() if line.startswith("smp: error: ")]
        assert "Traceback" not in self.err
        return line.removeprefix("smp: error: ")


Run = Callable[..., CommandResult]


@pytest.fixture
def run(database_url: str, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Runs a command in this process, on this test's database unless the environment says otherwise."""
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
    """Where processes keep compiled modules, so that only the first one of the test run has to compile them."""
    mine = tmp_path_factory.getbasetemp()
    return (mine if worker_id == "master" else mine.parent) / "bytecode"


@pytest.fixture
def environ(bytecode: Path) -> dict[str, str]:
    """This process's environment without settings, to be completed for a process of the program."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("SMP_") and name != "PYTHONDONTWRITEBYTECODE"
    }
    return {**inherited, "PYTHONPATH": str(ROOT / "src"), "PYTHONPYCACHEPREFIX": str(bytecode), "COLUMNS": "200"}


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A folder for an embedded server; short, for the path of its socket."""
    folder = Path(tempfile.mkdtemp(prefix="smp-", dir="/tmp"))
    yield folder
    pid_file = folder / "postgres" / "db" / "postmaster.pid"
    if pid_file.exists():
        os.kill(int(pid_file.read_text().split()[0]), signal.SIGINT)
    shutil.rmtree(folder, ignore_errors=True)


def process(environ: dict[str, str], *arguments: str, **settings: str) -> CommandResult:
    """Run a command as a process of its own."""
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


def sql(url: str, statement: str, *values: object) -> Any:  # noqa: ANN401 - what PostgreSQL answers
    """Run a statement past the program; the first value of its answer."""

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
    """Let every live subscription of the demonstration that has an end be over by now; how many those are."""
    shifted = """
        WITH moved AS (
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
            UPDATE subscription_spans AS s SET span = tstzrange(m.starts_at, m.ends_at) FROM moved AS m
            WHERE s.user_id = m.user_id AND s.subscription_id = m.id
        )
        SELECT count(*) FROM moved WHERE ends_at <= now()
    """
    count: int = sql(url, shifted)
    return count


# --- what needs no database ---------------------------------------------------------------------------------------


def test_help_lists_every_command(run: Run) -> None:
    answer = run("--help", SMP_NONSENSE="1")
    assert answer.code == 0
    commands = (
        "serve",
        "migrate",
        "expire",
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


def test_the_version_is_told_whatever_the_settings(run: Run) -> None:
    assert run("version", SMP_NONSENSE="1").out == f"smp {__version__}\n"
    assert run("--version", SMP_NONSENSE="1").out == f"smp {__version__}\n"
    assert run("version", "--json").document == {"version": __version__}


def test_the_settings_are_listed(run: Run) -> None:
    answer = run("settings", SMP_NONSENSE="1")
    listed = run("settings", "--json").document
    assert [setting["name"] for setting in listed] == [variable.name for variable in VARIABLES]
    assert set(listed[0]) == {"name", "default", "wanted", "description"}
    assert all(f"{setting['name']}={setting['default']}\n" in answer.out for setting in listed)


def test_the_whole_schema_is_printed_as_sql(run: Run) -> None:
    """For those who would rather run it themselves; no database is asked."""
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
def test_wrong_usage_is_one_line_and_ends_with_2(run: Run, arguments: tuple[str, ...]) -> None:
    answer = run(*arguments)
    assert (answer.code, answer.out) == (2, "")
    assert "--help" in answer.error


# --- migrate ------------------------------------------------------------------------------------------------------


def test_migrate_brings_an_empty_database_up_to_date_once(run: Run, unmigrated_database_url: str) -> None:
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


def test_many_migrations_at_once_are_one(environ: dict[str, str], unmigrated_database_url: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        answers = list(
            pool.map(
                lambda _: process(environ, "migrate", "--json", SMP_DATABASE_URL=unmigrated_database_url), range(2)
            )
        )
    assert [answer.code for answer in answers] == [0, 0], answers
    assert [applied for answer in answers if (applied := answer.document["applied"])] == [REVISIONS]


# --- administrators and keys --------------------------------------------------------------------------------------


def test_an_admin_is_made_with_a_password_from_standard_input(
    run: Run, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD}\nthis is not read\n"))
    answer = run("admin", "create", "--email", "Root@Example.com", "--password-stdin")
    assert (answer.code, answer.out) == (0, "administrator created: Root@Example.com\n")
    kept = sql(database_url, "SELECT password_hash FROM users WHERE email_key = 'root@example.com' AND role = 'admin'")
    assert wait_for(matches(kept, PASSWORD))


async def matches(password_hash: str, password: str) -> bool:
    hasher = Argon2PasswordHasher()
    try:
        return (await hasher.verify(password_hash, password)).matches
    finally:
        hasher.close()


def test_an_admins_password_is_made_up_on_demand_and_shown_once(run: Run, database_url: str) -> None:
    made = run("admin", "create", "--email", "root@example.com", "--generate-password", "--json").document
    assert set(made) == {"id", "email", "role", "created_at", "password"}
    assert (made["email"], made["role"]) == ("root@example.com", "admin")
    assert made["created_at"].endswith("Z")
    kept = sql(database_url, "SELECT password_hash FROM users WHERE id = $1", UUID(made["id"]))
    assert wait_for(matches(kept, made["password"]))
    for_people = run("admin", "create", "--email", "two@example.com", "--generate-password")
    assert for_people.out.startswith("administrator created: two@example.com\npassword, shown only once: ")


def test_nobody_is_asked_for_a_password_where_nobody_sits(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    answer = run("admin", "create", "--email", "root@example.com")
    assert answer.code == 2
    assert "add --password-stdin or --generate-password" in answer.error


def test_a_person_is_asked_for_the_password_twice(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        """Somebody sits there."""

        def isatty(self) -> bool:
            """Whether it is one."""
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("getpass.getpass", lambda *_, **__: PASSWORD)
    monkeypatch.setattr("click.termui.hidden_prompt_func", lambda *_: PASSWORD)
    answer = run("admin", "create", "--email", "root@example.com")
    assert answer.code == 0, answer
    assert answer.out.endswith("administrator created: root@example.com\n")


def test_all_that_is_wrong_with_an_admin_is_told_and_ends_with_2(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("short\n"))
    answer = run("admin", "create", "--email", "nonsense", "--password-stdin")
    assert (answer.code, answer.out) == (2, "")
    assert "email must be an email address" in answer.err
    assert "password must have 15 to 1024 characters" in answer.err


def test_an_email_that_is_taken_ends_with_1(run: Run) -> None:
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


def test_keys_are_made_listed_and_revoked(run: Run) -> None:
    assert "there are no API keys" in run("api-key", "list").out
    assert run("api-key", "list", "--json").document == []
    made = run("api-key", "create", "the web shop", "--json").document
    assert set(made) == {"id", "name", "created_at", "revoked_at", "secret"}
    assert made["secret"].startswith("smp_")
    other = run("api-key", "create", "a proxy")
    assert "secret, shown only once: smp_" in other.out
    (listed, _) = run("api-key", "list", "--json").document
    assert listed == {name: made[name] for name in ("id", "name", "created_at", "revoked_at")}
    assert run("api-key", "revoke", made["id"], "--json").document == {"id": made["id"], "revoked": True}
    (revoked, kept) = run("api-key", "list", "--json").document
    assert revoked["revoked_at"] is not None
    assert kept["revoked_at"] is None
    table = run("api-key", "list").out
    assert made["id"] in table
    assert "the web shop" in table
    assert made["secret"] not in table


def test_a_key_that_is_not_there_or_revoked_already_ends_with_1(run: Run) -> None:
    key_id = run("api-key", "create", "shop", "--json").document["id"]
    assert run("api-key", "revoke", key_id).out == f"key {key_id} revoked\n"
    again = run("api-key", "revoke", key_id)
    assert (again.code, again.out) == (1, "")
    assert again.error.startswith(f"there is no key {key_id}, or it is revoked already")
    assert run("api-key", "revoke", key_id, "--json").document["revoked"] is False


def test_a_keys_name_cannot_play_tricks_with_the_terminal(run: Run) -> None:
    run("api-key", "create", "shop\x1b[2Jx\nfake")
    assert "\x1b[2J" not in run("api-key", "list").out


# --- expire -------------------------------------------------------------------------------------------------------


def test_expire_with_nothing_due_changes_nothing(run: Run) -> None:
    answer = run("expire")
    assert answer.code == 0
    assert answer.out.startswith("0 subscriptions ended (0 expired, 0 cancelled) in ")
    document = run("expire", "--json").document
    assert document.pop("elapsed_s") >= 0
    assert document == {"expired": 0, "cancelled": 0, "failed": []}


# --- purge --------------------------------------------------------------------------------------------------------


def test_purge_says_how_many_rows_it_deleted_of_each_kind(run: Run) -> None:
    assert run("purge").out.startswith("0 rows deleted in ")
    document = run("purge", "--json").document
    assert document.pop("elapsed_s") >= 0
    assert document == {"idempotency_keys": 0, "sessions": 0, "login_attempts": 0}


def test_two_expire_at_once_share_the_work(run: Run, environ: dict[str, str], database_url: str) -> None:
    """Each subscription is ended once, and once is announced."""
    assert run("demo", "--users", "300").code == 0
    due = make_overdue(database_url)
    assert due > 50
    with ThreadPoolExecutor(2) as pool:
        answers = list(
            pool.map(lambda _: process(environ, "expire", "--json", SMP_DATABASE_URL=database_url), range(2))
        )
    assert [answer.code for answer in answers] == [0, 0], answers
    assert sum(answer.document["expired"] + answer.document["cancelled"] for answer in answers) == due
    assert run("expire", "--json").document["expired"] == 0
    findings = {
        check_result["check"]: check_result["ok"] for check_result in run("doctor", "--json").document["findings"]
    }
    assert findings["no_gap_in_events"]
    assert findings["subscriptions_match_their_last_event"]


def test_a_bad_row_costs_itself_only_and_ends_with_1(run: Run, database_url: str) -> None:
    run("demo", "--users", "100")
    due = make_overdue(database_url)
    # One has a version that an event has already: it cannot be announced.
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
    assert answer.document["expired"] + answer.document["cancelled"] == due - 1
    assert str(bad) in answer.err
    for_people = run("expire")
    assert for_people.code == 1
    assert "1 subscription could not be ended: see the log, and run smp doctor" in for_people.out


# --- demo and doctor ----------------------------------------------------------------------------------------------


def test_a_demonstration_is_whole_and_made_once(run: Run, database_url: str) -> None:
    made = run("demo", "--users", "60", "--json").document
    assert set(made) == {"already_there", "users", "plans", "subscriptions", "events", "password", "logins"}
    assert (made["already_there"], made["users"]) == (False, 60)
    assert {"trial running", "active", "expired", "cancelled"} <= {login["standing"] for login in made["logins"]}
    for table in ("users", "plans", "subscriptions"):
        assert sql(database_url, f"SELECT count(*) FROM {table}") == made[table]  # noqa: S608 - ours
    count = "SELECT count(*) FROM event_log"
    assert sql(database_url, count) == made["events"]
    examination = run("doctor", "--json")
    assert examination.code == 0
    assert examination.document["ok"]
    kept = sql(database_url, "SELECT password_hash FROM users WHERE email_key = $1", made["logins"][0]["email"])
    assert wait_for(matches(kept, made["password"]))
    again = run("demo", "--json").document
    assert (again["already_there"], again["users"], again["password"]) == (True, 0, made["password"])
    assert sql(database_url, count) == made["events"]


def test_a_demonstration_tells_people_how_to_sign_in(run: Run) -> None:
    answer = run("demo", "--users", "30")
    assert answer.code == 0
    assert answer.out.startswith("Created 6 plans, 30 users, ")
    assert "@demo.example" in answer.out
    assert "nothing was changed" in run("demo").out


def test_there_is_no_demonstration_in_production(run: Run, database_url: str) -> None:
    answer = run("demo", SMP_ENV="production")
    assert answer.code == 1
    assert answer.error.startswith("smp demo is refused with SMP_ENV=production")
    assert sql(database_url, "SELECT count(*) FROM plans") == 0


def test_the_doctor_finds_nothing_wrong_with_a_new_platform(run: Run) -> None:
    answer = run("doctor")
    assert answer.code == 0, answer
    assert answer.out.endswith("Nothing is wrong.\n")
    document = run("doctor", "--json").document
    assert document["ok"] is True
    assert all(set(check_result) == {"check", "ok", "detail", "advice"} for check_result in document["findings"])
    assert {"settings", "database", "migrations", "one_live_subscription_a_user"} <= {
        check_result["check"] for check_result in document["findings"]
    }


def test_the_doctor_names_broken_data_and_what_to_do(run: Run, database_url: str) -> None:
    run("demo", "--users", "20")
    sql(database_url, "UPDATE subscriptions SET version = version + 1 WHERE version = 1")
    answer = run("doctor")
    assert answer.code == 1
    assert "WRONG  no_gap_in_events: " in answer.out
    assert "→ restore the rows from a backup" in answer.out
    wrong = [check_result for check_result in run("doctor", "--json").document["findings"] if not check_result["ok"]]
    assert "no_gap_in_events" in {check_result["check"] for check_result in wrong}
    assert all(check_result["advice"] for check_result in wrong)


def test_the_doctor_changes_nothing(run: Run, database_url: str, unmigrated_database_url: str, data_dir: Path) -> None:
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


def test_the_doctor_says_what_else_is_wrong(run: Run, unmigrated_database_url: str, tmp_path: Path) -> None:
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


# --- what people are told when it cannot start --------------------------------------------------------------------


def test_a_wrong_setting_ends_with_2_and_names_the_variable(run: Run) -> None:
    answer = run("expire", SMP_PROT="1")
    assert (answer.code, answer.error) == (2, "SMP_PROT is not a setting; did you mean SMP_PORT?")


def test_production_without_a_database_says_so(run: Run) -> None:
    answer = run("serve", SMP_ENV="production", SMP_DATABASE_URL=None)
    assert answer.code == 2
    assert answer.error.startswith("SMP_DATABASE_URL is missing; production needs a PostgreSQL server")


def test_a_database_that_does_not_answer_is_told(run: Run) -> None:
    answer = run("expire", SMP_DATABASE_URL="postgresql://smp:hunter2@127.0.0.1:1/smp")
    assert answer.code == 1
    assert answer.error.startswith("no answer from the database smp at 127.0.0.1:1: see that it runs")
    assert "hunter2" not in answer.err


def test_a_database_that_is_not_there_is_told(run: Run, database_url: str) -> None:
    answer = run("expire", SMP_DATABASE_URL=database_url.replace("/smp_", "/nosuch_"))
    assert answer.code == 1
    assert answer.error.startswith("there is no database nosuch_")


def test_an_old_schema_stops_production_and_is_brought_up_in_development(
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
def test_a_schema_that_is_newer_stops_whoever_would_migrate(
    run: Run, database_url: str, command: tuple[str, ...]
) -> None:
    sql(database_url, "UPDATE smp_schema_version SET version_num = '9999'")
    answer = run(*command)
    assert answer.code == 1
    assert answer.error.startswith("the database has the schema 9999, newer than this version, which needs ")


def test_a_schema_that_is_newer_serves_production(run: Run, database_url: str) -> None:
    """A rollout migrates first and a roll-back does not undo it; what the old version starts meanwhile has to work."""
    sql(database_url, "UPDATE smp_schema_version SET version_num = '9999'")
    answer = run("expire", SMP_ENV="production")
    assert answer.code == 0
    assert "the schema is newer than this version" in answer.err
    assert run("migrate", SMP_ENV="production").code == 1


def test_an_unwritable_data_directory_is_told(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    answer = run("expire", SMP_DATABASE_URL=None, SMP_DATA_DIR=str(tmp_path / "file" / "data"))
    assert answer.code == 1
    assert answer.error.endswith("; set SMP_DATA_DIR to another folder")


def test_an_old_data_directory_is_told(run: Run, data_dir: Path) -> None:
    cluster = data_dir / "postgres" / "db"
    cluster.mkdir(parents=True)
    (data_dir / "postgres" / "start.lock").touch()
    (cluster / "PG_VERSION").write_text("13\n")
    answer = run("expire", SMP_DATABASE_URL=None, SMP_DATA_DIR=str(data_dir))
    assert answer.code == 1
    assert "are of PostgreSQL 13, and this is PostgreSQL" in answer.error


def test_a_traceback_is_shown_only_on_demand(run: Run) -> None:
    nowhere = "postgresql://smp:hunter2@127.0.0.1:1/smp"
    assert "Traceback" not in run("expire", SMP_DATABASE_URL=nowhere).err
    shown = run("expire", SMP_DATABASE_URL=nowhere, SMP_LOG_LEVEL="debug").err
    assert "Traceback" in shown
    assert "hunter2" not in shown


# --- real processes -----------------------------------------------------------------------------------------------


def test_a_process_with_an_unknown_variable_ends_with_2_and_one_line(environ: dict[str, str]) -> None:
    answer = process(environ, "expire", SMP_WROKERS="2")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "smp: error: SMP_WROKERS is not a setting; did you mean SMP_WORKERS?\n"


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        ("--help", {"litestar", "granian", "sqlalchemy", "asyncpg", "dishka", "alembic", "structlog"}),
        ("version", {"litestar", "granian", "sqlalchemy", "asyncpg", "dishka", "alembic", "structlog", "rich.console"}),
        ("expire", {"litestar", "granian", "alembic", "prometheus_client", "zxcvbn", "uvloop"}),
    ],
)
def test_a_command_imports_no_more_than_it_needs(
    environ: dict[str, str], database_url: str, arguments: str, unwanted: set[str]
) -> None:
    """That is what makes it start at once."""
    code = (
        "import sys; from smp.adapters.cli.program import run_program;"
        "from smp.bootstrap.runtime import ProcessServices;"
        f"code = run_program(ProcessServices({{'SMP_DATABASE_URL': {database_url!r}}}), [{arguments!r}]);"
        f"print(code, sorted({unwanted!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, timeout=TIMEOUT_S, check=True
    )
    assert done.stdout.splitlines()[-1] == "0 []"


def test_a_command_starts_the_embedded_server_and_the_last_one_out_stops_it(
    environ: dict[str, str], data_dir: Path
) -> None:
    """From nothing: initialised, migrated, asked, and stopped; the second command finds what the first one kept."""
    environ = {**environ, "SMP_DATA_DIR": str(data_dir)}
    made = process(environ, "api-key", "create", "shop", "--json")
    assert made.code == 0, made
    assert not (data_dir / "postgres" / "db" / "postmaster.pid").exists()
    listed = process(environ, "api-key", "list", "--json")
    assert [key["id"] for key in listed.document] == [made.document["id"]]
    assert datetime.fromisoformat(listed.document[0]["created_at"]) <= datetime.now(UTC)


def test_a_command_that_is_terminated_lets_go_of_the_embedded_server(environ: dict[str, str], data_dir: Path) -> None:
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
