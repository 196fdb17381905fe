"""All data out of one database and into another: whole, the same, and nothing where anything is wrong."""

# ruff: noqa: ASYNC240 - nothing else runs in these event loops

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path, PosixPath
from typing import BinaryIO, Final
from uuid import UUID

import asyncpg
import pytest

from smp.adapters.postgres import migrator, tables
from smp.adapters.postgres.bulk_loader import PostgresBulkLoader
from smp.adapters.postgres.pool import PoolSettings, PostgresPool, create_pool
from smp.adapters.postgres.transfer_kinds import DERIVED, KINDS
from smp.adapters.postgres.transfer_rows import row_of
from smp.adapters.postgres.transfer_source import open_source
from smp.adapters.postgres.transfer_target import Batch, open_target
from smp.adapters.transfer_file.reader import TransferReader
from smp.application.errors import TooManyAttempts
from smp.application.transfer import Stage, TransferRefused
from smp.bootstrap.database import SchemaMismatch
from smp.bootstrap.settings import Settings, load_settings
from smp.bootstrap.transfer import export_data, import_data
from smp.domain.money import Money
from smp.domain.plan.plan import PlanRevision
from tests.support.builders import (
    ADMIN,
    DAY,
    NOW,
    TICK,
    a_cause,
    a_plan,
    a_request,
    a_session,
    a_trial,
    a_user,
    an_active,
    an_admin,
    an_api_key,
    some_terms,
)
from tests.support.postgres_storage import postgres_storage

FAR: Final = datetime.max.replace(tzinfo=UTC)


def ignore(_stage: Stage, _done: int, _total: int) -> None:
    """Nobody looks."""


def settings_of(url: str, **more: str) -> Settings:
    """Settings for the database at ``url``."""
    return load_settings({"SMP_DATABASE_URL": url, "SMP_LOG_LEVEL": "error", **more})


async def write_some_of_everything(pool: PostgresPool) -> None:
    """Each kind of row, in each way in which a subscription can stand; instants with microseconds, and the last one."""
    storage = postgres_storage(pool)
    pro = a_plan("pro", some_terms(words='\N{CYRILLIC SMALL LETTER ZHE}\t"\\', seats=7))
    free = a_plan("free", some_terms(0, "JPY", period=None, trial="PT12H", export=False))
    root, ann, key = an_admin(), a_user("\N{LATIN CAPITAL LETTER A WITH DIAERESIS}nn@Example.com"), an_api_key()
    await storage.keep(pro, free, root, ann, a_session(ann, at=FAR), a_session(root, "another token", NOW + TICK), key)
    dearer = pro
    async with storage.unit_of_work(a_request()) as work:
        for amount in (2_490, 2_990):
            terms = replace(pro.revision.terms, price=Money(amount, "USD"))
            dearer = replace(dearer, events=()).change("Pro", "for all", terms, lambda: a_cause(NOW + DAY, ADMIN))
            await work.plans.save(dearer)
        await work.plans.save(replace(free, events=()).archive(a_cause(NOW + DAY, ADMIN)))
        await work.api_keys.revoke(key.id, NOW + DAY)
        await work.commit("done")
    users = [a_user(f"user-{number}@example.com") for number in range(9)]
    subscriptions = [
        a_trial(users[0], pro),
        a_trial(users[1], pro).convert(dearer.revision, a_cause(NOW + DAY)),
        an_active(users[2], pro).renew(pro.revision, a_cause(NOW + DAY)),
        an_active(users[3], pro).cancel_now(a_cause(NOW + DAY)),
        an_active(users[3], dearer, NOW + 2 * DAY),
        an_active(users[4], pro).settle(a_cause(NOW + 60 * DAY)),
        an_active(users[5], pro).cancel_at_period_end(a_cause(NOW + DAY)),
        a_trial(users[6], pro).cancel_at_period_end(a_cause(NOW)).settle(a_cause(NOW + 60 * DAY)),
        an_active(users[7], free),
        an_active(users[8], pro).cancel_now(a_cause(NOW)),
    ]
    await PostgresBulkLoader(pool).load(users, subscriptions)
    for _ in range(12):
        with suppress(TooManyAttempts):
            await storage.throttle.attempt("ann@example.com", "192.0.2.1", NOW)
    await storage.clock.set(NOW + 70 * DAY)


@pytest.fixture(scope="module")
async def source(untouched_database_url: str) -> str:
    """The URL of a database with some of everything, to which nothing is added."""
    pool = await create_pool(untouched_database_url, PoolSettings(size=2, command_timeout_s=30))
    await write_some_of_everything(pool)
    await pool.close()
    return untouched_database_url


