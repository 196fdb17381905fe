"""The errors of use cases that are not rules of the domain: authentication, limits and availability.

ApplicationError
├── NotAuthenticated
├── InvalidCredentials
├── Forbidden
├── RegistrationClosed
├── IdempotencyKeyReused
├── RequestInProgress
└── Unavailable                  try again after ``retry_after_s`` seconds
    ├── TooManyAttempts
    │   └── TooManyRegistrations
    ├── Overloaded
    ├── PaymentUnavailable
    ├── ClocksDiffer
    ├── StorageUnavailable
    │   ├── StorageBusy          other requests have all connections
    │   └── TransactionConflict  the whole use case may be run again at once
    └── OutcomeUnknown
"""

from __future__ import annotations

from typing import ClassVar


class ApplicationError(Exception):
    """The root of the application's errors."""

    code: ClassVar[str]


class NotAuthenticated(ApplicationError):
    """A request without a valid session or API key: there is none, it has ended, or the user is disabled."""

    code = "not-authenticated"

    def __init__(self) -> None:
        super().__init__("the request has no valid session or API key; sign in, or send an API key")


class InvalidCredentials(ApplicationError):
    """A sign-in with an unknown email, a wrong password, or of a disabled user: one error for all of them."""

    code = "invalid-credentials"

    def __init__(self) -> None:
        super().__init__("the email or the password is wrong")


class Forbidden(ApplicationError):
    """A request that this caller has no permission for."""

    code = "forbidden"

    def __init__(self) -> None:
        super().__init__("the caller has no permission for this; ask an administrator")


class RegistrationClosed(ApplicationError):
    """A registration where only administrators create accounts."""

    code = "registration-closed"

    def __init__(self) -> None:
        super().__init__("registration is closed (SMP_REGISTRATION); ask an administrator for an account")


class IdempotencyKeyReused(ApplicationError):
    """An idempotency key that the caller has used for a different request."""

    code = "idempotency-key-reused"

    def __init__(self) -> None:
        super().__init__("this Idempotency-Key was used for a different request; choose a new key")


class RequestInProgress(ApplicationError):
    """An idempotency key whose first request is still running."""

    code = "request-in-progress"
    retry_after_s = 1

    def __init__(self) -> None:
        super().__init__("the first request with this Idempotency-Key is still running; repeat it in a second")


class Unavailable(ApplicationError):
    """A request that cannot be answered now, but may be after ``retry_after_s`` seconds."""

    code = "service-unavailable"

    def __init__(self, detail: str, retry_after_s: int = 1) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class TooManyAttempts(Unavailable):
    """Too many failed sign-ins to the account, or from the source."""

    code = "too-many-attempts"

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"too many failed attempts to sign in; try again in {retry_after_s} s", retry_after_s)


class TooManyRegistrations(TooManyAttempts):
    """Too many registrations from the source."""

    code = "too-many-registrations"

    def __init__(self, retry_after_s: int) -> None:
        Unavailable.__init__(
            self, f"too many registrations from this network; try again in {retry_after_s} s", retry_after_s
        )


class Overloaded(Unavailable):
    """A queue of bounded length that is full."""

    code = "busy"


class PaymentUnavailable(Unavailable):
    """A payment provider that does not answer. Nothing was charged or changed."""

    code = "payment-unavailable"

    def __init__(self) -> None:
        super().__init__("the payment provider does not answer, so nothing was charged or changed; try again later", 5)


class ClocksDiffer(Unavailable):
    """A machine whose clock differs too much from the database's: one of them is wrong. Nothing was changed."""

    code = "clocks-differ"

    def __init__(self, ahead_s: float, max_s: float) -> None:
        side = "ahead of" if ahead_s > 0 else "behind"
        super().__init__(
            f"the clock of this machine is {abs(ahead_s):.1f} s {side} the database's, and SMP_CLOCK_SKEW_MAX_S allows"
            f" {max_s:g} s, so nothing was changed; correct the wrong clock (run NTP on both machines)",
            60,
        )


class StorageUnavailable(Unavailable):
    """A database that does not answer. Nothing was changed."""

    def __init__(self, detail: str = "the database does not answer, so nothing was changed; try again later") -> None:
        super().__init__(detail, 2)


class StorageBusy(StorageUnavailable):
    """A database whose connections are all in use by other requests. Nothing was changed."""

    code = "database-busy"

    def __init__(self) -> None:
        super().__init__("too many other requests use the database, so nothing was changed; try again later")


class TransactionConflict(StorageUnavailable):
    """A transaction that the database rolled back because of another one. Run the use case again."""

    code = "transaction-conflict"

    def __init__(self) -> None:
        super().__init__("other requests change the same data, so nothing was changed; try again")


class OutcomeUnknown(Unavailable):
    """A request that may have taken effect: the connection broke during the commit, or the outcome is unreadable."""

    code = "outcome-unknown"

    def __init__(
        self,
        detail: str = (
            "the connection to the database broke during the commit, so the change may have been made or not; "
            "repeat the request with the same Idempotency-Key, or check the state first"
        ),
    ) -> None:
        super().__init__(detail, 2)
