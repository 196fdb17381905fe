"""smp doctor finds damage that constraints did not prevent: each kind is created by hand and reported by name."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import asyncpg
import pytest

from smp.adapters.postgres.bulk_loader import PostgresBulkLoader
from smp.adapters.postgres.integrity import INVARIANTS
from smp.adapters.postgres.pool import PostgresPool
from smp.application.queries.views import CheckResult
from smp.domain.errors import EmailTaken
from smp.domain.subscription.subscription import Subscription
from smp.domain.user.user import User
from tests.support.builders import (
    DAY,
    NOW,
    a_plan,
    a_session,
    a_trial,
    a_user,
    an_active,
    an_admin,
    some_metadata,
    some_terms,
)
from tests.support.postgres_storage import postgres_storage
from tests.support.storage import Storage

PRO: Final = a_plan("pro")
OTHER: Final = a_plan("other")
LIFE: Final = a_plan("life", some_terms(period=None))
LATER: Final = NOW + 60 * DAY


def population() -> tuple[list[User], list[Subscription]]:
    """Return a user in each possible state of subscriptions, some with a history."""
    users = [a_user(f"user-{number}@example.com") for number in range(8)]
    trial = a_trial(users[0], PRO)
    converted = a_trial(users[1], PRO).convert(OTHER.revision, some_metadata(NOW + DAY))
    renewed = an_active(users[2], PRO).renew(PRO.revision, some_metadata(NOW + DAY))
    left = an_active(users[3], PRO).cancel_now(some_metadata(NOW + DAY))
    again = an_active(users[3], OTHER, NOW + 2 * DAY)
    expired = an_active(users[4], PRO).apply_expiry(some_metadata(LATER))
    scheduled = an_active(users[5], PRO).cancel_at_period_end(some_metadata(NOW + DAY))
    completed = a_trial(users[6], PRO).cancel_at_period_end(some_metadata(NOW)).apply_expiry(some_metadata(LATER))
    for_life = an_active(users[7], LIFE)
    return users, [trial, converted, renewed, left, again, expired, scheduled, completed, for_life]


@pytest.fixture
async def storage(pool: PostgresPool) -> Storage:
    """A storage with undamaged data of every kind, loaded in bulk."""
    storage = postgres_storage(pool)
    await storage.keep(PRO, OTHER, LIFE, an_admin(), ann := a_user())
    await storage.keep(a_session(ann))
    await PostgresBulkLoader(pool).load(*population())
    return storage


def broken(findings: Sequence[CheckResult]) -> set[str]:
    return {check_result.check for check_result in findings if not check_result.ok}


async def test_bulk_loaded_data_keep_all_invariants(storage: Storage) -> None:
    """The rows are those that the repositories would have written."""
    findings = await storage.integrity.check(LATER)
    assert broken(findings) == set()
    assert len(findings) > 20
    figures = await storage.statistics.figures(NOW + 3 * DAY, NOW + 40 * DAY)
    assert figures.users == 10
    assert sum(figures.subscriptions.values()) == 9
    assert (figures.trials.started, figures.trials.converted) == (3, 1)


async def test_the_expiry_job_ends_bulk_loaded_subscriptions(storage: Storage) -> None:
    async with storage.unit_of_work() as work:
        due = await work.subscriptions.claim_overdue(LATER, 100)
        await work.subscriptions.save_ended([subscription.apply_expiry(some_metadata(LATER)) for subscription in due])
        await work.commit()
    assert len(due) == 5
    assert broken(await storage.integrity.check(LATER)) == set()


async def test_a_bulk_load_is_all_or_nothing(storage: Storage, pool: PostgresPool) -> None:
    """One email that is taken prevents the load."""
    users = [a_user("new@example.com"), a_user("user-1@example.com")]
    with pytest.raises(EmailTaken):
        await PostgresBulkLoader(pool).load(users, [])
    assert (await storage.statistics.figures(NOW, NOW)).users == 10
    assert broken(await storage.integrity.check(LATER)) == set()


async def test_a_bulk_load_of_nothing_succeeds(pool: PostgresPool) -> None:
    await PostgresBulkLoader(pool).load([], [])


def without(table: str, *constraints: str) -> str:
    return ";".join(f"ALTER TABLE {table} DROP CONSTRAINT {constraint}" for constraint in constraints)


def event_sql(type_: str, data: str) -> str:
    """Return the beginning of a statement that records an event about rows with an ``id``."""
    user_id, version = ("id", "2") if type_.startswith("user.") else ("NULL", "NULL")
    return (
        "INSERT INTO event_log (shard_key, id, user_id, subject_id, version, type, occurred_at, recorded_at,"
        f" actor_type, data) SELECT id, gen_random_uuid(), {user_id}, id, {version}, '{type_}', '2026-01-01Z',"
        f" '2026-01-01Z', 'system', '{data}' "
    )


SUBSCRIPTION_CHECKS: Final = """
    DO $$ DECLARE name text; BEGIN
        FOR name IN SELECT conname FROM pg_constraint WHERE conrelid = 'subscriptions'::regclass AND contype = 'c'
        LOOP EXECUTE 'ALTER TABLE subscriptions DROP CONSTRAINT ' || name; END LOOP;
    END $$