@pytest.fixture(scope="module")
async def content(source: str, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What a file of it holds."""
    return (await exported(source, tmp_path_factory.mktemp("export") / "all.jsonl")).read_bytes()


@pytest.fixture
def file(content: bytes, tmp_path: Path) -> Path:
    """Such a file, for this test alone."""
    path = tmp_path / "all.jsonl"
    path.write_bytes(content)
    return path


@pytest.fixture
def target(database_url: str) -> str:
    """The URL of another database, migrated and empty."""
    return database_url


async def exported(url: str, path: Path) -> Path:
    """The file at ``path``, into which all data were written."""
    await export_data(settings_of(url), path, packed=path.suffix == ".gz", progress=ignore)
    return path


def body(path: Path) -> list[bytes]:
    """The rows of the file: all lines but the first, which has the time, and the last, which has the checksum."""
    content = path.read_bytes()
    return (gzip.decompress(content) if path.suffix == ".gz" else content).splitlines()[1:-1]


def rewritten(path: Path, change: Callable[[list[bytes]], Sequence[bytes]]) -> Path:
    """The file with other rows, whole in itself: as somebody would make it who knows the format."""
    header, *_ = path.read_bytes().splitlines()
    rows = list(change(body(path)))
    counts = {kind.name: 0 for kind in KINDS}
    for row in rows:
        counts[json.loads(row)["table"]] += 1
    end = json.dumps({"table": "end", "rows": len(rows), "counts": counts}, separators=(",", ":"))
    content = b"\n".join([header, *rows, end.removesuffix("}").encode() + b',"sha256":"'])
    path.write_bytes(content + hashlib.sha256(content).hexdigest().encode() + b'"}\n')
    return path


async def everything(url: str) -> Mapping[str, object]:
    """What is in every table, as text; of counts, whose shards depend on who wrote them, the sums."""
    connection = await asyncpg.connect(url)
    try:
        found: dict[str, object] = {}
        for table in tables.METADATA.tables:
            columns, more = "t::text", ""
            if table in {"subscription_counts", "user_counts"}:
                names = [str(column.name) for column in tables.METADATA.tables[table].columns][:-2]
                columns = " || ',' || ".join([*(f"{name}::text" for name in names), "sum(n)::text"])
                more = f"GROUP BY {', '.join(names)} HAVING sum(n) <> 0" if names else ""
            found[table] = await connection.fetch(f"SELECT {columns} FROM {table} AS t {more} ORDER BY 1")  # noqa: S608
        return found
    finally:
        await connection.close()


async def value_of(url: str, query: str, *values: object) -> object:
    """The first value that the query gives."""
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query, *values)
    finally:
        await connection.close()


async def findings_of(url: str) -> set[str]:
    """What the doctor finds wrong with the data."""
    pool = await create_pool(url, PoolSettings(size=1, command_timeout_s=30))
    try:
        found = await postgres_storage(pool).integrity.check(NOW + 70 * DAY)
        return {finding.check for finding in found if not finding.ok}
    finally:
        await pool.close()


def test_every_table_is_moved_or_made_anew() -> None:
    """A new table wants its place in the file, or a reason."""
    assert {kind.name for kind in KINDS} | DERIVED == set(tables.METADATA.tables)
    assert {kind.name for kind in KINDS}.isdisjoint(DERIVED)


def test_every_column_is_moved() -> None:
    """A new one, too."""
    for kind in KINDS:
        assert {column.name for column in kind.columns} >= {
            column.name for column in tables.METADATA.tables[kind.name].columns
        }


@pytest.mark.parametrize("name", ["all.jsonl", "all.jsonl.gz"])
async def test_everything_arrives(source: str, target: str, tmp_path: Path, name: str) -> None:
    """Every table is the same to the microsecond, counts agree, the doctor is content, the next file is the same."""
    file = await exported(source, tmp_path / name)
    outcome = await import_data(settings_of(target), file, ignore)
    assert outcome.written == outcome.summary.lines == len(body(file))
    assert outcome.resumed_at is None
    assert await everything(target) == await everything(source)
    assert all((await everything(target)).values()), "a table without rows proves nothing"
    assert await findings_of(target) == set()
    assert body(await exported(target, tmp_path / f"again-{name}")) == body(file)
    assert await value_of(target, "SELECT to_regclass('import_progress')") is None
    known = await value_of(target, "SELECT reltuples::bigint FROM pg_class WHERE relname = 'events'")
    assert known == outcome.summary.counts["events"], "the planner knows nothing of them"


async def test_a_batch_is_bounded_in_rows_and_in_bytes(
    target: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row is always in it, however long."""
    monkeypatch.setattr("smp.bootstrap.transfer.BATCH_BYTES", 1)
    steps: list[int] = []

    def progress(stage: Stage, done: int, _total: int) -> None:
        if stage is Stage.WRITING:
            steps.append(done)

    await import_data(settings_of(target), file, progress)
    assert steps == list(range(1, len(body(file)) + 1))


async def test_pages_and_batches_end_anywhere(
    source: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No row is lost or moved twice where one page ends and the next one begins."""
    whole = await exported(source, tmp_path / "whole.jsonl")
    monkeypatch.setattr("smp.adapters.postgres.transfer_source.PAGE_ROWS", 2)
    paged = await exported(source, tmp_path / "paged.jsonl")
    assert body(paged) == body(whole)
    monkeypatch.setattr("smp.bootstrap.transfer.BATCH_ROWS", 3)
    monkeypatch.setattr("smp.bootstrap.transfer.BATCH_BYTES", 700)
    await import_data(settings_of(target), paged, ignore)
    assert body(await exported(target, tmp_path / "again.jsonl")) == body(whole)


async def test_an_export_is_of_one_instant(database_url: str, pool: PostgresPool) -> None:
    """What is written after its first look is not in it, in no table."""
    await write_some_of_everything(pool)
    before = [line async for _, lines in _lines(database_url) for line in lines]
    async with open_source(database_url) as snapshot:
        assert await snapshot.count() == len(before)
        late = a_user("late@example.com")
        await PostgresBulkLoader(pool).load([late], [an_active(late, a_plan_of(before), NOW)])
        seen = [line async for _, lines in snapshot.lines() for line in lines]
    assert seen == before
    assert len([line async for _, lines in _lines(database_url) for line in lines]) == len(before) + 4


async def _lines(url: str) -> AsyncIterator[tuple[str, Sequence[bytes]]]:
    async with open_source(url) as snapshot:
        async for page in snapshot.lines():
            yield page


def a_plan_of(lines: Sequence[bytes]) -> PlanRevision:
    """The newest revision of a plan in these lines."""
    row = next(row for row in map(json.loads, lines) if row["table"] == "plans" and row["code"] == "pro")
    return PlanRevision(UUID(row["id"]), row["revision"], some_terms(row["amount"]), NOW)


async def test_importing_twice_changes_nothing(source: str, target: str, file: Path) -> None:
    """Also into the database that the file is of."""
    await import_data(settings_of(target), file, ignore)
    for url in (target, source):
        before = await everything(url)
        again = await import_data(settings_of(url), file, ignore)
        assert (again.written, again.resumed_at) == (0, None)
        assert await everything(url) == before


class Stopped(Exception):
    """The import was stopped here."""


def stop_after(writes: int) -> Callable[[Stage, int, int], None]:
    """Progress that stops the import after so many batches."""
    seen = iter(range(writes))

    def progress(stage: Stage, _done: int, _total: int) -> None:
        if stage is Stage.WRITING and next(seen, None) is None:
            raise Stopped

    return progress


async def test_an_import_that_was_stopped_goes_on_from_there(
    source: str, target: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As often as it is stopped; meanwhile the doctor says that the data are not whole."""
    monkeypatch.setattr("smp.bootstrap.transfer.BATCH_ROWS", 3)
    resumed: list[int] = []
    for writes in (0, 1, 2, 4):
        with pytest.raises(Stopped):
            await import_data(settings_of(target), file, stop_after(writes))
        resumed.append(int(str(await value_of(target, "SELECT line FROM import_progress"))))
        assert "no_unfinished_import" in await findings_of(target)
    outcome = await import_data(settings_of(target), file, ignore)
    assert resumed == sorted(set(resumed))
    assert outcome.resumed_at == resumed[-1]
    assert 0 < outcome.written < outcome.summary.lines
    assert await everything(target) == await everything(source)
    assert await findings_of(target) == set()


async def test_an_unfinished_import_is_finished_with_its_own_file(
    source: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two files' rows are never mixed."""
    monkeypatch.setattr("smp.bootstrap.transfer.BATCH_ROWS", 3)
    first, second = await exported(source, tmp_path / "1.jsonl"), await exported(source, tmp_path / "2.jsonl")
    with pytest.raises(Stopped):
        await import_data(settings_of(target), first, stop_after(1))
    with pytest.raises(TransferRefused, match="an import of another file was begun in this database and not finished"):
        await import_data(settings_of(target), second, ignore)
    assert (await import_data(settings_of(target), first, ignore)).resumed_at is not None


async def test_two_imports_at_once_do_not_write_over_each_other(target: str, file: Path) -> None:
    """The one that comes second is told, and the first one goes on."""
    with file.open("rb") as stream:
        reader = TransferReader(stream)
        ((number, line), *_) = reader.rows()
        summary = reader.summary
    kind, row = row_of(number, line)
    async with open_target(target, summary) as one, open_target(target, summary) as other:
        assert (await one.begin(), await other.begin()) == (1, 1)
        assert await one.write(Batch(kind, [number], [row]), 1) == 1
        with pytest.raises(TransferRefused, match="another import of this file runs on this database"):
            await other.write(Batch(kind, [number], [row]), 1)
        assert await one.begin() == number


async def test_a_database_with_other_data_is_left_alone(target: str, pool: PostgresPool, file: Path) -> None:
    """Be it one account that the file has not."""
    await postgres_storage(pool).keep(an_admin("somebody@example.com"))
    with pytest.raises(TransferRefused, match=r"the database is not empty, .* \(users 1 instead of 11, "):
        await import_data(settings_of(target), file, ignore)
    assert await value_of(target, "SELECT count(*) FROM users") == 1
    assert await value_of(target, "SELECT to_regclass('import_progress')") is None


async def test_a_database_that_went_on_is_left_alone(target: str, file: Path) -> None:
    """Of the same rows one is different by now: it is not for an import to judge which is right."""
    await import_data(settings_of(target), file, ignore)
    await value_of(target, "UPDATE users SET disabled = true WHERE email = 'user-8@example.com'")
    before = await everything(target)
    with pytest.raises(TransferRefused, match=r"line \d+, a row of users, is not there as it is here"):
        await import_data(settings_of(target), file, ignore)
    assert await everything(target) == before


async def test_what_somebody_else_writes_during_an_import_is_found(target: str, file: Path) -> None:
    """At its end at the latest: the import is not done then."""
    with pytest.raises(Stopped):
        await import_data(settings_of(target), file, stop_after(8))
    await value_of(target, "INSERT INTO test_clock VALUES (true, now())")
    with pytest.raises(TransferRefused, match=r"line \d+: test_clock: a row with this key is there already"):
        await import_data(settings_of(target), file, ignore)
    await value_of(target, "UPDATE test_clock SET now = $1", NOW + 70 * DAY)
    await value_of(target, "INSERT INTO api_keys VALUES (gen_random_uuid(), 'x', sha256('x'), now(), NULL)")
    with pytest.raises(TransferRefused, match=r"something else wrote into the database .*api_keys 2 instead of 1"):
        await import_data(settings_of(target), file, ignore)
    assert "no_unfinished_import" in await findings_of(target)


async def test_nothing_of_a_cut_or_damaged_file_is_written(target: str, file: Path, content: bytes) -> None:
    """The whole file is looked at first."""
    empty = await everything(target)
    file.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(TransferRefused, match="the file was cut"):
        await import_data(settings_of(target), file, ignore)
    file.write_bytes(content.replace(b'"seats":7', b'"seats":8', 1))
    with pytest.raises(TransferRefused, match="the file was changed after it was written"):
        await import_data(settings_of(target), file, ignore)
    assert await everything(target) == empty
    assert await value_of(target, "SELECT to_regclass('import_progress')") is None


def changed(table: str, **values: object) -> Callable[[list[bytes]], Sequence[bytes]]:
    """The first row of the table with these values, ``...`` for none at all."""

    def change(rows: list[bytes]) -> Sequence[bytes]:
        number = next(number for number, row in enumerate(rows) if json.loads(row)["table"] == table)
        document = {**json.loads(rows[number]), **values}
        document = {name: value for name, value in document.items() if value is not ...}
        return [*rows[:number], json.dumps(document).encode(), *rows[number + 1 :]]

    return change


MALFORMED: Final = {
    "no column": changed("users", email=...),
    "an unknown column": changed("users", colour="red"),
    "a wrong type": changed("users", disabled="no"),
    "no email": changed("users", email="nonsense", email_key="nonsense"),
    "an instant without a zone": changed("users", created_at="2026-01-31T12:00:00"),
    "an impossible instant": changed("users", created_at="2026-02-30T12:00:00Z"),
    "no id": changed("users", id="1"),
    "an unknown role": changed("users", role="king"),
    "a number that is too large": changed("plans", version=2**63),
    "a period that is none": changed("plans", period="P1M2D"),
    "a feature that is none": changed("plans", features={"Seats": 1}),
    "a nested feature": changed("plans", features={"seats": {"a": 1}}),
    "a negative limit": changed("plan_revisions", features={"seats": -1}),
    "no base64": changed("api_keys", digest="?"),
    "a lone surrogate": lambda rows: [rows[0].replace(b'"email":"', b'"email":"\\ud800'), *rows[1:]],
}


async def test_a_malformed_row_is_named_by_its_line(target: str, file: Path, content: bytes) -> None:
    """Before anything is written, though the file's checksum is right."""
    for name, change in MALFORMED.items():
        file.write_bytes(content)
        before = body(file)
        rewritten(file, change)
        (number,) = [number for number, (old, new) in enumerate(zip(before, body(file), strict=True), 2) if old != new]
        with pytest.raises(TransferRefused) as refused:
            await import_data(settings_of(target), file, ignore)
        assert str(refused.value).startswith(f"line {number}: "), name
    assert await value_of(target, "SELECT count(*) FROM users") == 0


def with_overlap(rows: list[bytes]) -> Sequence[bytes]:
    """One that was cancelled at once given to the user whose subscription covers that very instant."""
    documents = [json.loads(row) for row in rows]
    subscriptions = [row for row in documents if row["table"] == "subscriptions"]
    cancelled = next(
        row for row in subscriptions if row["status"] == "cancelled" and row["ended_at"] > row["starts_at"]
    )
    active = next(row for row in subscriptions if row["status"] == "active" and row["user_id"] != cancelled["user_id"])
    changed_rows = [row | ({"user_id": active["user_id"]} if row is cancelled else {}) for row in documents]
    return [json.dumps(row).encode() for row in changed_rows]


FORBIDDEN: Final = {
    "user_emails_pkey": changed("users", email_key="user-8@example.com"),
    "api_keys_digest_length": changed("api_keys", digest="AAAA"),
    "plans_code_shape": changed("plans", code="No Slug"),
    "plan_events_plan_fkey": changed("plan_events", plan_id="00000000-0000-0000-0000-000000000000"),
    "subscriptions_revision_fkey": changed("subscriptions", revision=99),
    "subscriptions_no_overlap": with_overlap,
    "trials_user_fkey": changed("trials", user_id="00000000-0000-0000-0000-000000000000"),
    "events_actor": changed("events", actor_type="robot"),
    "invalid byte sequence": changed("api_keys", name="a\x00b"),
}


@pytest.mark.parametrize(("rule", "change"), FORBIDDEN.items(), ids=FORBIDDEN)
async def test_a_row_that_the_database_refuses_is_named_with_its_rule(
    target: str, file: Path, rule: str, change: Callable[[list[bytes]], Sequence[bytes]]
) -> None:
    """Nothing of its batch is written, and no value of the row is told: it may be secret."""
    before = [json.loads(row) for row in body(file)]
    rewritten(file, change)
    after = [json.loads(row) for row in body(file)]
    (number,) = [number for number, (old, new) in enumerate(zip(before, after, strict=True), 2) if old != new]
    table = before[number - 2]["table"]
    with pytest.raises(TransferRefused) as refused:
        await import_data(settings_of(target), file, ignore)
    told = str(refused.value)
    assert told.startswith("line ")
    assert f": {table}: " in told
    assert rule in told
    assert "user-8@example.com" not in told
    assert await value_of(target, f"SELECT count(*) FROM {table}") == 0  # noqa: S608 - ours
    assert "no_unfinished_import" in await findings_of(target)


async def test_two_rows_with_one_key_are_refused(target: str, file: Path) -> None:
    """Be they equal or not."""
    rewritten(file, lambda rows: [rows[0], *rows])
    with pytest.raises(TransferRefused, match=r"lines 2 to \d+: users: two rows have the same key"):
        await import_data(settings_of(target), file, ignore)
    assert await value_of(target, "SELECT count(*) FROM users") == 0


async def test_the_last_line_must_tell_what_is_there(target: str, file: Path, content: bytes) -> None:
    """Kind by kind."""
    begun, _, _ = content.rpartition(b'"sha256":"')
    begun = begun.replace(b'"counts":{"users":11,"api_keys":1,', b'"counts":{"users":10,"api_keys":2,') + b'"sha256":"'
    file.write_bytes(begun + hashlib.sha256(begun).hexdigest().encode() + b'"}\n')
    with pytest.raises(TransferRefused, match="the rows are not of the kinds that the last line tells"):
        await import_data(settings_of(target), file, ignore)


class ReadLittleByLittle(PosixPath):
    """A file that is longer than what is read ahead of it, which is 128 KiB from Python 3.14 on."""

    def open(self, *_: object, **__: object) -> BinaryIO:  # type: ignore[override]
        return super().open("rb", buffering=512)


async def test_a_file_that_changes_while_it_is_read_is_not_finished(target: str, file: Path, tmp_path: Path) -> None:
    """It is another file from then on."""
    other = tmp_path / "other.jsonl"
    other.write_bytes(file.read_bytes())
    rewritten(other, changed("test_clock", now="2031-01-01T00:00:00Z"))

    def swap(stage: Stage, _done: int, _total: int) -> None:
        if stage is Stage.WRITING:
            file.write_bytes(other.read_bytes())

    with pytest.raises(TransferRefused, match=r"the file was changed|line \d+"):
        await import_data(settings_of(target), ReadLittleByLittle(file), swap)
    assert "no_unfinished_import" in await findings_of(target)


async def test_another_schema_is_refused(target: str, file: Path, content: bytes, tmp_path: Path) -> None:
    """Of the file, and of either database: rows are moved between equals."""
    head = migrator.head()
    file.write_bytes(content.replace(f'"schema":"{head}"'.encode(), b'"schema":"0000"', 1))
    with pytest.raises(TransferRefused, match=f"the file has the schema 0000, and this version of SMP has {head}"):
        await import_data(settings_of(target), file, ignore)
    file.write_bytes(content)
    for version in ("9999", "0000"):
        await value_of(target, "UPDATE alembic_version SET version_num = $1", version)
        with pytest.raises(SchemaMismatch, match=f"has the schema {version}"):
            await export_data(settings_of(target), tmp_path / "new.jsonl", packed=False, progress=ignore)
        with pytest.raises(SchemaMismatch, match=f"has the schema {version}"):
            await import_data(settings_of(target, SMP_ENV="production"), file, ignore)
    assert not (tmp_path / "new.jsonl").exists()


async def test_a_new_database_is_migrated_in_development(source: str, unmigrated_database_url: str, file: Path) -> None:
    """As every command does; in production that is the operator's decision."""
    with pytest.raises(SchemaMismatch, match="has no schema yet"):
        await import_data(settings_of(unmigrated_database_url, SMP_ENV="production"), file, ignore)
    await import_data(settings_of(unmigrated_database_url), file, ignore)
    assert await everything(unmigrated_database_url) == await everything(source)


async def test_an_empty_platform_is_moved_too(target: str, tmp_path: Path) -> None:
    """There is nothing to write, and nothing is wrong with that."""
    file = await exported(target, tmp_path / "all.jsonl")
    assert body(file) == []
    for _ in range(2):
        assert (await import_data(settings_of(target), file, ignore)).written == 0
    assert await value_of(target, "SELECT to_regclass('import_progress')") is None


async def test_progress_goes_up_to_all(
    source: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every stage, never down."""
    monkeypatch.setattr("smp.adapters.postgres.transfer_source.PAGE_ROWS", 5)
    monkeypatch.setattr("smp.bootstrap.transfer.BATCH_ROWS", 5)
    monkeypatch.setattr("smp.bootstrap.transfer._REPORT_EVERY", 5)
    told: list[tuple[Stage, int, int]] = []

    def stages() -> list[Stage]:
        for (stage, done, total), (next_stage, next_done, next_total) in pairwise(told):
            assert stage is not next_stage or (done <= next_done and total == next_total)
        assert all(done <= total for _, done, total in told)
        assert told[-1][1] == told[-1][2]
        found = list(dict.fromkeys(stage for stage, _, _ in told))
        told.clear()
        return found

    def progress(stage: Stage, done: int, total: int) -> None:
        told.append((stage, done, total))

    file = tmp_path / "all.jsonl"
    await export_data(settings_of(source), file, packed=False, progress=progress)
    assert stages() == [Stage.READING]
    await import_data(settings_of(target), file, progress)
    assert stages() == [Stage.CHECKING, Stage.WRITING]
    await import_data(settings_of(target), file, progress)
    assert stages() == [Stage.CHECKING, Stage.COMPARING]
