"""The rows of the table of problems whose cause is not the request: status 500 and above."""

from __future__ import annotations

from typing import Final

from smp.adapters.http.problems.problem import RETRY, Problem

SERVER_PROBLEMS: Final[tuple[Problem, ...]] = (
    Problem(
        "internal-error",
        500,
        "Something went wrong on our side",
        "The server failed in an unexpected way. The details are in its log, under request_id.",
        "Send the request_id to the operator.",
    ),
    Problem(
        "service-unavailable",
        503,
        "The service is unavailable",
        "The database does not answer. Nothing was changed.",
        RETRY,
    ),
    Problem(
        "database-busy",
        503,
        "The database is busy",
        "Other requests use all connections of this process to the database. Nothing was changed.",
        RETRY,
    ),
    Problem(
        "transaction-conflict",
        503,
        "Other requests change the same data",
        "The request waited for a lock for too long, or the database ended it in favour of another request, three times"
        " in a row. The database is available. Nothing was changed.",
        RETRY,
    ),
    Problem("busy", 503, "The service is busy", "Too many requests are waiting. Nothing was changed.", RETRY),
    Problem(
        "payment-unavailable",
        503,
        "The payment provider is unavailable",
        "The payment provider does not answer. Nothing was charged and nothing changed.",
        RETRY,
    ),
    Problem(
        "outcome-unknown",
        503,
        "The outcome is unknown",
        "The connection to the database was lost during the commit: the change may or may not have happened. Or the"
        " first request with this Idempotency-Key took effect under another version of the service, whose outcome this"
        " version cannot read; `detail` says so.",
        "Repeat the request with the same Idempotency-Key, so that it takes effect once. Without a key, or if another"
        " version stored the outcome, read the current state first.",
    ),
    Problem(
        "clocks-differ",
        503,
        "The clocks differ",
        "The clock of the service's machine and the database's differ too much, so one of them is wrong. Nothing was"
        " changed.",
        "Ask the operator to correct the clock, then repeat the request.",
    ),
    Problem(
        "not-ready",
        503,
        "The service is not ready",
        "Something that the service needs is not available; `checks` names it.",
        RETRY,
        ("checks",),
    ),
)