"""
# A superuser may switch triggers and foreign keys off, as a restored dump does.
UNGUARDED: Final = "SET session_replication_role = replica"
DAMAGE: Final = {
    "one_live_subscription_a_user": (
        "DROP INDEX subscriptions_one_live;"
        "UPDATE subscriptions SET user_id = (SELECT user_id FROM subscriptions WHERE status = 'trial' LIMIT 1)"
        " WHERE status = 'active' AND ends_at IS NULL"
    ),
    "access_follows_the_live_subscription": (
        "DROP INDEX subscriptions_one_live;"
        "UPDATE subscriptions SET user_id = (SELECT user_id FROM subscriptions WHERE status = 'trial' LIMIT 1)"
        " WHERE status = 'active' AND ends_at IS NULL"
    ),
    "no_overlap_of_subscriptions": (
        "UPDATE subscriptions SET user_id = (SELECT user_id FROM subscriptions WHERE status = 'trial' LIMIT 1)"
        " WHERE status = 'expired'"
    ),
    "spans_fit_subscriptions": "UPDATE subscription_spans SET span = tstzrange(lower(span), lower(span) + '1 hour')",
    "trial_ends_with_its_period": "UPDATE subscriptions SET trial_ends_at = starts_at WHERE status = 'trial'",
    "active_has_paid_periods": "UPDATE subscriptions SET periods = 0 WHERE status = 'active'",
    "expired_ended_at_its_end": "UPDATE subscriptions SET ended_at = starts_at WHERE status = 'expired'",
    "cancelled_ended_when_cancelled": "UPDATE subscriptions SET cancelled_at = NULL WHERE status = 'cancelled'",
    "live_has_not_ended": "UPDATE subscriptions SET ended_at = ends_at WHERE status = 'trial'",
    "dates_are_in_order": "UPDATE subscriptions SET ends_at = starts_at WHERE status = 'active'",
    "subscriptions_refer_to_what_exists": "DELETE FROM users WHERE email = 'user-7@example.com'",
    "no_gap_in_events": "DELETE FROM event_log WHERE type = 'subscription.trial_started'",
    "subscriptions_match_their_last_event": (
        "UPDATE event_log SET data = data || '{\"status\": \"active\"}' WHERE type = 'subscription.expired'"
    ),
    "domains_of_emails_are_a_labels": "UPDATE users SET email_key = 'x@ü.example' WHERE email = 'user-7@example.com'",
    "emails_lead_to_their_users": "UPDATE user_emails SET user_id = gen_random_uuid()",
    "users_were_registered_once": "DELETE FROM event_log WHERE type = 'user.registered'",
    "trials_in_ledger": "DELETE FROM trials",
    "ledger_of_trials": "UPDATE trials SET subscription_id = plan_id",
    "events_are_in_order_of_time": (
        "UPDATE event_log SET occurred_at = occurred_at - interval '2 days' WHERE type = 'subscription.renewed'"
    ),
    "revisions_have_no_gap": "UPDATE plan_revisions SET number = 2 WHERE currency = 'USD' AND period IS NULL",
    "plans_show_their_revision": "UPDATE plans SET currency = 'XXX'",
    "plans_match_their_last_events": "UPDATE plans SET status = 'archived'",
    "users_match_their_last_events": (
        event_sql("user.role_changed", '{"after": {"role": "admin"}}') + " FROM users WHERE role = 'user'"
    ),
    "revoked_keys_have_their_event": (
        "INSERT INTO api_keys SELECT gen_random_uuid(), 'shop', sha256(''), '2026-01-01Z', '2026-01-02Z';"
        + event_sql("api_key.created", "{}")
        + "FROM api_keys"
    ),
    "no_sessions_of_disabled_users": "UPDATE users SET disabled = true",
    "counts_of_subscriptions": "UPDATE subscription_count_changes SET n = n + 1",
    "counts_of_users": "DELETE FROM user_count_changes",
    "test_clock_has_one_row": (
        f"{without('test_clock', 'test_clock_one_row')};"  # noqa: S608 - constant names
        "INSERT INTO test_clock VALUES (true, '2026-01-01Z'), (false, '2026-01-01Z')"
    ),
    "nothing_began_in_the_future": "UPDATE sessions SET last_seen_at = last_seen_at + interval '1 year'",
    "nothing_ended_in_the_future": "UPDATE subscriptions SET ended_at = ended_at + interval '1 year'",
    "nothing_was_recorded_in_the_future": "UPDATE event_log SET recorded_at = recorded_at + interval '1 year'",
    "stored_outcomes_are_not_in_the_future": (
        "INSERT INTO idempotency_keys VALUES ('user:ann', 'key', '', 200, '{}', '', '2027-01-01Z')"
    ),
}


@pytest.mark.parametrize(("check", "damage"), DAMAGE.items(), ids=DAMAGE)
async def test_each_kind_of_damage_is_reported_with_advice(
    storage: Storage, database_url: str, check: str, damage: str
) -> None:
    """By name; other checks may fail too."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(UNGUARDED)
    await connection.execute(SUBSCRIPTION_CHECKS)
    await connection.execute(damage)
    await connection.close()
    findings = await storage.integrity.check(LATER)
    assert check in broken(findings)
    found = next(check_result for check_result in findings if check_result.check == check)
    assert "broken" in found.detail
    assert found.advice


def test_every_invariant_has_a_test_of_its_damage() -> None:
    assert {invariant.name for invariant in INVARIANTS} < set(DAMAGE)


async def test_a_late_expiry_job_is_reported_and_is_no_failure(storage: Storage) -> None:
    """No answer is wrong."""
    findings = {
        check_result.check: check_result for check_result in await storage.integrity.check(LATER + timedelta(hours=2))
    }
    assert findings["sweep_is_on_time"].ok
    assert "5 have been overdue" in findings["sweep_is_on_time"].detail
    assert "smp expire" in findings["sweep_is_on_time"].advice


async def test_a_platform_without_an_administrator_is_reported_and_is_no_failure(pool: PostgresPool) -> None:
    """Every platform starts without one."""
    findings = {check_result.check: check_result for check_result in await postgres_storage(pool).integrity.check(NOW)}
    assert findings["administrators"].ok
    assert findings["administrators"].detail == "none; to have one, run smp admin create --email EMAIL"
    assert findings["administrators"].advice == ""
