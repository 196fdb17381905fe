"""The tables, as the statements need them; a test compares them with the migrated schema."""

from __future__ import annotations

from smp.adapters.postgres.tables.accounts import (
    api_keys,
    login_throttle,
    sessions,
    user_count_changes,
    user_emails,
    users,
)
from smp.adapters.postgres.tables.columns import METADATA
from smp.adapters.postgres.tables.plans import plan_revisions, plans
from smp.adapters.postgres.tables.platform import event_log, idempotency_keys, test_clock
from smp.adapters.postgres.tables.subscriptions import (
    subscription_count_changes,
    subscription_spans,
    subscriptions,
    trials,
)

__all__ = [
    "METADATA",
    "api_keys",
    "event_log",
    "idempotency_keys",
    "login_throttle",
    "plan_revisions",
    "plans",
    "sessions",
    "subscription_count_changes",
    "subscription_spans",
    "subscriptions",
    "test_clock",
    "trials",
    "user_count_changes",
    "user_emails",
    "users",
]
