"""The composition of the execution path: the same decorators around every use case, for every driver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, get_type_hints

from smp.application.authorization import PERMISSIONS, Audience
from smp.application.execution import Handler, WithAuthorization, WithObserver, WithReplay, WithRetries, WithSpan
from smp.application.ports.backoff import Backoff
from smp.application.ports.use_case_tracer import UseCaseTracer

Command = TypeVar("Command")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class ResultObservers:
    """Observers of results, by the class of the command or query."""

    by_use_case: Mapping[type[Any], Callable[[Any], None]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UseCaseTracing:
    """The tracer of use cases, where this process traces."""

    tracer: UseCaseTracer | None = None


@dataclass(frozen=True, slots=True)
class ExecutionPath:
    """Puts the decorators around handlers."""

    backoff: Backoff
    observers: ResultObservers
    tracing: UseCaseTracing

    def around(self, handler: Handler[Command, Result]) -> Handler[Command, Result]:
        """The handler as drivers are given it."""
        use_case, _ = use_case_of(type(handler))
        path = handler if _reads_only(type(handler)) else WithRetries(handler, self.backoff)
        if any(each.name == "idempotency" for each in fields(use_case)):
            path = WithReplay(path)
        observe = self.observers.by_use_case.get(use_case)
        if observe is not None:
            path = WithObserver(path, observe)
        path = WithAuthorization(path, use_case, PERMISSIONS[use_case].audience is Audience.OWNER)
        if self.tracing.tracer is not None:
            path = WithSpan(path, use_case.__name__, self.tracing.tracer)
        return path


def use_case_of(handler: type[Any]) -> tuple[type[Any], Any]:
    """The class of the command or query that the handler takes, and the type of its result."""
    hints = get_type_hints(handler.__call__)
    result = hints.pop("return")
    del hints["caller"]
    (use_case,) = hints.values()
    return use_case, result


def _reads_only(handler: type[Any]) -> bool:
    """Whether the handler takes a query: it has no transaction that could be given up."""
    return "query" in get_type_hints(handler.__call__)


def interface_of(handler: type[Any]) -> Any:  # noqa: ANN401 - a type that is made at run time
    """``Handler[command, result]``, by which the container provides the handler."""
    use_case, result = use_case_of(handler)
    generic: Any = Handler
    return generic[use_case, result]
