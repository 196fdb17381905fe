"""The expiry job: a late run changes no answer, runs share the work, and each end has one event."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.builders import some_terms
from tests.support.clients import Call, send
from tests.support.populations import Account, Population, population, right_now
from tests.support.processes import SOON_S, Service, begin, run, serving

DAY: Final = timedelta(days=1)
OVERDUE: Final = 14_000
"""Seven batches; one process works on two at a time."""

SLOWLY: Final = """
    CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.6); RETURN NULL; END $$;
    CREATE TRIGGER slow AFTER UPDATE ON subscriptions FOR EACH STATEMENT EXECUTE FUNCTION take_time()
"""
REFUSING: Final = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not this one'; END $$;
    CREATE TRIGGER bad BEFORE UPDATE ON subscriptions FOR EACH ROW WHEN (OLD.id = '{}') EXECUTE FUNCTION refuse()
"""
ENDS: Final = """
    SELECT count(*) AS n, count(DISTINCT subject_id) AS subscriptions FROM event_log
    WHERE type IN ('subscription.expired', 'subscription.cancelled')
"""
LIVE_PREDICATE: Final = "SELECT count(*) FROM subscriptions WHERE status IN ('trial', 'active')"


@pytest.fixture
async def people(database_url: str) -> AsyncIterator[Population]:
    async with population(database_url) as people:
        yield people


@pytest.fixture
def job_environ(environ: dict[str, str], database_url: str) -> dict[str, str]:
    """Return the environment of `smp expire`, and of a server with a test clock and without periodic jobs."""
    return {**environ, "SMP_DATABASE_URL": database_url, "SMP_TEST_CLOCK": "1"}


async def expire(environ: Mapping[str, str]) -> tuple[int, dict[str, Any], str]:
    """Run `smp expire`; return its exit code, its JSON output and its log."""
    done = await asyncio.to_thread(run, environ, "expire", "--json")
    return done.returncode, json.loads(done.stdout), done.stderr


# --- late -------------------------------------------------------------------------------------------------------------


async def move_clock(service: Service, root: Account, now: datetime, **options: bool) -> None:
    reply = await send(root.call(service.port, "PUT", "/v1/test-clock", {"now": now.isoformat(), **options}))
    assert reply.status == 200, reply


async def some_customers(service: Service, people: Population) -> Sequence[Account]:
    """Return customers: two on trial, two who paid, one for life; one of each two has scheduled a cancellation."""
    month, life = await people.plan(), await people.plan(some_terms(amount=99_000, period=None))
    wishes = (
        (("trial", {"plan": month.code}),),
        (("trial", {"plan": month.code}), ("cancel", {"at": "period_end"})),
        (("activate", {"plan": month.code}),),
        (("activate", {"plan": month.code}), ("cancel", {"at": "period_end"})),
        (("activate", {"plan": life.code}),),
    )
    customers = [await people.account() for _ in wishes]
    for customer, wished in zip(customers, wishes, strict=True):
        for action, body in wished:
            reply = await send(customer.call(service.port, "POST", f"/v1/me/subscription/{action}", body))
            assert reply.status in {200, 201}, reply
    return customers


async def all_answers(service: Service, root: Account, customers: Sequence[Account]) -> dict[str, tuple[int, Any]]:
    """Return every answer about subscriptions, except their events."""
    queries = [f"?status={status}" for status in ("trial", "active", "expired", "cancelled")]
    queries += ["", "?status=expired&status=cancelled", "?ends_before=2100-01-01T00:00:00Z"]
    calls = [root.call(service.port, "GET", f"/v1/subscriptions{query}") for query in queries]
    calls.append(root.call(service.port, "GET", "/v1/statistics"))
    for customer in customers:
        paths = ("subscription", "subscriptions", "access", "access/export", "access/seats")
        calls += [customer.call(service.port, "GET", f"/v1/me/{path}") for path in paths]
    answers = {}
    for call in calls:
        reply = await send(call)
        answers[f"{call.path} {call.token}"] = (reply.status, reply.document)
    return answers


async def event_types(service: Service, root: Account, answers: Mapping[str, tuple[int, Any]]) -> list[list[str]]:
    """Return the types of the events of each subscription."""
    items = answers[f"/v1/subscriptions {root.token}"][1]["items"]
    replies = [await send(root.call(service.port, "GET", f"/v1/subscriptions/{item['id']}/events")) for item in items]
    return [[event["type"] for event in reply.document["items"]] for reply in replies]


