"""Every constraint of the schema refuses the writes that violate it, and is named in the error."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import asyncpg
import pytest

from smp.adapters.postgres.statements import set_codecs
from smp.adapters.postgres.tables import METADATA

NOW: Final = datetime(2026, 1, 31, 12, tzinfo=UTC)
DAY: Final = timedelta(days=1)
END: Final = NOW + 28 * DAY

ANN, BOB, NOBODY = (UUID(int=number) for number in (1, 2, 9))
PLAN, OTHER_PLAN = UUID(int=11), UUID(int=12)
TRIAL, PAID, NEW = (UUID(int=number) for number in (21, 22, 23))
EVENT, NEW_EVENT = UUID(int=31), UUID(int=32)

Row = Mapping[str, Any]


def user(id_: UUID, email: str) -> dict[str, object]:
    return {
        "id": id_,
        "email": email,
        "email_key": email,
        "password_hash": "a hash",
        "role": "user",
        "disabled": False,
        "created_at": NOW,
        "version": 1,
    }


def revision(plan_id: UUID, number: int = 1) -> dict[str, object]:
    return {
        "plan_id": plan_id,
        "number": number,
        "amount": 1990,
        "currency": "USD",
        "period": "P1M",
        "trial_period": "P14D",
        "features": {"seats": 5},
        "created_at": NOW,
    }


def plan(id_: UUID, code: str) -> dict[str, object]:
    return {
        "id": id_,
        "code": code,
        "name": "Pro",
        "description": "",
        "status": "active",
        "revision": 1,
        "amount": 1990,
        "version": 1,
        "created_at": NOW,
    }


TRIAL_ROW: Final = {
    "user_id": ANN,
    "id": TRIAL,
    "plan_id": PLAN,
    "revision": 1,
    "status": "trial",
    "starts_at": NOW,
    "ends_at": END,
    "trial_ends_at": END,
    "anchor_at": None,
    "periods": 0,
    "converted_at": None,
    "cancel_at": None,
    "cancelled_at": None,
    "ended_at": None,
    "version": 1,
    "created_at": NOW,
}
PAID_ROW: Final = TRIAL_ROW | {
    "user_id": BOB,
    "id": PAID,
    "status": "active",
    "trial_ends_at": None,
    "anchor_at": NOW,
    "periods": 1,
}
OVER: Final = {"status": "expired", "ended_at": END}
LEFT: Final = {"status": "cancelled", "ended_at": NOW + DAY, "cancelled_at": NOW + DAY}
CONVERTED: Final = {"trial_ends_at": NOW + DAY, "converted_at": NOW + DAY, "anchor_at": NOW + DAY}

EVENT_ROW: Final = {
    "shard_key": ANN,
    "id": EVENT,
    "user_id": ANN,
    "subject_id": TRIAL,
    "version": 1,
    "type": "subscription.trial_started",
    "occurred_at": NOW,
    "recorded_at": NOW,
    "actor_type": "user",
    "actor_id": ANN,
    "data": {},
}
OF_A_PLAN: Final = {"shard_key": PLAN, "user_id": None, "subject_id": PLAN, "type": "plan.revised"}
OF_A_USER: Final = {"subject_id": ANN, "type": "user.disabled"}
OF_A_SESSION: Final = {"subject_id": NEW, "type": "session.revoked", "version": None}
OF_A_KEY: Final = {"shard_key": NEW, "user_id": None, "subject_id": NEW, "type": "api_key.created", "version": None}
EMAIL_ROW: Final = {"email_key": "ann@example.com", "user_id": ANN}
SESSION_ROW: Final = {
    "user_id": ANN,
    "id": UUID(int=41),
    "token_digest": b"t" * 32,
    "created_at": NOW,
    "last_seen_at": NOW,
    "source": "192.0.2.1",
    "user_agent": "",
}
API_KEY_ROW: Final = {
    "id": UUID(int=51),
    "name": "shop",
    "digest": b"k" * 32,
    "created_at": NOW,
    "revoked_at": None,
}
ANSWER_ROW: Final = {
    "caller": "user:ann",
    "key": "a key",
    "fingerprint": b"f",
    "status": 201,
    "headers": {},
    "body": b"{}",
    "created_at": NOW,
}
THROTTLE_ROW: Final = {
    "key": "account:" + "0" * 64,
    "attempts": 1,
    "last_attempt_at": NOW,
    "blocked_until": None,
}
LEDGER_ROW: Final = {
    "user_id": ANN,
    "plan_id": PLAN,
    "subscription_id": TRIAL,
    "started_at": NOW,
    "per_user": True,
    "person": "ann@example.com",
}

# One legal row of everything, in the order in which rows refer to each other.
LEGAL: Final[tuple[tuple[str, Row], ...]] = (
    ("users", user(ANN, "ann@example.com")),
    ("users", user(BOB, "bob@example.com")),
    ("user_emails", EMAIL_ROW),
    ("subscriptions", TRIAL_ROW),
    ("subscriptions", PAID_ROW),
    ("subscription_spans", {"user_id": ANN, "subscription_id": TRIAL, "span": asyncpg.Range(NOW, END)}),
    ("trials", LEDGER_ROW),
    ("event_log", EVENT_ROW),
    ("sessions", SESSION_ROW),
    ("api_keys", API_KEY_ROW),
    ("idempotency_keys", ANSWER_ROW),
    ("login_throttle", THROTTLE_ROW),
    ("test_clock", {"only_row": True, "now": NOW}),
)


@dataclass(frozen=True)
class Write:
    """A row of a table: the legal row ``legal``, with some columns changed."""

    table: str
    legal: Row
    but: Row = field(default_factory=dict)

    @property
    def row(self) -> Row:
        return MappingProxyType(dict(self.legal) | dict(self.but))


def trial(**but: object) -> Write:
    """Return a changed trial of a user who has none."""
    return Write("subscriptions", TRIAL_ROW | {"user_id": NOBODY, "id": NEW}, but)


def paid(**but: object) -> Write:
    """Return a changed paid subscription of a user who has none."""
    return Write("subscriptions", PAID_ROW | {"user_id": NOBODY, "id": NEW}, but)


def event(**but: object) -> Write:
    return Write("event_log", EVENT_ROW | {"id": NEW_EVENT, "version": 2}, but)


def session(**but: object) -> Write:
    return Write("sessions", SESSION_ROW | {"id": NEW, "token_digest": b"u" * 32}, but)


def api_key(**but: object) -> Write:
    return Write("api_keys", API_KEY_ROW | {"id": NEW, "digest": b"l" * 32}, but)


def answer(**but: object) -> Write:
    return Write("idempotency_keys", ANSWER_ROW | {"key": "another"}, but)


def a_user(**but: object) -> Write:
    return Write("users", user(NEW, "new@example.com"), but)


def a_revision(**but: object) -> Write:
    return Write("plan_revisions", revision(PLAN, 2), but)


REFUSED: Final[tuple[tuple[str, Write], ...]] = (
    ("users_pkey", a_user(id=ANN)),
    ("user_emails_pkey", Write("user_emails", EMAIL_ROW, {"user_id": BOB})),
    ("users_email_length", a_user(email="a" * 255)),
    ("users_email_key_lower_case", a_user(email_key="New@example.com")),
    ("users_role", a_user(role="owner")),
    ("users_version", a_user(version=0)),
    ("sessions_pkey", session(id=SESSION_ROW["id"])),
    ("sessions_token_digest_key", session(token_digest=SESSION_ROW["token_digest"])),
    ("sessions_user_fkey", session(user_id=UUID(int=99))),
    ("sessions_token_digest_length", session(token_digest=b"short")),
    ("sessions_seen_after_creation", session(last_seen_at=NOW - DAY)),
    ("api_keys_pkey", api_key(id=API_KEY_ROW["id"])),
    ("api_keys_digest_key", api_key(digest=API_KEY_ROW["digest"])),
    ("api_keys_digest_length", api_key(digest=b"short")),
    ("api_keys_revoked_after_creation", api_key(revoked_at=NOW - DAY)),
    ("login_throttle_pkey", Write("login_throttle", THROTTLE_ROW)),
    ("login_throttle_key_is_digest", Write("login_throttle", THROTTLE_ROW, {"key": "account:ann@example.com"})),
    ("login_throttle_attempts", Write("login_throttle", THROTTLE_ROW, {"key": "source:" + "0" * 64, "attempts": -1})),
    ("plans_pkey", Write("plans", plan(PLAN, "new"))),
    ("plans_code_key", Write("plans", plan(NEW, "pro"))),
    ("plans_code_shape", Write("plans", plan(NEW, "Pro Plan"))),
    ("plans_name_length", Write("plans", plan(NEW, "new"), {"name": ""})),
    ("plans_description_length", Write("plans", plan(NEW, "new"), {"description": "d" * 2001})),
    ("plans_status", Write("plans", plan(NEW, "new"), {"status": "deleted"})),
    ("plans_version", Write("plans", plan(NEW, "new"), {"version": 0})),
    ("plans_revision_fkey", Write("plans", plan(NEW, "new"))),
    ("plan_revisions_pkey", a_revision(number=1, amount=2990)),
    ("plan_revisions_plan_fkey", a_revision(plan_id=NEW)),
    ("plan_revisions_number", a_revision(number=0)),
    ("plan_revisions_amount", a_revision(amount=-1)),
    ("plan_revisions_amount", a_revision(amount=10**15)),
    ("plan_revisions_currency", a_revision(currency="usd")),
    ("plan_revisions_period", a_revision(period="P1M2D")),
    ("plan_revisions_period", a_revision(period="P0D")),
    ("plan_revisions_trial_period", a_revision(trial_period="14 days")),
    ("plan_revisions_features", a_revision(features=["export"])),
    ("subscriptions_pkey", paid(user_id=BOB, id=PAID, **OVER)),
    ("subscriptions_user_fkey", paid(user_id=UUID(int=99))),
    ("subscriptions_revision_fkey", paid(revision=2)),
    ("subscriptions_revision_fkey", paid(plan_id=UUID(int=99))),
    ("subscriptions_one_live", paid(user_id=BOB)),
    ("subscriptions_one_live", trial(user_id=BOB)),
    ("subscriptions_one_live", paid(user_id=ANN)),
    ("subscriptions_status", paid(status="paused", ended_at=END)),
    ("subscriptions_version", paid(version=0)),
    ("subscriptions_starts_before_end", paid(ends_at=NOW)),
    ("subscriptions_starts_before_end", paid(ends_at=NOW - DAY)),
    ("subscriptions_cancel_at_end", paid(cancel_at=END - DAY)),
    ("subscriptions_cancel_at_end", paid(ends_at=None, cancel_at=END)),
    ("subscriptions_ended_unless_live", paid(ended_at=END)),
    ("subscriptions_ended_unless_live", trial(ended_at=END)),
    ("subscriptions_ended_within_span", paid(**LEFT | {"ended_at": NOW - DAY, "cancelled_at": NOW - DAY})),
    ("subscriptions_ended_within_span", paid(**LEFT | {"ended_at": END + DAY, "cancelled_at": END + DAY})),
    ("subscriptions_cancelled", paid(**LEFT | {"cancelled_at": None})),
    ("subscriptions_cancelled", paid(**LEFT | {"cancelled_at": NOW})),
    ("subscriptions_expired", paid(**OVER | {"ended_at": NOW + DAY})),
    ("subscriptions_expired", paid(**OVER, cancel_at=END)),
    ("subscriptions_expired", paid(**OVER | {"ends_at": None})),
    ("subscriptions_cancelled_at_only_if_cancelled", paid(cancelled_at=NOW)),
    ("subscriptions_cancelled_at_only_if_cancelled", paid(**OVER, cancelled_at=NOW)),
    ("subscriptions_trial", trial(trial_ends_at=END - DAY)),
    ("subscriptions_trial", trial(ends_at=None)),
    ("subscriptions_active", paid(trial_ends_at=END, anchor_at=None, periods=0)),
    ("subscriptions_paid_has_anchor", trial(anchor_at=NOW, periods=1)),
    ("subscriptions_paid_has_anchor", paid(**OVER, anchor_at=None, periods=0)),
    ("subscriptions_periods", paid(periods=0)),
    ("subscriptions_periods", trial(periods=1)),
    ("subscriptions_anchor", paid(anchor_at=NOW + DAY)),
    ("subscriptions_anchor", paid(**CONVERTED | {"anchor_at": NOW})),
    ("subscriptions_converted", paid(**CONVERTED | {"trial_ends_at": NOW + 2 * DAY})),
    (
        "subscriptions_converted",
        paid(trial_ends_at=NOW - DAY, converted_at=NOW - DAY, anchor_at=NOW - DAY),
    ),
    (
        "subscription_spans_pkey",
        Write("subscription_spans", {"user_id": ANN, "subscription_id": TRIAL, "span": asyncpg.Range(END)}),
    ),
    (
        "subscription_spans_subscription_fkey",
        Write("subscription_spans", {"user_id": ANN, "subscription_id": NEW, "span": asyncpg.Range(END)}),
    ),
    (
        "subscriptions_no_overlap",
        Write("subscription_spans", {"user_id": ANN, "subscription_id": NEW, "span": asyncpg.Range(END - DAY)}),
    ),
    ("trials_once_per_plan", Write("trials", LEDGER_ROW, {"subscription_id": NEW})),
    ("trials_once_per_user", Write("trials", LEDGER_ROW, {"plan_id": OTHER_PLAN, "person": None})),
    ("trials_once_per_person", Write("trials", LEDGER_ROW, {"user_id": BOB})),
    ("trials_user_fkey", Write("trials", LEDGER_ROW, {"user_id": UUID(int=99), "person": None})),
    ("trials_plan_fkey", Write("trials", LEDGER_ROW, {"plan_id": NEW, "per_user": False, "person": None})),
    ("event_log_pkey", event(id=EVENT)),
    ("event_log_version_key", event(version=1)),
    ("event_log_user_fkey", event(user_id=UUID(int=99), shard_key=UUID(int=99))),
    ("event_log_shard_key", event(shard_key=TRIAL)),
    ("event_log_shard_key", event(**OF_A_PLAN | {"shard_key": ANN})),
    ("event_log_version", event(version=0)),
    ("event_log_type", event(type="subscription.paused")),
    ("event_log_type", event(**OF_A_PLAN | {"type": "plan.deleted"})),
    ("event_log_subject", event(version=None)),
    ("event_log_subject", event(user_id=None, shard_key=TRIAL)),
    ("event_log_subject", event(type="user.disabled")),
    ("event_log_subject", event(**OF_A_USER | {"version": None})),
    ("event_log_subject", event(**OF_A_PLAN | {"version": None})),
    ("event_log_subject", event(type="plan.revised")),
    ("event_log_subject", event(**OF_A_SESSION | {"version": 2})),
    ("event_log_subject", event(**OF_A_SESSION | {"user_id": None, "shard_key": NEW})),
    ("event_log_subject", event(**OF_A_KEY | {"version": 2})),
    ("event_log_subject", event(**OF_A_KEY | {"user_id": ANN, "shard_key": ANN})),
    ("event_log_actor", event(actor_type="system")),
    ("event_log_actor", event(actor_id=None)),
    ("event_log_actor", event(actor_type="robot")),
    ("event_log_data", event(data="text")),
    ("idempotency_keys_pkey", answer(key="a key")),
    ("idempotency_keys_key_length", answer(key="")),
    ("idempotency_keys_key_length", answer(key="k" * 256)),
    ("idempotency_keys_status", answer(status=600)),
    ("idempotency_keys_headers", answer(headers=[])),
    ("test_clock_pkey", Write("test_clock", {"only_row": True, "now": NOW})),
    ("test_clock_one_row", Write("test_clock", {"only_row": False, "now": NOW})),
)

ACCEPTED: Final[tuple[Write, ...]] = (
    a_user(),
    session(),
    session(user_id=BOB),
    api_key(revoked_at=NOW),
    a_revision(amount=0, period=None, trial_period=None, features={}),
    trial(),
    trial(cancel_at=END),
    trial(**OVER),
    trial(**LEFT),
    paid(),
    paid(ends_at=None),
    paid(**OVER),
    paid(**LEFT),
    paid(**LEFT | {"ended_at": NOW, "cancelled_at": NOW}),
    paid(status="cancelled", cancel_at=END, ended_at=END, cancelled_at=END),
    paid(**CONVERTED),
    paid(**CONVERTED, **OVER),
    paid(user_id=ANN, **OVER),
    event(),
    event(**OF_A_PLAN),
    event(**OF_A_USER),
    event(**OF_A_SESSION),
    event(**OF_A_KEY),
    event(**OF_A_KEY | {"type": "test_clock.set"}),
    answer(status=409),
    Write("subscription_spans", {"user_id": BOB, "subscription_id": PAID, "span": asyncpg.Range(NOW, END)}),
    Write("trials", LEDGER_ROW, {"plan_id": OTHER_PLAN, "per_user": False, "person": None}),
    Write("trials", LEDGER_ROW, {"user_id": BOB, "person": "bob@example.com"}),
)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection to a database with the legal rows, in a transaction that is never committed."""
    connection = await asyncpg.connect(url)
    try:
        await set_codecs(connection)
        await connection.execute("BEGIN")
        await put_plans(connection)
        for table, row in LEGAL:
            await put(connection, table, row)
        await put(connection, "users", user(NOBODY, "nobody@example.com"))
        yield connection
    finally:
        await connection.close()


