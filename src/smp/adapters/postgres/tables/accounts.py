"""Users, sessions, API keys and the login throttle."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
    text,
)

from smp.adapters.postgres.tables.columns import (
    METADATA,
    id_column,
    instant_column,
    key_column,
    number_column,
    text_column,
)

users: Final = Table(
    "users",
    METADATA,
    id_column("id"),
    text_column("email"),
    key_column("email_key"),
    text_column("password_hash"),
    text_column("role"),
    Column("disabled", Boolean(), nullable=False),
    instant_column("created_at"),
    Column("version", BigInteger(), autoincrement=False, nullable=False, server_default=text("1")),
    instant_column("changed_at", nullable=True),
    PrimaryKeyConstraint("id", name="users_pkey"),
    CheckConstraint("char_length(email) BETWEEN 3 AND 254", name="users_email_length"),
    CheckConstraint("email_key = lower(email_key)", name="users_email_key_lower_case"),
    CheckConstraint("role IN ('user', 'admin')", name="users_role"),
    CheckConstraint("version >= 1", name="users_version"),
    Index("users_admins_idx", "id", postgresql_where=text("role = 'admin'")),
    Index("users_email_idx", "email_key"),
)

user_emails: Final = Table(
    "user_emails",
    METADATA,
    key_column("email_key"),
    id_column("user_id"),
    PrimaryKeyConstraint("email_key", name="user_emails_pkey"),
)

sessions: Final = Table(
    "sessions",
    METADATA,
    id_column("user_id"),
    id_column("id"),
    Column("token_digest", LargeBinary(), nullable=False),
    instant_column("created_at"),
    instant_column("last_seen_at"),
    text_column("source"),
    text_column("user_agent"),
    text_column("token_role", nullable=True),
    PrimaryKeyConstraint("user_id", "id", name="sessions_pkey"),
    ForeignKeyConstraint(["user_id"], ["users.id"], name="sessions_user_fkey", ondelete="CASCADE"),
    UniqueConstraint("user_id", "token_digest", name="sessions_token_digest_key"),
    CheckConstraint("octet_length(token_digest) = 32", name="sessions_token_digest_length"),
    CheckConstraint("last_seen_at >= created_at", name="sessions_seen_after_creation"),
    Index("sessions_user_idx", "user_id", "created_at", "id"),
    Index("sessions_created_at_idx", "created_at"),
    Index("sessions_last_seen_at_idx", "last_seen_at"),
)

api_keys: Final = Table(
    "api_keys",
    METADATA,
    id_column("id"),
    text_column("name"),
    Column("digest", LargeBinary(), nullable=False),
    instant_column("created_at"),
    instant_column("revoked_at", nullable=True),
    PrimaryKeyConstraint("id", name="api_keys_pkey"),
    UniqueConstraint("digest", name="api_keys_digest_key"),
    CheckConstraint("octet_length(digest) = 32", name="api_keys_digest_length"),
    CheckConstraint("revoked_at >= created_at", name="api_keys_revoked_after_creation"),
)

login_throttle: Final = Table(
    "login_throttle",
    METADATA,
    key_column("key"),
    number_column("attempts"),
    instant_column("last_attempt_at"),
    instant_column("blocked_until", nullable=True),
    PrimaryKeyConstraint("key", name="login_throttle_pkey"),
    CheckConstraint("key ~ '^(account|source):[0-9a-f]{64}$'", name="login_throttle_key_is_digest"),
    CheckConstraint("attempts >= 0", name="login_throttle_attempts"),
    Index("login_throttle_last_attempt_at_idx", "last_attempt_at"),
)

user_count_changes: Final = Table("user_count_changes", METADATA, number_column("n"))
"""The number of users is the sum of ``n``. Triggers add rows, and a job adds rows up."""
