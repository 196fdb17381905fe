"""One table for the events of all subjects.

``event_log`` takes the place of ``events`` (of subscriptions and users) and ``plan_events``. Processes of the previous
release go on writing to these two names during a rollout: they are views now, and what is inserted there is recorded
in the log. A later revision drops the views, and the default of ``users.version`` with them.

The rows are copied before any lock is taken. Writers wait only while the rows that were committed since are copied.

Revision ID: 0003
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None

# shard_key repeats the user's id, or, for an event that concerns no user, the subject's: a table that is sharded by
# user needs the key in each row, and in each unique key. transaction_id orders events by commit for a later reader; it
# means nothing in another cluster.
_LOG = """
    CREATE TABLE event_log (
        shard_key uuid NOT NULL,
        id uuid NOT NULL,
        user_id uuid,
        subject_id uuid NOT NULL,
        version bigint,
        type text NOT NULL,
        occurred_at timestamptz NOT NULL,
        recorded_at timestamptz NOT NULL,
        transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
        actor_type text NOT NULL,
        actor_id uuid,
        data jsonb NOT NULL,
        CONSTRAINT event_log_shard_key CHECK (shard_key = coalesce(user_id, subject_id)),
        CONSTRAINT event_log_version CHECK (version >= 1),
        CONSTRAINT event_log_type CHECK (
            type IN (
                'subscription.trial_started', 'subscription.activated', 'subscription.converted',
                'subscription.renewed', 'subscription.cancel_scheduled', 'subscription.resumed',
                'subscription.cancelled', 'subscription.expired',
                'plan.created', 'plan.revised', 'plan.updated', 'plan.archived', 'plan.restored',
                'user.registered', 'user.password_changed', 'user.role_changed', 'user.disabled', 'user.enabled',
                'session.revoked', 'api_key.created', 'api_key.revoked', 'test_clock.set'
            )
        ),
        CONSTRAINT event_log_subject CHECK (
            CASE split_part(type, '.', 1)
                WHEN 'subscription' THEN user_id IS NOT NULL AND version IS NOT NULL
                WHEN 'user' THEN user_id IS NOT NULL AND subject_id = user_id AND version IS NOT NULL
                WHEN 'plan' THEN user_id IS NULL AND version IS NOT NULL
                WHEN 'session' THEN user_id IS NOT NULL AND version IS NULL
                ELSE user_id IS NULL AND version IS NULL
            END
        ),
        CONSTRAINT event_log_actor CHECK (
            actor_type IN ('user', 'admin', 'service', 'system') AND (actor_type = 'system') = (actor_id IS NULL)
        ),
        CONSTRAINT event_log_data CHECK (jsonb_typeof(data) = 'object')
    )
"""

# When old events were recorded is unknown. A registration is the first version of its user.
_COPY = """
    INSERT INTO event_log (
        shard_key, id, user_id, subject_id, version, type, occurred_at, recorded_at, actor_type, actor_id, data
    )
    SELECT old.user_id, old.id, old.user_id, coalesce(old.subscription_id, old.user_id), coalesce(old.version, 1),
           old.type, old.occurred_at, old.occurred_at, old.actor_type, old.actor_id, old.data
    FROM events AS old
"""
_COPY_OF_PLANS = """
    INSERT INTO event_log (
        shard_key, id, user_id, subject_id, version, type, occurred_at, recorded_at, actor_type, actor_id, data
    )
    SELECT old.plan_id, old.id, NULL, old.plan_id, old.version,
           old.type, old.occurred_at, old.occurred_at, old.actor_type, old.actor_id, old.data
    FROM plan_events AS old
