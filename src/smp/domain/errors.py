"""Every refusal that the domain can give, as nouns with facts; no transport knows itself here.

Each leaf has a stable ``code`` (the slug that callers see) and keeps its facts as fields:

    DomainError
    ├── ValidationError                 a value that no rule admits (one field)
    ├── NotFound
    │   ├── PlanNotFound
    │   ├── UserNotFound
    │   ├── SubscriptionNotFound
    │   ├── SessionNotFound
    │   └── NoLiveSubscription
    ├── Conflict                     well-formed, but the state does not allow it
    │   ├── IllegalTransition
    │   ├── LiveSubscriptionExists
    │   ├── TrialAlreadyUsed
    │   ├── PlanHasNoTrial
    │   ├── PlanArchived
    │   ├── PlanCodeTaken
    │   ├── EmailTaken
    │   ├── LastAdmin
    │   └── ClockCannotGoBack
    ├── StaleVersion                 the caller's expectation of the version no longer holds
    ├── PaymentRefused
    │   ├── PaymentRequired
    │   └── PaymentDeclined
    └── StorageIntegrityError            a rule of the storage broken: a defect or a damaged row
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import ClassVar
from uuid import UUID


class DomainError(Exception):
    """The root: the request was understood and refused; nothing was changed."""

    code: ClassVar[str]


class ValidationError(DomainError):
    """A value that no rule admits; ``pointer`` is its RFC 6901 JSON pointer, ``detail`` what is wanted.

    ``others`` are further bad values of the same request, so that a caller is told of all at once.
    """

    code = "validation-failed"

    def __init__(self, pointer: str, detail: str, others: tuple[ValidationError, ...] = ()) -> None:
        super().__init__(f"{pointer or 'the value'}: {detail}")
        self.pointer = pointer
        self.detail = detail
        self.others = others

    def at(self, pointer: str) -> ValidationError:
        """The same refusal as seen from the document that holds the value at ``pointer``."""
        return ValidationError(pointer + self.pointer, self.detail, tuple(other.at(pointer) for other in self.others))


def collect_errors(*checks: Callable[[], object]) -> None:
    """Run every check, also after one has refused.

    Raises:
        ValidationError: the first refusal, with the others in it.
    """
    refusals: list[ValidationError] = []
    for run in checks:
        try:
            run()
        except ValidationError as refusal:
            refusals += (ValidationError(refusal.pointer, refusal.detail), *refusal.others)
    if refusals:
        first, *others = refusals
        raise ValidationError(first.pointer, first.detail, tuple(others))


class NotFound(DomainError):
    """What was named does not exist, or not for this caller."""


class PlanNotFound(NotFound):
    """No plan has this code or id."""

    code = "plan-not-found"

    def __init__(self, plan: str) -> None:
        super().__init__(f"there is no plan {plan!r}")
        self.plan = plan


class UserNotFound(NotFound):
    """No user has this id."""

    code = "user-not-found"

    def __init__(self, user_id: str | UUID) -> None:
        super().__init__(f"there is no user {str(user_id)!r}")
        self.user_id = str(user_id)


class SubscriptionNotFound(NotFound):
    """No subscription has this id, or it is somebody else's."""

    code = "subscription-not-found"

    def __init__(self, subscription_id: str | UUID) -> None:
        super().__init__(f"there is no subscription {str(subscription_id)!r}")
        self.subscription_id = str(subscription_id)


class SessionNotFound(NotFound):
    """The caller has no session with this id."""

    code = "session-not-found"

    def __init__(self, session_id: str | UUID) -> None:
        super().__init__(f"there is no session {str(session_id)!r}")
        self.session_id = str(session_id)


class NoLiveSubscription(NotFound):
    """The user has neither a trial nor an active subscription at this instant."""

    code = "no-live-subscription"

    def __init__(self, user_id: UUID) -> None:
        super().__init__("there is no live subscription at this instant")
        self.user_id = user_id


class Conflict(DomainError):
    """Well-formed, but the present state does not allow it."""


class IllegalTransition(Conflict):
    """The state machine has no such move from here, or a date forbids it."""

    code = "illegal-transition"

    def __init__(self, action: str, status: str, why: str = "") -> None:
        reason = f": {why}" if why else ""
        super().__init__(f"{action.replace('_', ' ')} is not possible from {status}{reason}")
        self.action = action
        self.status = status
        self.why = why


class LiveSubscriptionExists(Conflict):
    """At most one subscription of a user is live, and this user has one."""

    code = "live-subscription-exists"

    def __init__(self, user_id: UUID) -> None:
        super().__init__("the user already has a live subscription")
        self.user_id = user_id


class TrialAlreadyUsed(Conflict):
    """The trial was used before; cancelling or losing it does not give it back."""

    code = "trial-already-used"

    def __init__(self, user_id: UUID, plan: str) -> None:
        super().__init__(f"the trial was already used (asked for plan {plan!r})")
        self.user_id = user_id
        self.plan = plan


class PlanHasNoTrial(Conflict):
    """The plan offers no trial."""

    code = "plan-has-no-trial"

    def __init__(self, plan: str) -> None:
        super().__init__(f"plan {plan!r} offers no trial")
        self.plan = plan


class PlanArchived(Conflict):
    """The plan takes no new subscriptions."""

    code = "plan-archived"

    def __init__(self, plan: str) -> None:
        super().__init__(f"plan {plan!r} is archived and takes no new subscriptions")
        self.plan = plan


class PlanCodeTaken(Conflict):
    """Another plan has this code."""

    code = "plan-code-taken"

    def __init__(self, plan: str) -> None:
        super().__init__(f"another plan has the code {plan!r}")
        self.plan = plan


class EmailTaken(Conflict):
    """Another user has this email, without regard to case."""

    code = "email-taken"

    def __init__(self) -> None:
        super().__init__("another account has this email")


class LastAdmin(Conflict):
    """The change would leave the platform without an enabled administrator."""

    code = "last-admin"

    def __init__(self) -> None:
        super().__init__("this is the last enabled administrator; make another one first")


class ClockCannotGoBack(Conflict):
    """The test clock was asked to go back."""

    code = "test-clock-moves-forward-only"

    def __init__(self, now: datetime, asked: datetime) -> None:
        super().__init__(f"the platform's clock stands at {now.isoformat()}, later than what was asked")
        self.now = now
        self.asked = asked


class StaleVersion(DomainError):
    """The thing has moved on since the caller, or the transaction, last saw it."""

    code = "precondition-failed"

    def __init__(self) -> None:
        super().__init__("it has changed since the version that was named")


class PaymentRefused(DomainError):
    """No money was taken, so nothing changed."""


class PaymentRequired(PaymentRefused):
    """Users cannot pay here by themselves; an administrator can, once the money has come."""

    code = "payment-required"

    def __init__(self) -> None:
        super().__init__("this plan has a price and no payment provider is set up; ask the administrator")


class PaymentDeclined(PaymentRefused):
    """The provider refused the charge."""

    code = "payment-declined"

    def __init__(self) -> None:
        super().__init__("the payment was declined; nothing was charged and nothing changed")


class StorageIntegrityError(DomainError):
    """The storage's own rules refused a change that no caller asked for wrongly: a defect or a damaged row."""

    code = "internal-error"

    def __init__(self, rule: str) -> None:
        super().__init__(f"the storage refused the change by its rule {rule!r}")
        self.rule = rule
