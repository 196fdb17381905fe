"""All errors of the domain. They do not depend on HTTP or the command line.

Each error at the end of a branch has a stable ``code``, which is the slug of its problem, and its facts as attributes:

    DomainError
    ├── ValidationError              a value that is not allowed
    ├── NotFound
    │   ├── PlanNotFound
    │   ├── UserNotFound
    │   ├── SubscriptionNotFound
    │   ├── SessionNotFound
    │   └── NoLiveSubscription
    ├── Conflict                     the request is valid, but the present state does not allow it
    │   ├── IllegalTransition
    │   ├── LiveSubscriptionExists
    │   ├── TrialAlreadyUsed
    │   ├── PlanHasNoTrial
    │   ├── PlanArchived
    │   ├── PlanCodeTaken
    │   ├── EmailTaken
    │   ├── LastAdmin
    │   └── ClockCannotGoBack
    ├── StaleVersion                 another change was made first
    ├── PaymentRefused
    │   ├── PaymentRequired
    │   └── PaymentDeclined
    └── StorageIntegrityError        a constraint of the storage failed: a defect or a damaged row
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import ClassVar
from uuid import UUID


class DomainError(Exception):
    """The root of the domain's errors. The request was refused, and nothing was changed."""

    code: ClassVar[str]


class ValidationError(DomainError):
    """A value that is not allowed.

    ``pointer`` is the RFC 6901 JSON pointer to the value. ``detail`` says what is allowed, and reads on from the name
    of the value: "must be …". ``others`` are the other bad values of the same request, so that callers get all of them
    at once.
    """

    code = "validation-failed"

    def __init__(self, pointer: str, detail: str, others: tuple[ValidationError, ...] = ()) -> None:
        super().__init__(f"{pointer or 'the value'}: {detail}")
        self.pointer = pointer
        self.detail = detail
        self.others = others

    def at(self, pointer: str) -> ValidationError:
        """Return the error for the document that contains the value at ``pointer``."""
        return ValidationError(pointer + self.pointer, self.detail, tuple(other.at(pointer) for other in self.others))


def collect_errors(*checks: Callable[[], object]) -> None:
    """Run every check, even after one has failed.

    Raises:
        ValidationError: the first error; its ``others`` are the rest, in the order of the checks.
    """
    errors: list[ValidationError] = []
    for check in checks:
        try:
            check()
        except ValidationError as error:
            errors += (ValidationError(error.pointer, error.detail), *error.others)
    if errors:
        first, *others = errors
        raise ValidationError(first.pointer, first.detail, tuple(others))


class NotFound(DomainError):
    """A resource that does not exist, or that this caller may not see."""


class PlanNotFound(NotFound):
    """A plan code or id that no plan has."""

    code = "plan-not-found"

    def __init__(self, plan: str) -> None:
        super().__init__(f"there is no plan {plan!r}")
        self.plan = plan


class UserNotFound(NotFound):
    """A user id that no user has."""

    code = "user-not-found"

    def __init__(self, user_id: str | UUID) -> None:
        super().__init__(f"there is no user {str(user_id)!r}")
        self.user_id = str(user_id)


class SubscriptionNotFound(NotFound):
    """A subscription id that no subscription has, or whose subscription belongs to another user."""

    code = "subscription-not-found"

    def __init__(self, subscription_id: str | UUID) -> None:
        super().__init__(f"there is no subscription {str(subscription_id)!r}")
        self.subscription_id = str(subscription_id)


class SessionNotFound(NotFound):
    """A session id that none of the caller's sessions has."""

    code = "session-not-found"

    def __init__(self, session_id: str | UUID) -> None:
        super().__init__(f"there is no session {str(session_id)!r}")
        self.session_id = str(session_id)


class NoLiveSubscription(NotFound):
    """A request for the live subscription of a user who has none now."""

    code = "no-live-subscription"

    def __init__(self, user_id: UUID) -> None:
        super().__init__("the user has no live subscription now; start a trial or activate a plan first")
        self.user_id = user_id


