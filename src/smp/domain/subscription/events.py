"""What happened to a subscription: one immutable fact for each transition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from smp.domain.actor import Actor
from smp.domain.subscription.lifecycle import SubscriptionEventType


@dataclass(frozen=True, slots=True)
class SubscriptionEvent:
    """A transition that took place; ``version`` is the subscription's version after it, so that no gap can hide."""

    id: UUID
    type: SubscriptionEventType
    occurred_at: datetime
    actor: Actor
    user_id: UUID
    subscription_id: UUID
    version: int
    data: Mapping[str, object]
