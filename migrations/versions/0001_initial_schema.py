"""The whole schema of the first version.

The adapter recognizes refusals by the names of constraints. Every table with a user's data can be sharded by user: each
of its unique keys contains the user's id, and values that are unique among all users have a separate table (see
docs/scaling.md; a test checks it). The application writes all times; nothing reads the server's clock.

Revision ID: 0001
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None

_EXTENSIONS = (
    # For the equality of user ids in a GiST exclusion constraint. It is trusted, so the database's owner may create it.
    "CREATE EXTENSION IF NOT EXISTS btree_gist",
)

_ACCOUNTS = (
    """
    CREATE TABLE users (
        id uuid NOT NULL,
        email text NOT NULL,
        email_key text COLLATE "C" NOT NULL,
        password_hash text NOT NULL,
        role text NOT NULL,
        disabled boolean NOT NULL,
        created_at timestamptz NOT NULL,
        CONSTRAINT users_pkey PRIMARY KEY (id),
        CONSTRAINT users_email_length CHECK (char_length(email) BETWEEN 3 AND 254),
        CONSTRAINT users_email_key_lower_case CHECK (email_key = lower(email_key)),
        CONSTRAINT users_role CHECK (role IN ('user', 'admin'))
    )
    """,
    "CREATE INDEX users_admins_idx ON users (id) WHERE role = 'admin'",
    # For the administrators' list; the next table makes emails unique.
    "CREATE INDEX users_email_idx ON users (email_key)",
    # No foreign key to users: the two are distributed by different columns. smp doctor compares them.
    """
    CREATE TABLE user_emails (
        email_key text COLLATE "C" NOT NULL,
        user_id uuid NOT NULL,
        CONSTRAINT user_emails_pkey PRIMARY KEY (email_key)
    )
    """,
    """
    CREATE TABLE sessions (
        user_id uuid NOT NULL,
        id uuid NOT NULL,
        token_digest bytea NOT NULL,
        created_at timestamptz NOT NULL,
        last_seen_at timestamptz NOT NULL,
        source text NOT NULL,
        user_agent text NOT NULL,
        CONSTRAINT sessions_pkey PRIMARY KEY (user_id, id),
        CONSTRAINT sessions_user_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
        CONSTRAINT sessions_token_digest_key UNIQUE (user_id, token_digest),
        CONSTRAINT sessions_token_digest_length CHECK (octet_length(token_digest) = 32),
        CONSTRAINT sessions_seen_after_creation CHECK (last_seen_at >= created_at)
    )
    """,
    "CREATE INDEX sessions_user_idx ON sessions (user_id, created_at, id)",
    # Both for the purge job, which finds expired sessions.
    "CREATE INDEX sessions_created_at_idx ON sessions (created_at)",
    "CREATE INDEX sessions_last_seen_at_idx ON sessions (last_seen_at)",
    """
    CREATE TABLE api_keys (
        id uuid NOT NULL,
        name text NOT NULL,
        digest bytea NOT NULL,
        created_at timestamptz NOT NULL,
        revoked_at timestamptz,
        CONSTRAINT api_keys_pkey PRIMARY KEY (id),
        CONSTRAINT api_keys_digest_key UNIQUE (digest),
        CONSTRAINT api_keys_digest_length CHECK (octet_length(digest) = 32),
        CONSTRAINT api_keys_revoked_after_creation CHECK (revoked_at >= created_at)
    )
    """,
    """
    CREATE TABLE login_throttle (
        key text COLLATE "C" NOT NULL,
        attempts bigint NOT NULL,
        last_attempt_at timestamptz NOT NULL,
        blocked_until timestamptz,
        CONSTRAINT login_throttle_pkey PRIMARY KEY (key),
        CONSTRAINT login_throttle_key_is_digest CHECK (key ~ '^(account|source):[0-9a-f]{64}$'),
        CONSTRAINT login_throttle_attempts CHECK (attempts >= 0)
    )
    """,
    "CREATE INDEX login_throttle_last_attempt_at_idx ON login_throttle (last_attempt_at)",
)

_PLANS = (
    # amount is a copy of the current revision's: the price list is paged by (amount, code), which needs an index on one
    # table. The foreign key prevents a wrong copy.
    """
    CREATE TABLE plans (
        id uuid NOT NULL,
        code text COLLATE "C" NOT NULL,
        name text NOT NULL,
        description text NOT NULL,
        status text NOT NULL,
        revision bigint NOT NULL,
        amount bigint NOT NULL,
        version bigint NOT NULL,
        created_at timestamptz NOT NULL,
        CONSTRAINT plans_pkey PRIMARY KEY (id),
        CONSTRAINT plans_code_key UNIQUE (code),
        CONSTRAINT plans_code_shape CHECK (code ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
        CONSTRAINT plans_name_length CHECK (char_length(name) BETWEEN 1 AND 200),
        CONSTRAINT plans_description_length CHECK (char_length(description) <= 2000),
        CONSTRAINT plans_status CHECK (status IN ('active', 'archived')),
        CONSTRAINT plans_version CHECK (version >= 1)
    )
    """,
    "CREATE INDEX plans_amount_idx ON plans (amount, code)",
    "CREATE INDEX plans_status_amount_idx ON plans (status, amount, code)",
    """
    CREATE TABLE plan_revisions (
        plan_id uuid NOT NULL,
        number bigint NOT NULL,
        amount bigint NOT NULL,
        currency text NOT NULL,
        period text,
        trial_period text,
        features jsonb NOT NULL,
        created_at timestamptz NOT NULL,
        CONSTRAINT plan_revisions_pkey PRIMARY KEY (plan_id, number),
        CONSTRAINT plan_revisions_amount_key UNIQUE (plan_id, number, amount),
        CONSTRAINT plan_revisions_plan_fkey FOREIGN KEY (plan_id) REFERENCES plans (id),
        CONSTRAINT plan_revisions_number CHECK (number >= 1),
        CONSTRAINT plan_revisions_amount CHECK (amount BETWEEN 0 AND 999999999999999),
        CONSTRAINT plan_revisions_currency CHECK (currency ~ '^[A-Z]{3}$'),
        CONSTRAINT plan_revisions_period
            CHECK (period ~ '^P([1-9][0-9]{0,9}[DWMY]|T[1-9][0-9]{0,9}[HMS])$'),
        CONSTRAINT plan_revisions_trial_period
            CHECK (trial_period ~ '^P([1-9][0-9]{0,9}[DWMY]|T[1-9][0-9]{0,9}[HMS])$'),
        CONSTRAINT plan_revisions_features CHECK (jsonb_typeof(features) = 'object')
    )
    """,
    """
    ALTER TABLE plans ADD CONSTRAINT plans_revision_fkey
        FOREIGN KEY (id, revision, amount) REFERENCES plan_revisions (plan_id, number, amount)
    """,
    """
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
        CONSTRAINT plan_events_actor CHECK (
            actor_type IN ('user', 'admin', 'service', 'system') AND (actor_type = 'system') = (actor_id IS NULL)
        ),
        CONSTRAINT plan_events_data CHECK (jsonb_typeof(data) = 'object')
    )
    """,
)

_SUBSCRIPTIONS = (
    """
    CREATE TABLE subscriptions (
        user_id uuid NOT NULL,
        id uuid NOT NULL,
        plan_id uuid NOT NULL,
        revision bigint NOT NULL,
        status text NOT NULL,
        starts_at timestamptz NOT NULL,
        ends_at timestamptz,
        trial_ends_at timestamptz,
        anchor_at timestamptz,
        periods bigint NOT NULL,
        converted_at timestamptz,
        cancel_at timestamptz,
        cancelled_at timestamptz,
        ended_at timestamptz,
        version bigint NOT NULL,
        created_at timestamptz NOT NULL,
        CONSTRAINT subscriptions_pkey PRIMARY KEY (user_id, id),
        CONSTRAINT subscriptions_user_fkey FOREIGN KEY (user_id) REFERENCES users (id),
        CONSTRAINT subscriptions_revision_fkey
            FOREIGN KEY (plan_id, revision) REFERENCES plan_revisions (plan_id, number),
        CONSTRAINT subscriptions_status CHECK (status IN ('trial', 'active', 'expired', 'cancelled')),
        CONSTRAINT subscriptions_version CHECK (version >= 1),
        CONSTRAINT subscriptions_starts_before_end CHECK (starts_at < ends_at),
        CONSTRAINT subscriptions_cancel_at_end
            CHECK (cancel_at IS NULL OR (ends_at IS NOT NULL AND cancel_at = ends_at)),
        CONSTRAINT subscriptions_ended_unless_live
            CHECK ((ended_at IS NULL) = (status IN ('trial', 'active'))),
        CONSTRAINT subscriptions_ended_within_span
            CHECK (ended_at >= starts_at AND ended_at <= coalesce(ends_at, ended_at)),
        CONSTRAINT subscriptions_cancelled CHECK (
            status <> 'cancelled' OR (cancelled_at IS NOT NULL AND ended_at IS NOT NULL AND cancelled_at = ended_at)
        ),
        CONSTRAINT subscriptions_expired CHECK (
            status <> 'expired' OR (ends_at IS NOT NULL AND ended_at IS NOT NULL AND ended_at = ends_at
                                    AND cancel_at IS NULL)
        ),
        CONSTRAINT subscriptions_cancelled_at_only_if_cancelled CHECK (cancelled_at IS NULL OR status = 'cancelled'),
        CONSTRAINT subscriptions_trial CHECK (
            status <> 'trial' OR (trial_ends_at IS NOT NULL AND ends_at IS NOT NULL AND trial_ends_at = ends_at
                                  AND converted_at IS NULL)
        ),
        CONSTRAINT subscriptions_active CHECK (status <> 'active' OR anchor_at IS NOT NULL),
        CONSTRAINT subscriptions_paid_has_anchor
            CHECK ((anchor_at IS NULL) = (trial_ends_at IS NOT NULL AND converted_at IS NULL)),
        CONSTRAINT subscriptions_periods CHECK (periods >= 0 AND (periods >= 1) = (anchor_at IS NOT NULL)),
        CONSTRAINT subscriptions_anchor CHECK (anchor_at = coalesce(converted_at, starts_at)),
        CONSTRAINT subscriptions_converted CHECK (
            converted_at IS NULL OR (trial_ends_at IS NOT NULL AND trial_ends_at = converted_at
                                     AND converted_at >= starts_at)
        )
    )
    """,
    # Guarantees that a user has at most one live subscription, even if the program has a defect.
    "CREATE UNIQUE INDEX subscriptions_one_live ON subscriptions (user_id) WHERE status IN ('trial', 'active')",
    "CREATE INDEX subscriptions_due_idx ON subscriptions (ends_at, id) WHERE status IN ('trial', 'active')",
    # For a user's newest subscription and for pages of the history, at the same cost for a history of any length.
    "CREATE INDEX subscriptions_history_idx ON subscriptions (user_id, starts_at, id)",
    # For each order and filter of the administrators' list, one range for each written status. There is no index on id
    # alone: (status, id) finds an id by four look-ups, and each further index slows the expiry job down.
    "CREATE INDEX subscriptions_status_idx ON subscriptions (status, id)",
    "CREATE INDEX subscriptions_plan_idx ON subscriptions (plan_id, status, id)",
    "CREATE INDEX subscriptions_end_idx ON subscriptions (status, ends_at, id)",
    "CREATE INDEX subscriptions_plan_end_idx ON subscriptions (plan_id, status, ends_at, id)",
    # A separate table, because an end by time changes no span. As a constraint of subscriptions it would cost the
    # expiry job another look-up in a GiST index for each row (measured: 50 microseconds).
    """
    CREATE TABLE subscription_spans (
        user_id uuid NOT NULL,
        subscription_id uuid NOT NULL,
        span tstzrange NOT NULL,
        CONSTRAINT subscription_spans_pkey PRIMARY KEY (user_id, subscription_id),
        CONSTRAINT subscription_spans_subscription_fkey
            FOREIGN KEY (user_id, subscription_id) REFERENCES subscriptions (user_id, id),
        CONSTRAINT subscriptions_no_overlap EXCLUDE USING gist (user_id WITH =, span WITH &&)
    )
    """,
    """
    CREATE TABLE trials (
        user_id uuid NOT NULL,
        plan_id uuid NOT NULL,
        subscription_id uuid NOT NULL,
        started_at timestamptz NOT NULL,
        per_user boolean NOT NULL,
        CONSTRAINT trials_once_per_plan PRIMARY KEY (user_id, plan_id),
        CONSTRAINT trials_user_fkey FOREIGN KEY (user_id) REFERENCES users (id),
        CONSTRAINT trials_plan_fkey FOREIGN KEY (plan_id) REFERENCES plans (id)
    )
    """,
    "CREATE UNIQUE INDEX trials_once_per_user ON trials (user_id) WHERE per_user",
    """
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
        CONSTRAINT events_actor CHECK (
            actor_type IN ('user', 'admin', 'service', 'system') AND (actor_type = 'system') = (actor_id IS NULL)
        ),
        CONSTRAINT events_data CHECK (jsonb_typeof(data) = 'object')
    )
    """,
)

_REQUESTS = (
    """
    CREATE TABLE idempotency_keys (
        caller text COLLATE "C" NOT NULL,
        key text COLLATE "C" NOT NULL,
        fingerprint bytea NOT NULL,
        status bigint NOT NULL,
        headers jsonb NOT NULL,
        body bytea NOT NULL,
        created_at timestamptz NOT NULL,
        CONSTRAINT idempotency_keys_pkey PRIMARY KEY (caller, key),
        CONSTRAINT idempotency_keys_key_length CHECK (char_length(key) BETWEEN 1 AND 255),
        CONSTRAINT idempotency_keys_status CHECK (status BETWEEN 100 AND 599),
        CONSTRAINT idempotency_keys_headers CHECK (jsonb_typeof(headers) = 'object')
    )
    """,
    "CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys (created_at)",
    """
    CREATE TABLE test_clock (
        only_row boolean NOT NULL,
        now timestamptz NOT NULL,
        CONSTRAINT test_clock_pkey PRIMARY KEY (only_row),
        CONSTRAINT test_clock_one_row CHECK (only_row)
    )
    """,
)

# Counts are spread over shards, so that concurrent transactions do not wait for one row. A count is the sum of its
# shards; a single shard may be negative. Rows are written in the order of their key, which prevents deadlocks.
_COUNTS = (
    """
    CREATE TABLE subscription_counts (
        plan_id uuid NOT NULL,
        revision bigint NOT NULL,
        status text NOT NULL,
        origin text NOT NULL,
        shard smallint NOT NULL,
        n bigint NOT NULL,
        CONSTRAINT subscription_counts_pkey PRIMARY KEY (plan_id, revision, status, origin, shard),
        CONSTRAINT subscription_counts_revision_fkey
            FOREIGN KEY (plan_id, revision) REFERENCES plan_revisions (plan_id, number),
        CONSTRAINT subscription_counts_origin CHECK (origin IN ('paid', 'trial', 'converted'))
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE user_counts (
        shard smallint NOT NULL,
        n bigint NOT NULL,
        CONSTRAINT user_counts_pkey PRIMARY KEY (shard)
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE FUNCTION subscription_origin(trial_ends_at timestamptz, converted_at timestamptz) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
        SELECT CASE WHEN trial_ends_at IS NULL THEN 'paid' WHEN converted_at IS NULL THEN 'trial' ELSE 'converted' END
    $$
    """,
    """
    CREATE FUNCTION count_added_subscriptions() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO subscription_counts AS kept (plan_id, revision, status, origin, shard, n)
        SELECT plan_id, revision, status, subscription_origin(trial_ends_at, converted_at), pg_backend_pid() % 64,
               count(*)
        FROM added GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
        ON CONFLICT (plan_id, revision, status, origin, shard) DO UPDATE SET n = kept.n + excluded.n;
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION count_changed_subscriptions() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO subscription_counts AS kept (plan_id, revision, status, origin, shard, n)
        SELECT plan_id, revision, status, origin, pg_backend_pid() % 64, sum(change)
        FROM (
            SELECT plan_id, revision, status, subscription_origin(trial_ends_at, converted_at) AS origin, 1 AS change
            FROM after_change
            UNION ALL
            SELECT plan_id, revision, status, subscription_origin(trial_ends_at, converted_at), -1
            FROM before_change
        ) AS changes
        GROUP BY 1, 2, 3, 4 HAVING sum(change) <> 0 ORDER BY 1, 2, 3, 4
        ON CONFLICT (plan_id, revision, status, origin, shard) DO UPDATE SET n = kept.n + excluded.n;
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION count_removed_subscriptions() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO subscription_counts AS kept (plan_id, revision, status, origin, shard, n)
        SELECT plan_id, revision, status, subscription_origin(trial_ends_at, converted_at), pg_backend_pid() % 64,
               -count(*)
        FROM removed GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
        ON CONFLICT (plan_id, revision, status, origin, shard) DO UPDATE SET n = kept.n + excluded.n;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER subscriptions_count_added AFTER INSERT ON subscriptions
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_added_subscriptions()
    """,
    """
    CREATE TRIGGER subscriptions_count_changed AFTER UPDATE ON subscriptions
    REFERENCING OLD TABLE AS before_change NEW TABLE AS after_change
    FOR EACH STATEMENT EXECUTE FUNCTION count_changed_subscriptions()
    """,
    """
    CREATE TRIGGER subscriptions_count_removed AFTER DELETE ON subscriptions
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION count_removed_subscriptions()
    """,
    """
    CREATE FUNCTION count_added_users() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO user_counts AS kept (shard, n)
        SELECT pg_backend_pid() % 64, count(*) FROM added HAVING count(*) > 0
        ON CONFLICT (shard) DO UPDATE SET n = kept.n + excluded.n;
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION count_removed_users() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO user_counts AS kept (shard, n)
        SELECT pg_backend_pid() % 64, -count(*) FROM removed HAVING count(*) > 0
        ON CONFLICT (shard) DO UPDATE SET n = kept.n + excluded.n;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER users_count_added AFTER INSERT ON users
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_added_users()
    """,
    """
    CREATE TRIGGER users_count_removed AFTER DELETE ON users
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION count_removed_users()
    """,
)

_WRITTEN_ONCE = ("events", "plan_events", "plan_revisions")

_IMMUTABILITY = (
    """
    CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION '% is written once and never changed', TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END $$
    """,
    *(
        f"CREATE TRIGGER {table}_immutable BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        for table in _WRITTEN_ONCE
    ),
    *(
        f"CREATE TRIGGER {table}_not_emptied BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        for table in _WRITTEN_ONCE
    ),
)

_DOWN = (
    "ALTER TABLE plans DROP CONSTRAINT plans_revision_fkey",
    *(
        f"DROP TABLE {table}"
        for table in (
            "user_counts",
            "subscription_counts",
            "test_clock",
            "idempotency_keys",
            "events",
            "trials",
            "subscription_spans",
            "subscriptions",
            "plan_events",
            "plan_revisions",
            "plans",
            "login_throttle",
            "api_keys",
            "sessions",
            "user_emails",
            "users",
        )
    ),
    "DROP FUNCTION count_added_subscriptions()",
    "DROP FUNCTION count_changed_subscriptions()",
    "DROP FUNCTION count_removed_subscriptions()",
    "DROP FUNCTION count_added_users()",
    "DROP FUNCTION count_removed_users()",
    "DROP FUNCTION subscription_origin(timestamptz, timestamptz)",
    "DROP FUNCTION refuse_change()",
    # btree_gist is kept, because it may have existed before, and other programs may use it.
)


def upgrade() -> None:
    for group in (_EXTENSIONS, _ACCOUNTS, _PLANS, _SUBSCRIPTIONS, _REQUESTS, _COUNTS, _IMMUTABILITY):
        for statement in group:
            op.execute(statement)


def downgrade() -> None:
    for statement in _DOWN:
        op.execute(statement)
