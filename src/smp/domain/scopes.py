"""Scopes: the permissions of API keys and administrators."""

from __future__ import annotations

from enum import StrEnum


class Scope(StrEnum):
    """The permissions that a caller can have; ``ADMIN`` allows to manage the platform itself."""

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