"""
_NOT_COPIED = "WHERE NOT EXISTS (SELECT 1 FROM event_log AS new WHERE new.shard_key = old.{key} AND new.id = old.id)"

_BEFORE_THE_LOCKS = (
    # Enough memory to sort and compare a million rows without temporary files.
    "SET LOCAL work_mem = '256MB'",
    "SET LOCAL maintenance_work_mem = '256MB'",
    _LOG,
    _COPY,
    _COPY_OF_PLANS,
    "ALTER TABLE event_log ADD CONSTRAINT event_log_pkey PRIMARY KEY (shard_key, id)",
    "ALTER TABLE event_log ADD CONSTRAINT event_log_version_key UNIQUE (shard_key, subject_id, version)",
    # Without statistics the search for rows that were not copied would be planned for an empty table.
    "ANALYZE event_log",
)

# A registration, which writes to users and then to events, ends before events is locked. A transaction that writes to
# events only reads users, which the first lock allows. So none of them deadlocks with the migration. A trial that is
# being started may: PostgreSQL then ends one of the two, and either can be repeated.
_LOCKS = (
    "LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE",
    "LOCK TABLE events, plan_events IN ACCESS EXCLUSIVE MODE",
)

_SWITCH = (
    _COPY + _NOT_COPIED.format(key="user_id"),
    _COPY_OF_PLANS + _NOT_COPIED.format(key="plan_id"),
    # Views of the same names and columns take their places in this transaction.
    "-- squawk-ignore ban-drop-table\nDROP TABLE events",
    "-- squawk-ignore ban-drop-table\nDROP TABLE plan_events",
    "ALTER TABLE event_log ADD CONSTRAINT event_log_user_fkey FOREIGN KEY (user_id) REFERENCES users (id) NOT VALID",
    """
    CREATE TRIGGER event_log_immutable BEFORE UPDATE OR DELETE ON event_log
    FOR EACH ROW EXECUTE FUNCTION refuse_change()
    """,
    """
    CREATE TRIGGER event_log_not_emptied BEFORE TRUNCATE ON event_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """,
)

_FOR_THE_PREVIOUS_RELEASE = (
    """
    CREATE VIEW events AS
    SELECT shard_key AS user_id, id, CASE WHEN type LIKE 'subscription.%' THEN subject_id END AS subscription_id,
           CASE WHEN type LIKE 'subscription.%' THEN version END AS version, type, occurred_at, actor_type, actor_id,
           data
    FROM event_log WHERE type LIKE 'subscription.%' OR type = 'user.registered'
    """,
    """
    CREATE VIEW plan_events AS
    SELECT subject_id AS plan_id, id, version, type, occurred_at, actor_type, actor_id, data
    FROM event_log WHERE type LIKE 'plan.%'
    """,
    """
    CREATE FUNCTION record_in_event_log() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO event_log (
            shard_key, id, user_id, subject_id, version, type, occurred_at, recorded_at, actor_type, actor_id, data
        )
        VALUES (
            NEW.user_id, NEW.id, NEW.user_id, coalesce(NEW.subscription_id, NEW.user_id), coalesce(NEW.version, 1),
            NEW.type, NEW.occurred_at, NEW.occurred_at, NEW.actor_type, NEW.actor_id, NEW.data
        );
        RETURN NEW;
    END $$
    """,
    """
    CREATE FUNCTION record_plan_event_in_event_log() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO event_log (
            shard_key, id, user_id, subject_id, version, type, occurred_at, recorded_at, actor_type, actor_id, data
        )
        VALUES (
            NEW.plan_id, NEW.id, NULL, NEW.plan_id, NEW.version,
            NEW.type, NEW.occurred_at, NEW.occurred_at, NEW.actor_type, NEW.actor_id, NEW.data
        );
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER events_recorded INSTEAD OF INSERT ON events
    FOR EACH ROW EXECUTE FUNCTION record_in_event_log()
    """,
    """
    CREATE TRIGGER plan_events_recorded INSTEAD OF INSERT ON plan_events
    FOR EACH ROW EXECUTE FUNCTION record_plan_event_in_event_log()
    """,
)

# Counts a user's events. This step is last, because readers wait for it too. The previous release sets no version.
_USERS = """
    ALTER TABLE users ADD COLUMN version bigint NOT NULL DEFAULT 1,
        ADD CONSTRAINT users_version CHECK (version >= 1) NOT VALID
