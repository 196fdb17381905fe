"""The check of the data's invariants in PostgreSQL.

Constraints prevent most damage. The check finds what they did not prevent: a partly restored dump, a disabled trigger,
a change by hand, or a defect of the program.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from smp.adapters.postgres.effective_state import (
    ACCESS_ENDS_AT_SQL,
    DECISIVE_ID_SQL,
    LIVE_PREDICATE,
    OVERDUE_PREDICATE,
    SPAN_SQL,
)
from smp.adapters.postgres.event_invariants import EVENT_INVARIANTS
from smp.adapters.postgres.invariant import CHECK_TIMEOUT_S, Invariant
from smp.adapters.postgres.pool import PostgresPool
from smp.adapters.postgres.statements import Row, sql
from smp.adapters.postgres.transaction import Transaction, open_transaction
from smp.application.ports.integrity_checker import IntegrityChecker
from smp.application.queries.views import CheckResult

LATENESS: Final = timedelta(hours=1)

_SNAPSHOT: Final = sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
_EXTEND_TIMEOUT: Final = sql("SET LOCAL statement_timeout = '600s'")


INVARIANTS: Final = (
    *EVENT_INVARIANTS,
    Invariant(
        "one_live_subscription_a_user",
        f"SELECT 'user ' || user_id FROM subscriptions WHERE {LIVE_PREDICATE} GROUP BY user_id HAVING count(*) > 1",  # noqa: S608 - constants
    ),
    Invariant(
        "access_follows_the_live_subscription",
        f"""
        SELECT 'subscription ' || s.id FROM subscriptions AS s
        WHERE {LIVE_PREDICATE} AND s.id IS DISTINCT FROM {DECISIVE_ID_SQL.format(user_id="s.user_id")}
        """,  # noqa: S608 - constants
    ),
    Invariant(
        "no_overlap_of_subscriptions",
        f"""
        SELECT 'subscription ' || id FROM (
            SELECT id, starts_at, ends, max(ends) OVER (
                PARTITION BY user_id ORDER BY starts_at, id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            ) AS ends_before
            FROM (SELECT *, coalesce(ended_at, {ACCESS_ENDS_AT_SQL}, 'infinity') AS ends FROM subscriptions) AS spans
            WHERE starts_at < ends
        ) AS ordered WHERE starts_at < ends_before
        """,  # noqa: S608 - constants
    ),
    Invariant(
        "spans_fit_subscriptions",
        f"""
        SELECT 'subscription ' || coalesce(s.id, c.subscription_id)
        FROM subscriptions AS s FULL JOIN subscription_spans AS c ON c.user_id = s.user_id AND c.subscription_id = s.id
        WHERE s.id IS NULL OR c.subscription_id IS NULL OR c.span <> {SPAN_SQL}
        """,  # noqa: S608 - constants
    ),
    Invariant(
        "trial_ends_with_its_period",
        """
        SELECT 'subscription ' || id FROM subscriptions
        WHERE status = 'trial' AND (trial_ends_at IS DISTINCT FROM ends_at OR ends_at IS NULL OR anchor_at IS NOT NULL)
        """,
    ),
    Invariant(
        "active_has_paid_periods",
        """
        SELECT 'subscription ' || id FROM subscriptions WHERE status = 'active' AND (anchor_at IS NULL OR periods < 1)
        """,
    ),
    Invariant(
        "expired_ended_at_its_end",
        f"""
        SELECT 'subscription ' || id FROM subscriptions WHERE status = 'expired'
        AND (ended_at IS NULL OR ended_at IS DISTINCT FROM {ACCESS_ENDS_AT_SQL} OR cancelled_at IS NOT NULL)
        """,  # noqa: S608 - constants
    ),
    Invariant(
        "cancelled_ended_when_cancelled",
        """
        SELECT 'subscription ' || id FROM subscriptions
        WHERE status = 'cancelled' AND (ended_at IS NULL OR ended_at IS DISTINCT FROM cancelled_at)
        """,
    ),
    Invariant(
        "live_has_not_ended",
        f"SELECT 'subscription ' || id FROM subscriptions WHERE {LIVE_PREDICATE}"  # noqa: S608 - constants
        " AND (ended_at IS NOT NULL OR cancelled_at IS NOT NULL)",
    ),
    Invariant(
        "dates_are_in_order",
        """
        SELECT 'subscription ' || id FROM subscriptions
        WHERE starts_at >= ends_at OR ended_at < starts_at OR ended_at > ends_at OR cancel_at <> ends_at
        """,
    ),
    Invariant(
        "subscriptions_refer_to_what_exists",
        """
        SELECT 'subscription ' || s.id FROM subscriptions AS s
        LEFT JOIN users AS u ON u.id = s.user_id
        LEFT JOIN plan_revisions AS r ON r.plan_id = s.plan_id AND r.number = s.revision
        WHERE u.id IS NULL OR r.plan_id IS NULL
        """,
    ),
    Invariant(
        "emails_lead_to_their_users",
        """
        SELECT 'user ' || coalesce(u.id, c.user_id)
        FROM users AS u FULL JOIN user_emails AS c ON c.user_id = u.id AND c.email_key = u.email_key
        WHERE u.id IS NULL OR c.user_id IS NULL
        """,
        "these users cannot sign in; compare both tables, then correct the rows of user_emails to match users",
    ),
    Invariant(
        "trials_in_ledger",
        """
        SELECT 'subscription ' || s.id FROM subscriptions AS s
        LEFT JOIN trials AS t ON t.user_id = s.user_id AND t.subscription_id = s.id
        WHERE s.trial_ends_at IS NOT NULL AND t.user_id IS NULL
        """,
    ),
    Invariant(
        "ledger_of_trials",
        """
        SELECT 'trial of user ' || t.user_id FROM trials AS t
        LEFT JOIN subscriptions AS s ON s.user_id = t.user_id AND s.id = t.subscription_id
        WHERE s.trial_ends_at IS NULL
        """,
    ),
    Invariant(
        "revisions_have_no_gap",
        """
        SELECT 'plan ' || p.code FROM plans AS p LEFT JOIN plan_revisions AS r ON r.plan_id = p.id
        GROUP BY p.id HAVING count(r.number) <> p.revision OR max(r.number) IS DISTINCT FROM p.revision
        """,
    ),
    Invariant(
        "plans_show_their_revision",
        """
        SELECT 'plan ' || p.code FROM plans AS p
        LEFT JOIN plan_revisions AS r ON r.plan_id = p.id AND r.number = p.revision
        WHERE r.amount IS DISTINCT FROM p.amount OR r.currency IS DISTINCT FROM p.currency COLLATE "C"
        """,
    ),
    Invariant(
        "domains_of_emails_are_a_labels",
        "SELECT 'user ' || id FROM users WHERE email_key ~ '@.*[^[:ascii:]]'",
        "another account has the same email with its domain spelled in ASCII, or the domain cannot exist; no one can"
        " sign in to the named account; cancel its subscription and disable it",
    ),
    Invariant(
        "no_sessions_of_disabled_users",
        "SELECT 'session ' || s.id FROM sessions AS s JOIN users AS u ON u.id = s.user_id WHERE u.disabled",
        "delete these sessions; they give no access, but they should have ended when the user was disabled",
    ),
    Invariant(
        "counts_of_subscriptions",
        """
        SELECT coalesce(k.status, c.status) || ' of plan ' || coalesce(k.plan_id, c.plan_id)
        FROM (
            SELECT plan_id, revision, status, origin, ends_by, status_after, sum(n) AS n
            FROM subscription_count_changes GROUP BY 1, 2, 3, 4, 5, 6 HAVING sum(n) <> 0
        ) AS k FULL JOIN (
            SELECT plan_id, revision, status, subscription_origin(trial_ends_at, converted_at) AS origin,
                   subscription_ends_by(status, ends_at) AS ends_by,
                   subscription_status_after(status, ends_at, cancel_at) AS status_after, count(*) AS n
            FROM subscriptions GROUP BY 1, 2, 3, 4, 5, 6
        ) AS c ON (c.plan_id, c.revision, c.status, c.origin, c.ends_by, c.status_after)
                = (k.plan_id, k.revision, k.status, k.origin, k.ends_by, k.status_after)
        WHERE k.n IS DISTINCT FROM c.n
        """,
        "statistics are wrong; correct them with the SQL in docs/operations/incidents.md",
    ),
    Invariant(
        "counts_of_users",
        """
        SELECT 'counted ' || counted || ' of ' || present
        FROM (SELECT coalesce(sum(n), 0) AS counted FROM user_count_changes) AS c,
             (SELECT count(*) AS present FROM users) AS u
        WHERE counted <> present
        """,
        "statistics are wrong; correct them with the SQL in docs/operations/incidents.md",
    ),
    Invariant(
        "test_clock_has_one_row",
        "SELECT 'rows: ' || count(*) FROM test_clock HAVING count(*) > 1",
        "delete all rows but one",
    ),
)

# These compare with the present instant. A clock that was set back or a late expiry job makes no answer wrong.
_FUTURE_OUTCOMES: Final = Invariant(
    "stored_outcomes_are_not_in_the_future",
    "SELECT 'key ' || key FROM idempotency_keys WHERE created_at > CAST(:now AS timestamptz) + interval '1 hour'",
    "the clocks of the machines differ, or the test clock was removed; delete these rows",
)
_AFTER_NOW: Final = "> CAST(:now AS timestamptz) + interval '1 minute'"
_CLOCK_WAS_AHEAD: Final = "a clock was ahead: see docs/operations/incidents.md, A clock is wrong"
_NOTHING_BEGAN_IN_THE_FUTURE: Final = Invariant(
    "nothing_began_in_the_future",
    f"""
    SELECT 'subscription ' || id FROM subscriptions WHERE starts_at {_AFTER_NOW}
    UNION ALL SELECT 'user ' || id FROM users WHERE created_at {_AFTER_NOW}
    UNION ALL SELECT 'plan ' || code FROM plans WHERE created_at {_AFTER_NOW}
    UNION ALL SELECT 'session ' || id FROM sessions WHERE last_seen_at {_AFTER_NOW}
    UNION ALL SELECT 'API key ' || id FROM api_keys WHERE created_at {_AFTER_NOW}
    """,  # noqa: S608 - constants
    _CLOCK_WAS_AHEAD,
)
_NOTHING_ENDED_IN_THE_FUTURE: Final = Invariant(
    "nothing_ended_in_the_future",
    f"""
    SELECT 'subscription ' || id FROM subscriptions WHERE ended_at {_AFTER_NOW}
    UNION ALL SELECT 'API key ' || id FROM api_keys WHERE revoked_at {_AFTER_NOW}
    """,  # noqa: S608 - constants
    _CLOCK_WAS_AHEAD,
)
_NOTHING_WAS_RECORDED_IN_THE_FUTURE: Final = Invariant(
    "nothing_was_recorded_in_the_future",
    f"SELECT type || ' of ' || subject_id FROM event_log WHERE greatest(occurred_at, recorded_at) {_AFTER_NOW}",  # noqa: S608 - constants
    _CLOCK_WAS_AHEAD,
)
_OF_THE_FUTURE: Final = (
    _FUTURE_OUTCOMES,
    _NOTHING_BEGAN_IN_THE_FUTURE,
    _NOTHING_ENDED_IN_THE_FUTURE,
    _NOTHING_WAS_RECORDED_IN_THE_FUTURE,
)
_LATE: Final = sql(
    f"SELECT count(*) FROM subscriptions WHERE {OVERDUE_PREDICATE}",  # noqa: S608 - constants
    CHECK_TIMEOUT_S,
)
_ADMINS: Final = sql("SELECT count(*) FROM users WHERE role = 'admin' AND NOT disabled")


class PostgresIntegrityChecker(IntegrityChecker):
    """A checker that reads one snapshot: it takes minutes on large data, and blocks no other transaction."""

    def __init__(self, pool: PostgresPool) -> None:
        self._pool = pool

    async def check(self, now: datetime) -> Sequence[CheckResult]:
        """Return one result for each invariant. Raises StorageUnavailable."""
        async with open_transaction(self._pool) as transaction:
            await transaction.row(_SNAPSHOT)
            await transaction.row(_EXTEND_TIMEOUT)
            results = [await _check(transaction, invariant) for invariant in INVARIANTS]
            results += [await _check(transaction, future, now=now) for future in _OF_THE_FUTURE]
            results.append(_lateness(await transaction.row(_LATE, now=now - LATENESS)))
            results.append(_administration(await transaction.row(_ADMINS)))
        return results


async def _check(transaction: Transaction, invariant: Invariant, **values: object) -> CheckResult:
    (row,) = await transaction.rows(invariant.statement, **values)
    return invariant.check_result(row)


def _lateness(row: Row | None) -> CheckResult:
    late = 0 if row is None else row[0]
    if not late:
        return CheckResult("sweep_is_on_time", ok=True, detail="nothing has been overdue for more than an hour")
    return CheckResult(
        "sweep_is_on_time",
        ok=True,
        detail=f"{late} have been overdue for more than an hour: answers are right, but their events are late",
        advice="run smp expire now, and schedule it, or set SMP_SWEEP_INTERVAL_S",
    )


def _administration(row: Row | None) -> CheckResult:
    if row is not None and row[0]:
        return CheckResult("administrators", ok=True, detail=f"{row[0]} enabled")
    return CheckResult("administrators", ok=True, detail="none; to have one, run smp admin create --email EMAIL")
