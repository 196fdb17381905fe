"""Refusals that are not the domain's: who is calling, how often, and whether the platform can answer at all.

ApplicationError
├── NotAuthenticated
├── InvalidCredentials
├── Forbidden
├── IdempotencyKeyReused
├── RequestInProgress
└── Unavailable                  try again later; ``retry_after_s`` says when
    ├── TooManyAttempts
    ├── Busy
    ├── PaymentUnavailable
    ├── StorageUnavailable
    │   └── TransactionConflict  the whole use case may be run again at once
    └── OutcomeUnknown
"""

from __future__ import annotations

from typing import ClassVar


class ApplicationError(Exception):
    """The root."""

    code: ClassVar[str]


class NotAuthenticated(ApplicationError):
    """The caller is not known: no session or key, or one that is over, or a disabled user."""

    code = "not-authenticated"

    def __init__(self) -> None:
        super().__init__("sign in first")


class InvalidCredentials(ApplicationError):
    """Unknown email, wrong password or disabled user: one answer for all."""

    code = "invalid-credentials"

    def __init__(self) -> None:
        super().__init__("the email or the password is wrong")


class Forbidden(ApplicationError):
    """The caller is known and may not do this."""

    code = "forbidden"

    def __init__(self) -> None:
        super().__init__("this is for administrators")


class IdempotencyKeyReused(ApplicationError):
    """The key was used by this caller with another request."""

    code = "idempotency-key-reused"

    def __init__(self) -> None:
        super().__init__("this Idempotency-Key was used with another request; take a new key")


class RequestInProgress(ApplicationError):
    """The first request with this key still runs."""

    code = "request-in-progress"
    retry_after_s = 1

    def __init__(self) -> None:
        super().__init__("the first request with this Idempotency-Key still runs")


class Unavailable(ApplicationError):
    """Cannot be answered now; trying again after ``retry_after_s`` seconds makes sense."""

    code = "service-unavailable"

    def __init__(self, detail: str, retry_after_s: int = 1) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class TooManyAttempts(Unavailable):
    """Too many failed logins for the account or from the source."""

    code = "too-many-attempts"

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("too many failed attempts; wait before the next one", retry_after_s)


class Overloaded(Unavailable):
    """A bounded queue is full."""

    code = "busy"


class PaymentUnavailable(Unavailable):
    """The payment provider does not answer; nothing was charged and nothing changed."""

    code = "payment-unavailable"

    def __init__(self) -> None:
        super().__init__("the payment provider does not answer; nothing was charged and nothing changed", 5)


class StorageUnavailable(Unavailable):
    """The database does not answer; nothing changed."""

    def __init__(self) -> None:
        super().__init__("the database does not answer; nothing was changed", 2)


class TransactionConflict(StorageUnavailable):
    """The database gave the transaction up in favour of another; nothing changed, run the use case again."""


class OutcomeUnknown(Unavailable):
    """The request may have taken effect: the connection broke during the commit, or its outcome cannot be read."""

    code = "outcome-unknown"

    def __init__(
        self,
        detail: str = (
            "the database was lost while committing, so the outcome is unknown; "
            "repeat the request with the same Idempotency-Key, or look before you repeat"
        ),
    ) -> None:
        super().__init__(detail, 2)
