"""The types of plan events."""

from __future__ import annotations

from enum import StrEnum


class PlanEventType(StrEnum):
    """The types of plan events."""

    CREATED = "plan.created"
    REVISED = "plan.revised"
    UPDATED = "plan.updated"
    ARCHIVED = "plan.archived"
    RESTORED = "plan.restored"
