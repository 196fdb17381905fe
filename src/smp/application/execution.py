"""The execution path of every use case: its handler, and the decorators around it.

From the outside in: a span, authorization, the replay of an idempotent request, retries, and the handler. The container
composes them once (see :mod:`smp.bootstrap.execution`), for HTTP, the command line and the jobs alike.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar, cast

from smp.application.authorization import authorize
from smp.application.caller import Caller
from smp.application.errors import TransactionConflict
from smp.application.idempotency import DuplicateRequest, replay
from smp.application.ports.backoff import Backoff
from smp.application.ports.use_case_tracer import UseCaseTracer

Command_contra = TypeVar("Command_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)
Command = TypeVar("Command")
Result = TypeVar("Result")

ATTEMPTS: Final = 3
"""How many times a use case is run in all, if the database rolls its transaction back because of another one."""


class Handler(Protocol[Command_contra, Result_co]):
    """The code that runs one use case."""

    @abstractmethod
    async def __call__(self, command: Command_contra, caller: Caller, /) -> Result_co:
        """Run the use case for the caller. Raises the errors of the use case."""


@dataclass(frozen=True, slots=True)
class WithSpan(Generic[Command, Result]):
    """A decorator that runs the use case inside a span with its name."""

    handler: Handler[Command, Result]
    name: str
    tracer: UseCaseTracer

    async def __call__(self, command: Command, caller: Caller) -> Result:
        """Run the use case. Raises its errors."""
        with self.tracer.span(self.name):
            return await self.handler(command, caller)


@dataclass(frozen=True, slots=True)
class WithAuthorization(Generic[Command, Result]):
    """A decorator that runs the use case if the table of permissions allows it."""

    handler: Handler[Command, Result]
    use_case: type[Any]
    is_about_user: bool

    async def __call__(self, command: Command, caller: Caller) -> Result:
        """Run the use case. Raises NotAuthenticated, Forbidden, and the errors of the use case."""
        authorize(caller, self.use_case, cast("Any", command).user_id if self.is_about_user else None)
        return await self.handler(command, caller)


@dataclass(frozen=True, slots=True)
class WithObserver(Generic[Command, Result]):
    """A decorator that passes every result, but no error, to an observer, which counts it."""

    handler: Handler[Command, Result]
    observe: Callable[[Result], None]

    async def __call__(self, command: Command, caller: Caller) -> Result:
        """Run the use case. Raises its errors."""
        result = await self.handler(command, caller)
        self.observe(result)
        return result


@dataclass(frozen=True, slots=True)
class WithReplay(Generic[Command, Result]):
    """A decorator that answers a repeated idempotent request with the outcome of the first one."""

    handler: Handler[Command, Result]

    async def __call__(self, command: Command, caller: Caller) -> Result:
        """Run the use case, or return the stored outcome, marked as replayed.

        Raises the errors of the use case, and for a repeated request the stored error.
        """
        try:
            return await self.handler(command, caller)
        except DuplicateRequest as duplicate:
            # Both requests have the same fingerprint, so the outcome has the type of this use case.
            return cast("Result", replay(duplicate.outcome))


@dataclass(frozen=True, slots=True)
class WithRetries(Generic[Command, Result]):
    """A decorator that runs the whole use case again after a conflict of transactions."""

    handler: Handler[Command, Result]
    backoff: Backoff

    async def __call__(self, command: Command, caller: Caller) -> Result:
        """Run the use case. Raises its errors.

        Raises:
            TransactionConflict: if every attempt ended in a conflict.
        """
        for attempt in range(1, ATTEMPTS):
            try:
                return await self.handler(command, caller)
            except TransactionConflict:
                await self.backoff.pause(attempt)
        return await self.handler(command, caller)
