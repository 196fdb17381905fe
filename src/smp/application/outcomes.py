"""What commands answer: the thing as it now is, and whether it was made just now."""

from __future__ import annotations

from dataclasses import dataclass

from smp.application.queries.views import PlanView, SubscriptionView, UserView


@dataclass(frozen=True, slots=True)
class UserOutcome:
    """A user after a command."""

    user: UserView
    created: bool = False


@dataclass(frozen=True, slots=True)
class PlanOutcome:
    """A plan after a command."""

    plan: PlanView
    created: bool = False


@dataclass(frozen=True, slots=True)
class SubscriptionOutcome:
    """A subscription after a command."""

    subscription: SubscriptionView
    created: bool = False