async def put(connection: asyncpg.Connection[asyncpg.Record], table: str, row: Row) -> None:
    """Insert the row with plain SQL."""
    columns = ", ".join(row)
    values = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    await connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({values})", *row.values())  # noqa: S608 - constant names


async def put_plans(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Insert two plans with their revisions, one statement for each plan, because both tables refer to each other."""
    for id_, code in ((PLAN, "pro"), (OTHER_PLAN, "basic")):
        rows = {**plan(id_, code)}, {**revision(id_)}
        first = ", ".join(f"${number}" for number in range(1, len(rows[0]) + 1))
        second = ", ".join(f"${number + len(rows[0])}" for number in range(1, len(rows[1]) + 1))
        await connection.execute(
            f"WITH p AS (INSERT INTO plans ({', '.join(rows[0])}) VALUES ({first}))"  # noqa: S608 - constant names
            f" INSERT INTO plan_revisions ({', '.join(rows[1])}) VALUES ({second})",
            *rows[0].values(),
            *rows[1].values(),
        )


@pytest.mark.parametrize(("constraint", "write"), REFUSED)
async def test_an_illegal_write_is_refused_by_the_constraint_for_it(
    untouched_database_url: str, constraint: str, write: Write
) -> None:
    async with connected(untouched_database_url) as connection:
        with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refusal:
            await put(connection, write.table, write.row)
        assert refusal.value.constraint_name == constraint
        assert refusal.value.table_name == write.table


async def test_legal_writes_are_accepted(untouched_database_url: str) -> None:
    """Otherwise the rejections above would prove nothing."""
    for write in ACCEPTED:
        async with connected(untouched_database_url) as connection:
            await put(connection, write.table, write.row)


def test_every_constraint_has_an_illegal_write() -> None:
    """Except the primary keys of counts, which only triggers write."""
    tried = {constraint for constraint, _ in REFUSED}
    written_by_triggers = {"subscription_count_changes", "user_count_changes"}
    named = {
        str(constraint.name)
        for table in METADATA.tables.values()
        if table.name not in written_by_triggers
        for constraint in table.constraints
    }
    unique = {str(index.name) for table in METADATA.tables.values() for index in table.indexes if index.unique}
    # Implied by the primary key; it is there to be referred to.
    assert named | unique == tried | {"plan_revisions_amount_key"}


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("event_log", "UPDATE event_log SET type = 'subscription.expired'"),
        ("event_log", "DELETE FROM event_log"),
        ("plan_revisions", "UPDATE plan_revisions SET amount = 1"),
        ("plan_revisions", "DELETE FROM plan_revisions"),
    ],
)
async def test_events_and_revisions_cannot_be_updated_or_deleted(
    untouched_database_url: str, table: str, change: str
) -> None:
    async with connected(untouched_database_url) as connection:
        with pytest.raises(asyncpg.RestrictViolationError) as refusal:
            await connection.execute(change)
        assert refusal.value.constraint_name == f"{table}_immutable"


@pytest.mark.parametrize("table", ["event_log", "plan_revisions"])
async def test_tables_of_events_and_revisions_cannot_be_truncated(untouched_database_url: str, table: str) -> None:
    """TRUNCATE needs a separate trigger."""
    async with connected(untouched_database_url) as connection:
        with pytest.raises(asyncpg.RestrictViolationError) as refusal:
            await connection.execute(f"TRUNCATE {table} CASCADE")
        assert str(refusal.value.constraint_name).endswith("_not_emptied")


async def test_sessions_are_deleted_with_their_user(untouched_database_url: str) -> None:
    async with connected(untouched_database_url) as connection:
        await put(connection, "sessions", SESSION_ROW | {"user_id": NOBODY, "token_digest": b"n" * 32})
        await connection.execute("DELETE FROM users WHERE id = $1", NOBODY)
        assert await connection.fetchval("SELECT count(*) FROM sessions WHERE user_id = $1", NOBODY) == 0


async def test_a_subscription_may_start_when_the_last_one_ends(untouched_database_url: str) -> None:
    """Spans are half-open; an empty one may be anywhere."""
    async with connected(untouched_database_url) as connection:
        for number, span in enumerate((asyncpg.Range(END), asyncpg.Range(NOW + DAY, NOW + DAY))):
            over = PAID_ROW | OVER | {"user_id": ANN, "id": UUID(int=60 + number)}
            await put(connection, "subscriptions", over)
            row = {"user_id": ANN, "subscription_id": over["id"], "span": span}
            await put(connection, "subscription_spans", row)


async def counts(connection: asyncpg.Connection[asyncpg.Record]) -> dict[tuple[str, str], int]:
    rows = await connection.fetch(
        "SELECT status, origin, sum(n) FROM subscription_count_changes GROUP BY 1, 2 HAVING sum(n) <> 0"
    )
    return {(row[0], row[1]): int(row[2]) for row in rows}


async def test_the_counts_of_triggers_are_right_after_every_write(untouched_database_url: str) -> None:
    async with connected(untouched_database_url) as connection:
        assert await counts(connection) == {("trial", "trial"): 1, ("active", "paid"): 1}
        await put(connection, "subscriptions", paid(**CONVERTED).row)
        assert (await counts(connection))["active", "converted"] == 1
        await connection.execute("UPDATE subscriptions SET status = 'expired', ended_at = ends_at")
        ended = {("expired", "trial"): 1, ("expired", "paid"): 1, ("expired", "converted"): 1}
        assert await counts(connection) == ended
        await connection.execute("UPDATE subscriptions SET plan_id = $1", OTHER_PLAN)
        assert await counts(connection) == ended
        of_first = "SELECT coalesce(sum(n), 0) FROM subscription_count_changes WHERE plan_id = $1"
        assert await connection.fetchval(of_first, PLAN) == 0
        await connection.execute("UPDATE subscriptions SET version = version + 1")
        assert await counts(connection) == ended
        await connection.execute("DELETE FROM subscription_spans")
        await connection.execute("DELETE FROM subscriptions")
        assert await counts(connection) == {}
        assert await connection.fetchval("SELECT sum(n) FROM user_count_changes") == 3
        await connection.execute("DELETE FROM users WHERE id = $1", NOBODY)
        assert await connection.fetchval("SELECT sum(n) FROM user_count_changes") == 2
