"""Decorators of ports that count calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from uuid import UUID

from prometheus_client import Counter

from smp.adapters.prometheus.definitions import (
    CONFLICTS,
    LOGINS_THROTTLED,
    PASSWORDS_REFUSED,
    PAYMENTS,
    REPLAYS,
)
from smp.adapters.prometheus.metrics import Metrics
from smp.application.errors import Overloaded, PaymentUnavailable, TooManyAttempts, TransactionConflict
from smp.application.idempotency import DuplicateRequest, IdempotencyKey
from smp.application.ports.login_throttle import LoginThrottle
from smp.application.ports.password_hasher import PasswordHasher, Verification
from smp.application.ports.payment_gateway import PaymentGateway
from smp.application.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory
from smp.domain.errors import PaymentDeclined, PaymentRequired, ValidationError
from smp.domain.events import Actor
from smp.domain.money import Money


class InstrumentedUnitOfWorkFactory(UnitOfWorkFactory):
    """Counts transactions that the database cancelled, and repeats of requests that took effect."""

    def __init__(self, units_of_work: UnitOfWorkFactory, metrics: Metrics) -> None:
        self._units_of_work = units_of_work
        self._conflicts = metrics.counter(CONFLICTS)
        self._replays = metrics.counter(REPLAYS)

    @asynccontextmanager
    async def __call__(self, key: IdempotencyKey | None = None) -> AsyncIterator[UnitOfWork]:
        """Open a transaction. Raises as the port does."""
        try:
            async with self._units_of_work(key) as work:
                yield work
        except TransactionConflict:
            self._conflicts.inc()
            raise
        except DuplicateRequest:
            self._replays.inc()
            raise


class InstrumentedLoginThrottle(LoginThrottle):
    """Counts attempts that have to wait."""

    def __init__(self, throttle: LoginThrottle, metrics: Metrics) -> None:
        self._throttle = throttle
        self._throttled = metrics.counter(LOGINS_THROTTLED)

    async def attempt(self, account: str, source: str, now: datetime) -> None:
        """Count an attempt on the account from the source. Raises TooManyAttempts."""
        try:
            await self._throttle.attempt(account, source, now)
        except TooManyAttempts:
            self._throttled.inc()
            raise

    async def succeeded(self, account: str, source: str) -> None:
        """Record that the password was right."""
        await self._throttle.succeeded(account, source)

    async def cancel(self, account: str, source: str) -> None:
        """Withdraw an attempt whose password was not checked."""
        await self._throttle.cancel(account, source)


class InstrumentedPasswordHasher(PasswordHasher):
    """Counts passwords that are refused because the queue is full."""

    def __init__(self, hasher: PasswordHasher, metrics: Metrics) -> None:
        self._hasher = hasher
        self._refused = metrics.counter(PASSWORDS_REFUSED)

    async def hash(self, password: str) -> str:
        """Return a salted hash of the password. Raises Overloaded."""
        with self._counting():
            return await self._hasher.hash(password)

    async def verify(self, password_hash: str | None, password: str) -> Verification:
        """Return whether the password matches the hash. Raises Overloaded."""
        with self._counting():
            return await self._hasher.verify(password_hash, password)

    async def digest(self, secret: str, salt: bytes) -> bytes:
        """Return a slow digest of the secret. Raises Overloaded."""
        with self._counting():
            return await self._hasher.digest(secret, salt)

    @contextmanager
    def _counting(self) -> Iterator[None]:
        try:
            yield
        except Overloaded:
            self._refused.inc()
            raise


class InstrumentedPaymentGateway(PaymentGateway):
    """Counts charges by their outcome."""

    def __init__(self, payments: PaymentGateway, metrics: Metrics) -> None:
        self._payments = payments
        self._charged = metrics.counter(PAYMENTS, "charged")
        self._refusals: Mapping[type[Exception], Counter] = {
            PaymentDeclined: metrics.counter(PAYMENTS, "declined"),
            PaymentRequired: metrics.counter(PAYMENTS, "required"),
            PaymentUnavailable: metrics.counter(PAYMENTS, "unavailable"),
            ValidationError: metrics.counter(PAYMENTS, "invalid"),
        }

    async def charge(self, amount: Money, method: str | None, payer: UUID, actor: Actor, reference: str) -> None:
        """Charge the amount. Raises as the port does."""
        try:
            await self._payments.charge(amount, method, payer, actor, reference)
        except tuple(self._refusals) as refusal:
            self._refusals[type(refusal)].inc()
            raise
        self._charged.inc()
