"""Idempotent requests: the outcome is stored in the transaction of its effect, so that a repeat gets it again.

A command carries the :class:`IdempotencyKey` of its caller, if there is one, to the unit of work. On entering, the unit
of work reads the key; on committing, it stores the outcome with the effect: both or neither. Only what took effect is
stored, and a declined payment; a refusal changed nothing, so its repeat is decided again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from smp.application.outcomes import Outcome, PaymentDeclinedOutcome, PlanOutcome, SubscriptionOutcome, UserOutcome
from smp.domain.errors import PaymentDeclined

RETENTION: Final = timedelta(hours=24)
"""How long an outcome is given again."""

KEY_LENGTH_MAX: Final = 255


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A request that must take effect once: named by ``caller`` and ``key``, identified by ``fingerprint``."""

    caller: str
    key: str
    fingerprint: bytes
    received_at: datetime

    @property
    def expired_before(self) -> datetime:
        """Outcomes of requests that were received before this instant are no longer given."""
        return self.received_at - RETENTION


class DuplicateRequest(Exception):
    """The request took effect before, with this outcome."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__("the request took effect before")
        self.outcome = outcome


class ReplayedPaymentDeclined(PaymentDeclined):
    """The error of the first request, given to a repeat."""


def replay(outcome: Outcome) -> UserOutcome | PlanOutcome | SubscriptionOutcome:
    """Return the stored outcome, marked as replayed. Raises ReplayedPaymentDeclined for a declined payment."""
    if isinstance(outcome, PaymentDeclinedOutcome):
        raise ReplayedPaymentDeclined
    return replace(outcome, replayed=True)