async def test_a_late_expiry_job_changes_no_response(
    job_environ: dict[str, str], people: Population, folder: Path
) -> None:
    """The clock decides before anything is stored. After the job, each end has one event, as of its instant."""
    with serving(job_environ, folder) as service:
        root, customers = await people.admin(), await some_customers(service, people)
        await move_clock(service, root, right_now() + timedelta(minutes=20), sweep=False)
        before_the_ends = await all_answers(service, root, customers)
        root = await people.admin()
        await people.rows("UPDATE sessions SET created_at = $1, last_seen_at = $1", later := right_now() + 40 * DAY)
        await move_clock(service, root, later, sweep=False)
        late = await all_answers(service, root, customers)
        events_late = await event_types(service, root, late)
        assert await people.value(LIVE_PREDICATE) == 5, "nothing was written yet"
        code, printed, _ = await expire(job_environ)
        assert (code, printed["expired"], printed["cancelled"], printed["failed"]) == (0, 2, 2, [])
        assert await all_answers(service, root, customers) == late
        ended = [item["status"] for item in late[f"/v1/subscriptions {root.token}"][1]["items"]]
        assert ended == ["active", "cancelled", "expired", "cancelled", "expired"]
        assert len(before_the_ends) == len(late)
        events = await event_types(service, root, late)
        added = [new[len(old) :] for old, new in zip(events_late, events, strict=True)]
        assert added == [[] if status == "active" else [f"subscription.{status}"] for status in ended]


async def test_setting_the_test_clock_runs_the_expiry_job_before_the_response(
    job_environ: dict[str, str], people: Population, folder: Path
) -> None:
    """Unless the request switches the job off."""
    with serving(job_environ, folder) as service:
        root = await people.admin()
        await some_customers(service, people)
        await people.rows("UPDATE sessions SET created_at = $1, last_seen_at = $1", first := right_now() + 20 * DAY)
        await move_clock(service, root, first, sweep=False)
        assert await people.value(LIVE_PREDICATE) == 5
        await move_clock(service, root, first)
        assert await people.value(LIVE_PREDICATE) == 3, "the trials are over"
        await people.rows("UPDATE sessions SET created_at = $1, last_seen_at = $1", second := first + 20 * DAY)
        await move_clock(service, root, second, sweep=True)
        assert await people.value(LIVE_PREDICATE) == 1, "all but the one for life are over"
        (printed,) = await people.rows(ENDS)
        assert (printed["n"], printed["subscriptions"]) == (4, 4)


async def test_a_server_with_an_interval_runs_the_expiry_job(
    job_environ: dict[str, str], people: Population, folder: Path
) -> None:
    await people.trials(await people.plan(), 3, started=20 * DAY)
    with serving({**job_environ, "SMP_SWEEP_INTERVAL_S": "1"}, folder) as service:
        async with asyncio.timeout(SOON_S):
            while await people.value(LIVE_PREDICATE):
                await asyncio.sleep(0.1)
        assert service.stop() == 0


# --- many at once -----------------------------------------------------------------------------------------------------


async def test_two_simultaneous_expiry_jobs_share_the_work(job_environ: dict[str, str], people: Population) -> None:
    """A third one was killed during its first batches: it changed nothing and blocks no other job."""
    await people.trials(await people.plan(), OVERDUE, started=20 * DAY)
    await people.execute(SLOWLY)
    with begin(job_environ, "expire") as killed:
        while not await people.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"):
            await asyncio.sleep(0.01)
        killed.kill()
    assert (await people.rows(ENDS))[0]["n"] == 0
    first, second = await asyncio.gather(expire(job_environ), expire(job_environ))
    for code, printed, _ in (first, second):
        assert code == 0
        assert printed["expired"] > 0, "one did all the work"
        assert printed["failed"] == []
    assert first[1]["expired"] + second[1]["expired"] == OVERDUE
    (ends,) = await people.rows(ENDS)
    assert (ends["n"], ends["subscriptions"]) == (OVERDUE, OVERDUE)
    assert await people.value(LIVE_PREDICATE) == 0
    assert (await expire(job_environ))[1]["expired"] == 0, "there is nothing left"
    checked: subprocess.CompletedProcess[str] = await asyncio.to_thread(run, job_environ, "doctor")
    assert checked.returncode == 0, checked.stdout + checked.stderr


async def test_a_damaged_subscription_is_reported_and_does_not_stop_the_job(
    job_environ: dict[str, str], people: Population, folder: Path
) -> None:
    """The command and the log report it until it can be ended. Responses about it are right at any time."""
    trials = await people.trials(await people.plan(), 40, started=20 * DAY)
    bad = trials[17]
    await people.execute(REFUSING.format(bad.id))
    for ended in (39, 0):
        code, printed, log = await expire(job_environ)
        assert (code, printed["expired"], printed["failed"]) == (1, ended, [str(bad.id)])
        assert str(bad.id) in log
        assert "Traceback" not in log
    with serving(job_environ, folder) as service:
        root = await people.admin()
        reply = await send(root.call(service.port, "GET", f"/v1/subscriptions/{bad.id}"))
        assert (reply.document["status"], reply.document["version"]) == ("expired", 2)
        access = await send(Call(service.port, "GET", f"/v1/users/{bad.user_id}/access/export", token=root.token))
        assert access.document["reason"] == "subscription_expired"
    await people.execute("DROP TRIGGER bad ON subscriptions")
    code, printed, _ = await expire(job_environ)
    assert (code, printed["expired"], printed["failed"]) == (0, 1, [])
    (ends,) = await people.rows(ENDS)
    assert (ends["n"], ends["subscriptions"]) == (40, 40)
