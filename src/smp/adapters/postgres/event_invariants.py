"""The rules that connect the event log with the rows whose changes it records."""

from __future__ import annotations

from typing import Final

from smp.adapters.postgres.invariant import Invariant

EVENT_INVARIANTS: Final = (
    Invariant(
        "no_gap_in_events",
        """
        SELECT coalesce(s.type || ' ' || s.id, 'subject ' || e.subject_id)
        FROM (
            SELECT 'subscription' AS type, user_id AS shard_key, id, version FROM subscriptions
            UNION ALL SELECT 'plan', id, id, version FROM plans
            UNION ALL SELECT 'user', id, id, version FROM users
        ) AS s FULL JOIN (
            SELECT shard_key, subject_id, count(*) AS n, min(version) AS lowest, max(version) AS highest
            FROM event_log WHERE version IS NOT NULL GROUP BY shard_key, subject_id
        ) AS e ON e.shard_key = s.shard_key AND e.subject_id = s.id
        WHERE s.id IS NULL OR e.n IS NULL OR e.n <> s.version OR e.lowest <> 1 OR e.highest <> s.version
        """,
    ),
    # The previous release dated an event before it waited for locks, which takes less than a minute.
    Invariant(
        "events_are_in_order_of_time",
        """
        SELECT type || ' of ' || subject_id FROM (
            SELECT type, subject_id, occurred_at,
                   lag(occurred_at) OVER (PARTITION BY shard_key, subject_id ORDER BY version) AS before
            FROM event_log WHERE version IS NOT NULL
        ) AS e WHERE occurred_at < before - interval '1 minute'
        """,
        "a clock was set back while version 0.1 ran, or events were changed by hand; the order of versions is right",
    ),
    Invariant(
        "subscriptions_match_their_last_event",
        """
        SELECT 'subscription ' || s.id FROM subscriptions AS s
        JOIN event_log AS e ON e.shard_key = s.user_id AND e.subject_id = s.id AND e.version = s.version
        WHERE e.data ->> 'status' IS DISTINCT FROM s.status
        """,
    ),
    Invariant(
        "plans_match_their_last_events",
        """
        SELECT 'plan ' || p.code FROM plans AS p
        WHERE p.revision <> (
            SELECT CAST(data ->> 'revision' AS bigint) FROM event_log
            WHERE shard_key = p.id AND subject_id = p.id AND type IN ('plan.created', 'plan.revised')
            ORDER BY version DESC LIMIT 1
        )
        OR (p.status = 'archived') <> (
            SELECT type = 'plan.archived' FROM event_log
            WHERE shard_key = p.id AND subject_id = p.id
            AND type IN ('plan.created', 'plan.archived', 'plan.restored')
            ORDER BY version DESC LIMIT 1
        )
        """,
    ),
    # The previous release changed roles and disabled users without an event: only a user who has one is compared.
    Invariant(
        "users_match_their_last_events",
        """
        SELECT 'user ' || u.id FROM users AS u
        JOIN (
            SELECT DISTINCT ON (shard_key) shard_key, data -> 'after' ->> 'role' AS role FROM event_log
            WHERE type = 'user.role_changed' ORDER BY shard_key, version DESC
        ) AS e ON e.shard_key = u.id
        WHERE e.role IS DISTINCT FROM u.role
        UNION ALL
        SELECT 'user ' || u.id FROM users AS u
        JOIN (
            SELECT DISTINCT ON (shard_key) shard_key, type = 'user.disabled' AS disabled FROM event_log
            WHERE type IN ('user.disabled', 'user.enabled') ORDER BY shard_key, version DESC
        ) AS e ON e.shard_key = u.id
        WHERE e.disabled <> u.disabled
        """,
    ),
    # The previous release made and revoked keys without an event: only a key whose creation has one is compared.
    Invariant(
        "revoked_keys_have_their_event",
        """
        SELECT 'API key ' || k.id FROM api_keys AS k
        JOIN event_log AS created
            ON created.shard_key = k.id AND created.subject_id = k.id AND created.type = 'api_key.created'
        LEFT JOIN event_log AS revoked
            ON revoked.shard_key = k.id AND revoked.subject_id = k.id AND revoked.type = 'api_key.revoked'
        WHERE k.revoked_at IS DISTINCT FROM revoked.occurred_at
        """,
    ),
    Invariant(
        "users_were_registered_once",
        """
        SELECT 'user ' || u.id FROM users AS u
        LEFT JOIN event_log AS e ON e.shard_key = u.id AND e.type = 'user.registered'
        GROUP BY u.id HAVING count(e.id) <> 1
        """,
    ),
)
