"""Every error of the API in one table, as RFC 9457 problem details.

The rows say for each error which status and which constant title it has, and what a caller can do about it.
Documentation, pages and answers are all made from the rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Final

import msgspec

from smp.adapters.http.rendered import REPLAYED, RenderedResponse
from smp.application import errors as application
from smp.application.idempotency import ReplayedPaymentDeclined
from smp.domain import errors as domain

MEDIA_TYPE: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Problem:
    """One row: a kind of error. ``facts`` are the fields of the exception that callers are shown.

    A fact whose name problem details have for themselves is written as ``name:member``.
    """

    slug: str
    status: int
    title: str
    explanation: str
    remedy: str
    facts: tuple[str, ...] = ()


class FieldError(msgspec.Struct, frozen=True):
    """One bad field: where (RFC 6901) and what is wanted."""

    pointer: str
    detail: str


class RequestRejected(Exception):
    """The transport itself refuses the request; ``slug`` names the row."""

    def __init__(
        self,
        slug: str,
        detail: str,
        *,
        errors: tuple[FieldError, ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.slug = slug
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class ProblemDetails:
    """A problem as it is answered."""

    problem: Problem
    detail: str
    facts: Mapping[str, object] = field(default_factory=dict)
    errors: tuple[FieldError, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def answer(self, request_id: str = "") -> RenderedResponse:
        """The bytes; a 500 carries the request id that the log has, and nothing else of what went wrong."""
        document: dict[str, object] = {
            "type": f"/problems/{self.problem.slug}",
            "title": self.problem.title,
            "status": self.problem.status,
            "detail": self.detail,
            **self.facts,
        }
        if self.errors:
            document["errors"] = self.errors
        if self.problem.status == 500:  # noqa: PLR2004 - the status of that name
            document["request_id"] = request_id
        return RenderedResponse(
            self.problem.status, {"content-type": MEDIA_TYPE, **self.headers}, msgspec.json.encode(document)
        )


_RETRY: Final = "Wait as long as Retry-After says, then send the same request again."

PROBLEMS: Final[tuple[Problem, ...]] = (
    Problem(
        "malformed-request",
        400,
        "The request is malformed",
        "The body is not JSON, or a header cannot be read.",
        "Send what the documentation of the endpoint shows.",
    ),
    Problem(
        "invalid-parameter",
        400,
        "A parameter is invalid",
        "A parameter of the query or the path is unknown, given twice, or not of the form it must have.",
        "Look the endpoint's parameters up; `errors` names each bad one.",
    ),
    Problem(
        "invalid-cursor",
        400,
        "The cursor is invalid",
        "The cursor was not made by this list.",
        "Start again without a cursor and follow next_cursor as it is given.",
    ),
    Problem(
        "not-authenticated",
        401,
        "Not authenticated",
        "There is no session or key, it is over, or the account is disabled.",
        "Sign in with POST /v1/auth/login.",
    ),
    Problem(
        "invalid-credentials",
        401,
        "The credentials are wrong",
        "The email or the password is wrong; for your safety the answer does not say which.",
        "Check both and try again.",
    ),
    Problem(
        "payment-required",
        402,
        "Payment is required",
        "The plan has a price and nobody is set up to take the money here.",
        "Ask the administrator, who can activate it once the money has come.",
    ),
    Problem(
        "payment-declined",
        402,
        "The payment was declined",
        "The payment provider refused the charge. Nothing was charged and nothing changed.",
        "Use another payment method, with a new Idempotency-Key.",
    ),
    Problem(
        "forbidden",
        403,
        "This is not allowed",
        "The caller is known and may not do this.",
        "Sign in as an administrator.",
    ),
    Problem(
        "cross-origin-request",
        403,
        "The request comes from another origin",
        "A page of another origin tried to change something in a visitor's name.",
        "Call from the same origin; another port is another origin.",
    ),
    Problem("not-found", 404, "There is nothing here", "No endpoint has this path.", "Look the path up under /docs."),
    Problem(
        "plan-not-found",
        404,
        "The plan does not exist",
        "No plan has this code or id.",
        "List the plans with GET /v1/plans.",
        ("plan",),
    ),
    Problem(
        "user-not-found",
        404,
        "The user does not exist",
        "No user has this id.",
        "List the users with GET /v1/users.",
        ("user_id",),
    ),
    Problem(
        "subscription-not-found",
        404,
        "The subscription does not exist",
        "No subscription has this id, or it is somebody else's.",
        "List yours with GET /v1/me/subscriptions.",
        ("subscription_id",),
    ),
    Problem(
        "session-not-found",
        404,
        "The session does not exist",
        "You have no session with this id.",
        "List yours with GET /v1/me/sessions.",
        ("session_id",),
    ),
    Problem(
        "no-live-subscription",
        404,
        "There is no live subscription",
        "The user has neither a trial nor an active subscription at this instant.",
        "Start a trial or activate a plan.",
    ),
    Problem(
        "method-not-allowed",
        405,
        "The method is not allowed",
        "The path exists, but not with this method.",
        "Use one of the methods in the Allow header.",
    ),
    Problem(
        "request-timeout",
        408,
        "The request came too slowly",
        "The body did not arrive in time.",
        "Send it again.",
    ),
    Problem(
        "illegal-transition",
        409,
        "The subscription cannot make this move",
        "The state machine has no such move from where the subscription stands, or a date forbids it.",
        "Look at the subscription's status and at docs/lifecycle.md.",
        ("action", "status:current_status"),
    ),
    Problem(
        "live-subscription-exists",
        409,
        "A live subscription exists",
        "A user has at most one live subscription, and this one has it already.",
        "Cancel it, resume it or convert it; or wait for its end.",
    ),
    Problem(
        "trial-already-used",
        409,
        "The trial was already used",
        "A trial is given once, also after a cancel.",
        "Activate the plan instead.",
        ("plan",),
    ),
    Problem(
        "plan-has-no-trial",
        409,
        "The plan has no trial",
        "The plan offers no trial.",
        "Activate the plan instead.",
        ("plan",),
    ),
    Problem(
        "plan-archived",
        409,
        "The plan is archived",
        "The plan takes no new subscriptions; running ones go on.",
        "Choose a plan from GET /v1/plans.",
        ("plan",),
    ),
    Problem(
        "plan-code-taken",
        409,
        "The plan code is taken",
        "Another plan has this code.",
        "Choose another code.",
        ("plan",),
    ),
    Problem(
        "email-taken",
        409,
        "The email is taken",
        "Another account has this email, without regard to case.",
        "Sign in, or register with another.",
    ),
    Problem(
        "last-admin",
        409,
        "This is the last administrator",
        "The change would leave nobody who can run the platform.",
        "Make another administrator first.",
    ),
    Problem(
        "test-clock-moves-forward-only",
        409,
        "The test clock moves forward only",
        "The platform's clock is already later than what was asked.",
        "Ask for a later instant.",
        ("now",),
    ),
    Problem(
        "request-in-progress",
        409,
        "The first request still runs",
        "Another request with this Idempotency-Key is being worked on.",
        _RETRY,
    ),
    Problem(
        "precondition-failed",
        412,
        "It has changed meanwhile",
        "What you saw, by If-Match, is not what is there any more.",
        "Fetch it again, then decide anew.",
    ),
    Problem(
        "content-too-large",
        413,
        "The body is too large",
        "A body may have up to 64 KiB.",
        "Send less.",
    ),
    Problem(
        "unsupported-media-type",
        415,
        "The body must be JSON",
        "The body's Content-Type is not application/json (for PATCH also application/merge-patch+json).",
        "Set the Content-Type header.",
    ),
    Problem(
        "validation-failed",
        422,
        "The request is invalid",
        "The request is well-formed, but some of its values are not allowed.",
        "`errors` names every bad field.",
    ),
    Problem(
        "idempotency-key-reused",
        422,
        "The idempotency key was used before",
        "The key was used by you with another request within the last 24 hours.",
        "Take a new key for a new request.",
    ),
    Problem(
        "too-many-attempts",
        429,
        "Too many attempts",
        "Too many failed logins for this account or from this place. It is never for good.",
        _RETRY,
    ),
    Problem(
        "internal-error",
        500,
        "Something went wrong on our side",
        "The server met an error that it did not expect. Nothing of it is shown; the log has it under request_id.",
        "Tell the operator the request_id.",
    ),
    Problem(
        "service-unavailable",
        503,
        "The service is unavailable",
        "The database does not answer. Nothing was changed.",
        _RETRY,
    ),
    Problem("busy", 503, "The service is busy", "A bounded queue is full. Nothing was changed.", _RETRY),
    Problem(
        "payment-unavailable",
        503,
        "The payment provider is unavailable",
        "The payment provider does not answer. Nothing was charged and nothing changed.",
        _RETRY,
    ),
    Problem(
        "outcome-unknown",
        503,
        "The outcome is unknown",
        "The database was lost at the very moment of committing: it may or may not have happened.",
        "Repeat the request with the same Idempotency-Key, which makes it happen once; without one, look first.",
    ),
    Problem(
        "not-ready",
        503,
        "The service is not ready",
        "Something that the service needs is down; `checks` names it.",
        _RETRY,
        ("checks",),
    ),
)

BY_SLUG: Final[Mapping[str, Problem]] = {problem.slug: problem for problem in PROBLEMS}


def details(error: Exception) -> ProblemDetails | None:
    """The problem that an error of ours is; ``None`` for what nobody expected."""
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
    """What a caller is told of an error that nobody expected."""
    return ProblemDetails(BY_SLUG["internal-error"], "an unexpected error; the operator finds it under request_id")


def page(problem: Problem) -> bytes:
    """The page that explains a problem to a person."""
    title = escape(problem.title)
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{title}</title><h1>{title}</h1>"
        f"<p><code>{escape(problem.slug)}</code>, HTTP status {problem.status}</p>"
        f"<p>{escape(problem.explanation)}</p><h2>What to do</h2><p>{escape(problem.remedy)}</p></html>"
    ).encode()


def problems_markdown() -> str:
    """The list of all problems, as docs/problems.md holds it."""
    rows = (f"| [`{p.slug}`](#{p.slug}) | {p.status} | {p.title} |" for p in PROBLEMS)
    sections = (
        f"## {p.slug}\n\nHTTP {p.status}: {p.title}.\n\n{p.explanation}\n\nWhat to do: {p.remedy}\n" for p in PROBLEMS
    )
    return "\n".join(
        [
            "# Problems",
            "",
            "Every error of the API is `application/problem+json` (RFC 9457).",
            "`type` is `/problems/<slug>`, which a running service explains under that path.",
            "A refused request changed nothing, so a repeat with the same `Idempotency-Key` is decided again.",
            "Only `payment-declined` is stored for the key and given again.",
            "",
            "| slug | status | title |",
            "| --- | --- | --- |",
            *rows,
            "",
            *sections,
        ]
    )
