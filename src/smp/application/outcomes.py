"""The results of commands that may be stored for an idempotency key and given again.

Adapters store them under the name of their class: an outcome of a class that was renamed can no longer be read.
"""

from __future__ import annotations

from dataclasses import dataclass

from smp.application.queries.views import PlanView, SubscriptionView, UserView


@dataclass(frozen=True, slots=True)
class UserOutcome:
    """A user after a command; ``replayed`` marks the outcome of an earlier request."""

    user: UserView
    created: bool = False
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class PlanOutcome:
    """A plan after a command; ``replayed`` marks the outcome of an earlier request."""

    plan: PlanView
    created: bool = False
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class SubscriptionOutcome:
    """A subscription after a command; ``replayed`` marks the outcome of an earlier request."""

    subscription: SubscriptionView
    created: bool = False
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class PaymentDeclinedOutcome:
    """The payment was declined; nothing was charged and nothing changed."""


Outcome = UserOutcome | PlanOutcome | SubscriptionOutcome | PaymentDeclinedOutcome
