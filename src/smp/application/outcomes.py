"""The results of commands, which can be stored for an idempotency key.

Adapters store the name of the class: after a class is renamed, its stored outcomes can no longer be read.
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
    """A declined payment. Nothing was charged or changed."""


Outcome = UserOutcome | PlanOutcome | SubscriptionOutcome | PaymentDeclinedOutcome
