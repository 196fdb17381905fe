"""Scopes: what an API key, or an administrator, is allowed to do."""

from __future__ import annotations

from enum import StrEnum


class Scope(StrEnum):
    """A permission that is granted to a caller; ``ADMIN`` stands for the management of the platform itself."""

    ACCESS_READ = "access:read"
    USERS_READ = "users:read"
    USERS_WRITE = "users:write"
    SUBSCRIPTIONS_READ = "subscriptions:read"
    SUBSCRIPTIONS_WRITE = "subscriptions:write"
    PLANS_WRITE = "plans:write"
    STATISTICS_READ = "statistics:read"
    EVENTS_READ = "events:read"
    WEBHOOKS_WRITE = "webhooks:write"
    ADMIN = "admin"
