"""The tables, as the statements need them; a test compares them with the migrated schema."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from smp.adapters.postgres.tables.accounts import api_keys, login_throttle, sessions, user_counts, user_emails, users
from smp.adapters.postgres.tables.columns import METADATA
from smp.adapters.postgres.tables.plans import plan_revisions, plans
from smp.adapters.postgres.tables.platform import event_log, idempotency_keys, test_clock
from smp.adapters.postgres.tables.subscriptions import subscription_counts, subscription_spans, subscriptions, trials

__all__ = [
    "COPIED_TO_ALL",
    "COUNTED_BY_TRIGGERS",
    "DISTRIBUTED_BY",
    "METADATA",
    "api_keys",
    "event_log",
    "idempotency_keys",
    "login_throttle",
    "plan_revisions",
    "plans",
    "sessions",
    "subscription_counts",
    "subscription_spans",
    "subscriptions",
    "test_clock",
    "trials",
    "user_counts",
    "user_emails",
    "users",
]

DISTRIBUTED_BY: Final[Mapping[str, str]] = MappingProxyType(
    {
        "users": "id",
        "sessions": "user_id",
        "subscriptions": "user_id",
        "subscription_spans": "user_id",
        "trials": "user_id",
        "event_log": "shard_key",
        "user_emails": "email_key",
        "idempotency_keys": "caller",
        "login_throttle": "key",
    }
)
"""The column by which each table is sharded in a database of several servers.

All rows of one user are on one server. A table that is not read by user is sharded by its key; see docs/scaling.md.
"""

COPIED_TO_ALL: Final = frozenset({"plans", "plan_revisions", "api_keys", "test_clock"})
"""The tables that are copied to each of several servers: small, rarely written, and read on all of them."""

COUNTED_BY_TRIGGERS: Final = frozenset({"subscription_counts", "user_counts"})
"""The tables that are views in a database of several servers, because a trigger sees the rows of one server only."""
