"""One execution path for every use case, whichever driver asks: the handler, and the decorators around it.

From the outside in: a span, authorization, the replay of an idempotent request, retries, and the handler. The container
composes them once (see :mod:`smp.bootstrap.execution`); HTTP, the command line and the jobs are given the result.
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
"""How often a use case is run while the database gives its transaction up in favour of another."""


class Handler(Protocol[Command_contra, Result_co]):
    """Runs one use case."""

    @abstractmethod
    async def __call__(self, command: Command_contra, caller: Caller, /) -> Result_co:
        """Run it for the caller. Raises what the use case refuses."""


@dataclass(frozen=True, slots=True)
class WithSpan(Generic[Command, Result]):
    """Runs the use case inside a span of its name."""

    handler: Handler[Command, Result]
    name: str
    tracer: UseCaseTracer

    async def __call__(self, command: Command, caller: Caller) -> Result:
        """The result. Raises as the use case."""
        with self.tracer.span(self.name):
            return await self.handler(command, caller)


@dataclass(frozen=True, slots=True)
class WithAuthorization(Generic[Command, Result]):
    """Runs the use case where the caller may, by the table of permissions."""

    handler: Handler[Command, Result]
    use_case: type[Any]
    is_about_user: bool

    async def __call__(self, command: Command, caller: Caller) -> Result:
        """The result. Raises NotAuthenticated, Forbidden, and as the use case."""
        authorize(caller, self.use_case, cast("Any", command).user_id if self.is_about_user else None)
        return await self.handler(command, caller)


@dataclass(frozen=True, slots=True)
class WithObserver(Generic[Command, Result]):
    """Passes every result to an observer, which counts it; an error is no result."""

    handler: Handler[Command, Result]
    observe: Callable[[Result], None]

    async def __call__(self, command: Command, caller: Caller) -> Result:
        """The result. Raises as the use case."""
        result = await self.handler(command, caller)
        self.observe(result)
        return result


@dataclass(frozen=True, slots=True)
class WithReplay(Generic[Command, Result]):
    """Answers a repeat of an idempotent request with the outcome of the first."""

    handler: Handler[Command, Result]

    async def __call__(self, command: Command, caller: Caller) -> Result:
        """The result, or the stored one marked as replayed. Raises as the use case, and as it did for the first."""
        try:
            return await self.handler(command, caller)
        except DuplicateRequest as duplicate:
            # The fingerprint of the request is that of the first, so the outcome is of this use case.
            return cast("Result", replay(duplicate.outcome))


@dataclass(frozen=True, slots=True)
class WithRetries(Generic[Command, Result]):
    """Runs the use case again, whole, where the database gave its transaction up."""

    handler: Handler[Command, Result]
    backoff: Backoff

    async def __call__(self, command: Command, caller: Caller) -> Result:
        """The result.

        Raises:
            TransactionConflict: where every attempt ended in a conflict; otherwise as the use case.
        """
        for attempt in range(1, ATTEMPTS):
            try:
                return await self.handler(command, caller)
            except TransactionConflict:
                await self.backoff.pause(attempt)
        return await self.handler(command, caller)