class Conflict(DomainError):
    """A valid request that the present state does not allow."""


class IllegalTransition(Conflict):
    """An action that the lifecycle does not allow from the present status, or that a date forbids."""

    code = "illegal-transition"

    def __init__(self, action: str, status: str, reason: str = "") -> None:
        suffix = f": {reason}" if reason else ""
        super().__init__(f"{action.replace('_', ' ')} is not possible from {status}{suffix}")
        self.action = action
        self.status = status
        self.reason = reason


class LiveSubscriptionExists(Conflict):
    """A request for a second live subscription of one user."""

    code = "live-subscription-exists"

    def __init__(self, user_id: UUID) -> None:
        super().__init__("the user already has a live subscription, and only one is allowed; cancel it first")
        self.user_id = user_id


class TrialAlreadyUsed(Conflict):
    """A request for a trial that the user has already used, even if it was cancelled early."""

    code = "trial-already-used"

    def __init__(self, user_id: UUID, plan: str) -> None:
        super().__init__(f"the user has already used the trial, so plan {plan!r} cannot be tried; activate it instead")
        self.user_id = user_id
        self.plan = plan


class PlanHasNoTrial(Conflict):
    """A request for a trial of a plan that offers none."""

    code = "plan-has-no-trial"

    def __init__(self, plan: str) -> None:
        super().__init__(f"plan {plan!r} offers no trial; activate it instead")
        self.plan = plan


class PlanArchived(Conflict):
    """A request for a new subscription to an archived plan."""

    code = "plan-archived"

    def __init__(self, plan: str) -> None:
        super().__init__(f"plan {plan!r} is archived and takes no new subscriptions; choose another plan")
        self.plan = plan


class PlanCodeTaken(Conflict):
    """A plan code that another plan has."""

    code = "plan-code-taken"

    def __init__(self, plan: str) -> None:
        super().__init__(f"another plan has the code {plan!r}; choose another code")
        self.plan = plan


class EmailTaken(Conflict):
    """An email that another user has, in any combination of upper and lower case."""

    code = "email-taken"

    def __init__(self) -> None:
        super().__init__("another account has this email")


class LastAdmin(Conflict):
    """A change that would leave the platform without an enabled administrator."""

    code = "last-admin"

    def __init__(self) -> None:
        super().__init__("this is the last enabled administrator; make another user an administrator first")


class ClockCannotGoBack(Conflict):
    """A request to set the test clock back."""

    code = "test-clock-moves-forward-only"

    def __init__(self, now: datetime, asked: datetime) -> None:
        super().__init__(f"the clock cannot go back: it is at {now.isoformat()} already; choose a later time")
        self.now = now
        self.asked = asked


class StaleVersion(DomainError):
    """A change to an older version than the present one: another change was made first."""

    code = "precondition-failed"

    def __init__(self) -> None:
        super().__init__("it was changed after the version that you sent; read it again, then repeat the change")


class PaymentRefused(DomainError):
    """A request that needs a payment and got none. Nothing was changed."""


class PaymentRequired(PaymentRefused):
    """A request for a plan with a price, by a user, while no payment provider is configured.

    An administrator can make the same request, after the payment has arrived by other means.
    """

    code = "payment-required"

    def __init__(self) -> None:
        super().__init__("the plan has a price, and no payment provider is configured; ask an administrator")


class PaymentDeclined(PaymentRefused):
    """A charge that the payment provider declined."""

    code = "payment-declined"

    def __init__(self) -> None:
        super().__init__("the payment was declined: nothing was charged or changed; try another means of payment")


class StorageIntegrityError(DomainError):
    """A change that a constraint of the storage refused through no fault of the caller: a defect or a damaged row."""

    code = "internal-error"

    def __init__(self, rule: str) -> None:
        super().__init__(f"the storage refused the change because of its constraint {rule!r}")
        self.rule = rule
