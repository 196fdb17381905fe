"""From an exception to the problem details that are sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from smp.adapters.http.problems.problem import Problem
from smp.adapters.http.problems.rejection import FieldError, RequestRejected
from smp.adapters.http.problems.table import BY_SLUG
from smp.adapters.http.rendered import REPLAYED, RenderedResponse
from smp.application import errors as application
from smp.application.idempotency import ReplayedPaymentDeclined
from smp.domain import errors as domain

MEDIA_TYPE: Final = "application/problem+json"
ERRORS_MAX: Final = 20
"""The most bad fields that one problem lists, so that a response is not much larger than its request."""


@dataclass(frozen=True, slots=True)
class ProblemDetails:
    """A problem as it is sent."""

    problem: Problem
    detail: str
    facts: Mapping[str, object] = field(default_factory=dict)
    errors: tuple[FieldError, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def answer(self, request_id: str = "", base_path: str = "") -> RenderedResponse:
        """Return the response; one with status 500 has the request id, which leads to the error in the log.

        ``base_path`` is the path below which clients reach the service.
        """
        document: dict[str, object] = {
            "type": f"{base_path}/problems/{self.problem.slug}",
            "title": self.problem.title,
            "status": self.problem.status,
            "detail": self.detail,
            **self.facts,
        }
        if self.errors:
            document["errors"] = self.errors[:ERRORS_MAX]
        if len(self.errors) > ERRORS_MAX:
            document["errors_omitted"] = len(self.errors) - ERRORS_MAX
        if self.problem.status == 500:  # noqa: PLR2004 - the status of that name
            document["request_id"] = request_id
        return RenderedResponse(
            self.problem.status, {"content-type": MEDIA_TYPE, **self.headers}, msgspec.json.encode(document)
        )


def details(error: Exception) -> ProblemDetails | None:
    """Return the problem that an error is; ``None`` for an unexpected error."""
    if isinstance(error, RequestRejected):
        return ProblemDetails(BY_SLUG[error.slug], error.detail, {}, error.errors, error.headers)
    if isinstance(error, domain.ValidationError):
        errors = tuple(FieldError(refusal.pointer, refusal.detail) for refusal in (error, *error.others))
        return ProblemDetails(BY_SLUG[error.code], "some values are not allowed", {}, errors)
    if isinstance(error, domain.StorageIntegrityError):
        return None
    if isinstance(error, (domain.DomainError, application.ApplicationError)):
        problem = BY_SLUG[error.code]
        facts = dict(_fact(error, fact) for fact in problem.facts)
        retry_after_s: int | None = getattr(error, "retry_after_s", None)
        headers = {} if retry_after_s is None else {"retry-after": str(retry_after_s)}
        if isinstance(error, ReplayedPaymentDeclined):
            headers |= REPLAYED
        if isinstance(error, application.NotAuthenticated):
            headers["www-authenticate"] = 'Bearer realm="smp"'
        return ProblemDetails(problem, str(error), facts, (), headers)
    return None


def _fact(error: Exception, fact: str) -> tuple[str, object]:
    name, _, member = fact.partition(":")
    return member or name, getattr(error, name)


def unexpected() -> ProblemDetails:
    """Return the problem that stands for every unexpected error."""
    return ProblemDetails(BY_SLUG["internal-error"], "an unexpected error; the log has it under request_id")
