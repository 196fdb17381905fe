"""Idempotent requests: the outcome is stored with its effect, so that a repeated request gets the same outcome.

A command passes the caller's :class:`IdempotencyKey`, if there is one, to the unit of work. The unit of work reads the
key when it is opened, and stores the outcome when it commits: effect and outcome in one transaction. Only the outcome
of a request that took effect is stored, and a declined payment. Any other error changed nothing, so a repeated request
is processed again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from smp.application.outcomes import Outcome, PaymentDeclinedOutcome, PlanOutcome, SubscriptionOutcome, UserOutcome
from smp.domain.errors import PaymentDeclined

RETENTION: Final = timedelta(hours=24)
"""How long an outcome is stored."""

KEY_LENGTH_MAX: Final = 255


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """The identity of a request that must take effect only once.

    The caller chooses the key. The ``fingerprint`` detects that a key is used again for a different request.
    """

    caller: str
    key: str
    fingerprint: bytes
    received_at: datetime

    @property
    def expired_before(self) -> datetime:
        """The instant before which the outcomes of requests have expired."""
        return self.received_at - RETENTION


class DuplicateRequest(Exception):
    """A request that took effect before, with this outcome."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__("the request took effect before")
        self.outcome = outcome


class ReplayedPaymentDeclined(PaymentDeclined):
    """The error of the first request, raised again for a repeated one."""


def replay(outcome: Outcome) -> UserOutcome | PlanOutcome | SubscriptionOutcome:
    """Return the stored outcome, marked as replayed. Raises ReplayedPaymentDeclined for a declined payment."""
    if isinstance(outcome, PaymentDeclinedOutcome):
        raise ReplayedPaymentDeclined
    return replace(outcome, replayed=True)