"""

_ACTOR = "actor_type IN ('user', 'admin', 'service', 'system') AND (actor_type = 'system') = (actor_id IS NULL)"
_DOWN = (
    "DROP VIEW events",
    "DROP VIEW plan_events",
    "DROP FUNCTION record_in_event_log()",
    "DROP FUNCTION record_plan_event_in_event_log()",
    f"""
    CREATE TABLE events (
        user_id uuid NOT NULL,
        id uuid NOT NULL,
        subscription_id uuid,
        version bigint,
        type text NOT NULL,
        occurred_at timestamptz NOT NULL,
        actor_type text NOT NULL,
        actor_id uuid,
        data jsonb NOT NULL,
        CONSTRAINT events_pkey PRIMARY KEY (user_id, id),
        CONSTRAINT events_version_key UNIQUE (user_id, subscription_id, version),
        CONSTRAINT events_user_fkey FOREIGN KEY (user_id) REFERENCES users (id),
        CONSTRAINT events_version CHECK (version >= 1),
        CONSTRAINT events_type CHECK (
            type IN (
                'user.registered',
                'subscription.trial_started', 'subscription.activated', 'subscription.converted',
                'subscription.renewed', 'subscription.cancel_scheduled', 'subscription.resumed',
                'subscription.cancelled', 'subscription.expired'
            )
        ),
        CONSTRAINT events_subject CHECK (
            (subscription_id IS NULL) = (type = 'user.registered') AND (version IS NULL) = (subscription_id IS NULL)
        ),
        CONSTRAINT events_actor CHECK ({_ACTOR}),
        CONSTRAINT events_data CHECK (jsonb_typeof(data) = 'object')
    )
    """,
    f"""
    CREATE TABLE plan_events (
        plan_id uuid NOT NULL,
        id uuid NOT NULL,
        version bigint NOT NULL,
        type text NOT NULL,
        occurred_at timestamptz NOT NULL,
        actor_type text NOT NULL,
        actor_id uuid,
        data jsonb NOT NULL,
        CONSTRAINT plan_events_pkey PRIMARY KEY (plan_id, id),
        CONSTRAINT plan_events_version_key UNIQUE (plan_id, version),
        CONSTRAINT plan_events_plan_fkey FOREIGN KEY (plan_id) REFERENCES plans (id),
        CONSTRAINT plan_events_version CHECK (version >= 1),
        CONSTRAINT plan_events_type CHECK (
            type IN ('plan.created', 'plan.revised', 'plan.updated', 'plan.archived', 'plan.restored')
        ),
        CONSTRAINT plan_events_actor CHECK ({_ACTOR}),
        CONSTRAINT plan_events_data CHECK (jsonb_typeof(data) = 'object')
    )
    """,
    """
    INSERT INTO events (user_id, id, subscription_id, version, type, occurred_at, actor_type, actor_id, data)
    SELECT user_id, id, CASE WHEN type LIKE 'subscription.%' THEN subject_id END,
           CASE WHEN type LIKE 'subscription.%' THEN version END, type, occurred_at, actor_type, actor_id, data
    FROM event_log WHERE type LIKE 'subscription.%' OR type = 'user.registered'
    """,
    """
    INSERT INTO plan_events (plan_id, id, version, type, occurred_at, actor_type, actor_id, data)
    SELECT subject_id, id, version, type, occurred_at, actor_type, actor_id, data
    FROM event_log WHERE type LIKE 'plan.%'
    """,
    "DROP TABLE event_log",
    "ALTER TABLE users DROP COLUMN version",
    *(
        f"CREATE TRIGGER {table}_immutable BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        for table in ("events", "plan_events")
    ),
    *(
        f"CREATE TRIGGER {table}_not_emptied BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        for table in ("events", "plan_events")
    ),
)


def upgrade() -> None:
    for statement in (*_BEFORE_THE_LOCKS, *_LOCKS, *_SWITCH, *_FOR_THE_PREVIOUS_RELEASE, _USERS):
        op.execute(statement)


def downgrade() -> None:
    for statement in _DOWN:
        op.execute(statement)
