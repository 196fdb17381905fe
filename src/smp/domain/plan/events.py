"""What happened to a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from smp.domain.actor import Actor


class PlanEventType(StrEnum):
    """The types of plan events."""

    CREATED = "plan.created"
    REVISED = "plan.revised"
    UPDATED = "plan.updated"
    ARCHIVED = "plan.archived"
    RESTORED = "plan.restored"


@dataclass(frozen=True, slots=True)
class PlanEvent:
    """One immutable fact about a plan; ``version`` is the plan's version after it."""

    id: UUID
    type: PlanEventType
    occurred_at: datetime
    actor: Actor
    plan_id: UUID
    version: int
    data: Mapping[str, object]
