"""Every metric that the service has, as data: what is counted, what the documentation says, what alerts may ask for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from smp.domain.access import Reason
from smp.domain.subscription.lifecycle import Status

_NO_LABELS: Final[Mapping[str, Sequence[str]]] = MappingProxyType({})


class Kind(StrEnum):
    """What Prometheus calls it."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Workers(StrEnum):
    """How the figures of several workers become one; counters and histograms are always added up."""

    ADDED = "livesum"
    LEAST = "livemin"
    NEWEST = "livemostrecent"
    GREATEST_EVER = "max"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric under the name that queries use.

    ``labels`` has for each label all the values that it can have, and none where the routes make them. None is ever
    made by a caller: no user, no address, no plan.
    """

    name: str
    kind: Kind
    help: str
    labels: Mapping[str, Sequence[str]] = field(default_factory=lambda: _NO_LABELS)
    workers: Workers = Workers.ADDED
    buckets_s: Sequence[float] = ()


_LATENCIES_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_RUNS_S: Final = (0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0)
_WAITS_S: Final = (0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.9, 2.0)

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other")
UNMATCHED: Final = "unmatched"
"""The route of requests that no route is for."""

REQUESTS: Final = Family(
    "smp_http_requests_total",
    Kind.COUNTER,
    "Requests answered. The route is its template; `unmatched` is every path that there is no route for.",
    {"method": METHODS, "route": (), "status": ()},
)
REQUEST_TIME: Final = Family(
    "smp_http_request_duration_seconds",
    Kind.HISTOGRAM,
    "Time from a request to its answer.",
    {"method": METHODS, "route": ()},
    buckets_s=_LATENCIES_S,
)
ACCESS_DECISIONS: Final = Family(
    "smp_access_decisions_total",
    Kind.COUNTER,
    "Answers to the question whether a user may use a feature.",
    {"reason": tuple(Reason)},
)
POOL_SIZE: Final = Family(
    "smp_database_pool_size", Kind.GAUGE, "Connections to the primary that may be open (`SMP_DATABASE_POOL_SIZE`)."
)
POOL_CONNECTIONS: Final = Family(
    "smp_database_pool_connections",
    Kind.GAUGE,
    "Connections to the primary that are open.",
    {"state": ("in_use", "idle")},
)
POOL_WAITING: Final = Family("smp_database_pool_waiting", Kind.GAUGE, "Tasks that wait for a connection.")
POOL_WAIT: Final = Family(
    "smp_database_pool_wait_seconds",
    Kind.HISTOGRAM,
    "Time from asking for a connection to having it, opened or used again.",
    buckets_s=_WAITS_S,
)
POOL_TIMEOUTS: Final = Family(
    "smp_database_pool_timeouts_total", Kind.COUNTER, "Times that no connection came free in time: 503 for the caller."
)
DATABASE_ERRORS: Final = Family(
    "smp_database_errors_total",
    Kind.COUNTER,
    "What PostgreSQL or the way there refused, by class of SQLSTATE. `constraint` and `conflict` are the everyday"
    " outcome of races: the database is the guarantee.",
    {
        "kind": (
            "conflict",
            "connection",
            "constraint",
            "data",
            "other",
            "permission",
            "resources",
            "server",
            "statement",
            "timeout",
        )
    },
)
REPLICA_READS: Final = Family(
    "smp_replica_reads_total",
    Kind.COUNTER,
    "Reads for lists and statistics, where there is a replica (`SMP_DATABASE_REPLICA_URL`): `replica` it answered; for"
    " the others the primary was read, because the replica was away, too far behind, or gave the statement up.",
    {"outcome": ("replica", "away", "behind", "conflict")},
)
REPLICA_LAG: Final = Family(
    "smp_replica_lag_seconds",
    Kind.GAUGE,
    "How old the replica's data are at most; `NaN` where that is not known, or there is none.",
    workers=Workers.NEWEST,
)
CONFLICTS: Final = Family(
    "smp_transaction_conflicts_total",
    Kind.COUNTER,
    "Transactions that the database gave up in favour of another and that are retried: a request's up to twice, the"
    " sweep's subscription by subscription.",
)
REPLAYS: Final = Family(
    "smp_idempotent_replays_total", Kind.COUNTER, "Requests that were answered with what their key was answered before."
)
LOGINS_THROTTLED: Final = Family(
    "smp_logins_throttled_total", Kind.COUNTER, "Sign-ins that were turned away after too many failures: 429."
)
PASSWORDS: Final = Family(
    "smp_password_hashes",
    Kind.GAUGE,
    "Passwords that Argon2 works on, and those that wait for their turn.",
    {"state": ("running", "waiting")},
)
PASSWORDS_REFUSED: Final = Family(
    "smp_password_hashes_refused_total", Kind.COUNTER, "Passwords that had no place in the queue: 503 for the caller."
)
PAYMENTS: Final = Family(
    "smp_payments_total",
    Kind.COUNTER,
    "Charges asked of the payment gateway. `required`: there is no payment provider; `unavailable`: no answer;"
    " `invalid`: no such payment method.",
    {"outcome": ("charged", "declined", "required", "unavailable", "invalid")},
)
JOB_RUNS: Final = Family(
    "smp_job_runs_total",
    Kind.COUNTER,
    "Runs of the jobs inside `smp serve`: `expire` (`SMP_SWEEP_INTERVAL_S`) and `purge` (`SMP_PURGE_INTERVAL_S`)."
    " The commands of the same names are not counted.",
    {"job_name": (), "outcome": ("succeeded", "failed")},
)
JOB_TIME: Final = Family(
    "smp_job_duration_seconds", Kind.HISTOGRAM, "Time of one run.", {"job_name": ()}, buckets_s=_RUNS_S
)
JOB_ITEMS: Final = Family(
    "smp_job_items_total",
    Kind.COUNTER,
    "Things that those runs handled. `expire`: subscriptions `expired` or `cancelled`, and `failed` ones that could not"
    " be ended. `purge`: deleted rows by kind, `idempotency_keys`, `sessions` and `login_attempts`.",
    {"job_name": (), "kind": ()},
)
JOB_SUCCEEDED_AT: Final = Family(
    "smp_job_last_success_timestamp_seconds",
    Kind.GAUGE,
    "When the last of those runs succeeded, in Unix time; 0 for never.",
    {"job_name": ()},
    workers=Workers.GREATEST_EVER,
)
SWEEP_LAG: Final = Family(
    "smp_sweep_lag_seconds",
    Kind.GAUGE,
    "How long the oldest subscription that the expiry job has not ended yet has been over; 0 for none. It is read from"
    " the database, so it covers all processes. No answer depends on it, but events are as late.",
    workers=Workers.NEWEST,
)
OVERDUE: Final = Family(
    "smp_subscriptions_overdue",
    Kind.GAUGE,
    "Subscriptions that are over and not yet written so; counted to 10,000.",
    workers=Workers.NEWEST,
)
SUBSCRIPTIONS: Final = Family(
    "smp_subscriptions",
    Kind.GAUGE,
    "Subscriptions by their status at this instant (as long as fewer than 10,000 are overdue).",
    {"status": tuple(Status)},
    workers=Workers.NEWEST,
)
READY: Final = Family(
    "smp_ready",
    Kind.GAUGE,
    "1 where what the service needs is up, as `/health/ready` says.",
    {"check": ("database", "migrations")},
    workers=Workers.LEAST,
)
BUILD: Final = Family(
    "smp_build_info",
    Kind.GAUGE,
    "1, with what runs.",
    {"version": (), "python": ()},
    workers=Workers.GREATEST_EVER,
)

FAMILIES: Final = (
    REQUESTS,
    REQUEST_TIME,
    ACCESS_DECISIONS,
    POOL_SIZE,
    POOL_CONNECTIONS,
    POOL_WAITING,
    POOL_WAIT,
    POOL_TIMEOUTS,
    DATABASE_ERRORS,
    REPLICA_READS,
    REPLICA_LAG,
    CONFLICTS,
    REPLAYS,
    LOGINS_THROTTLED,
    PASSWORDS,
    PASSWORDS_REFUSED,
    PAYMENTS,
    JOB_RUNS,
    JOB_TIME,
    JOB_ITEMS,
    JOB_SUCCEEDED_AT,
    SWEEP_LAG,
    OVERDUE,
    SUBSCRIPTIONS,
    READY,
    BUILD,
)
"""All metrics of SMP, in the order of the documentation."""

PROCESS_FAMILIES: Final = (
    Family("process_cpu_seconds_total", Kind.COUNTER, "Processor time, of all workers."),
    Family("process_resident_memory_bytes", Kind.GAUGE, "Memory, of all workers."),
    Family("process_virtual_memory_bytes", Kind.GAUGE, "Addresses taken, by all workers."),
    Family("process_open_fds", Kind.GAUGE, "Open file descriptors, of all workers."),
    Family("process_max_fds", Kind.GAUGE, "File descriptors that one worker may have."),
    Family("process_start_time_seconds", Kind.GAUGE, "When the oldest worker started, in Unix time."),
)
"""The metrics of processes that the client library has on Linux."""


def metrics_markdown() -> str:
    """The list of all metrics, as docs/metrics.md holds it."""
    return "\n".join(
        [
            "# Metrics",
            "",
            "The metrics at `/metrics`, for all workers of one `smp serve` together. How to read them, alerts,",
            "dashboard and traces: [observability](observability.md). No label has a value that a caller made: there",
            "is no series for a user, an address or a plan. A histogram has the series `…_bucket` (with `le`),",
            "`…_sum` and `…_count`.",
            "",
            "| metric | type | labels | meaning |",
            "| --- | --- | --- | --- |",
            *_rows(FAMILIES),
            "",
            "On Linux also, of the worker processes:",
            "",
            "| metric | type | labels | meaning |",
            "| --- | --- | --- | --- |",
            *_rows(PROCESS_FAMILIES),
            "",
        ]
    )


def _rows(families: Iterable[Family]) -> Iterable[str]:
    for family in families:
        labels = "; ".join(
            f"`{label}`" + (f": {', '.join(f'`{value}`' for value in values)}" if values else "")
            for label, values in family.labels.items()
        )
        yield f"| `{family.name}` | {family.kind} | {labels or 'none'} | {family.help} |"
