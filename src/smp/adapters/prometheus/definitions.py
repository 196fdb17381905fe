"""The definition of every metric, from which the metrics and their documentation are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from smp.domain.access import Reason
from smp.domain.subscription.lifecycle import Status

_NO_LABELS: Final[Mapping[str, Sequence[str]]] = MappingProxyType({})


class Kind(StrEnum):
    """A type of metric, by its name in Prometheus."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Workers(StrEnum):
    """How the gauges of several workers are combined; counters and histograms are always added up."""

    ADDED = "livesum"
    LEAST = "livemin"
    NEWEST = "livemostrecent"
    GREATEST_EVER = "max"


@dataclass(frozen=True, slots=True)
class Family:
    """A metric, with the name that queries use.

    ``labels`` has all values of each label, or none if they come from the routes. No value comes from a caller: there
    is no label for a user, an address or a plan.
    """

    name: str
    kind: Kind
    help: str
    labels: Mapping[str, Sequence[str]] = field(default_factory=lambda: _NO_LABELS)
    workers: Workers = Workers.ADDED
    buckets_s: Sequence[float] = ()


_LATENCIES_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_RUNS_S: Final = (0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0)
_WAITS_S: Final = (0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.9, 2.0)

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other")

REQUESTS: Final = Family(
    "smp_http_requests_total",
    Kind.COUNTER,
    "Requests answered. The route is a template such as `/v1/plans/{plan}`; `unmatched` is every path without a route.",
    {"method": METHODS, "route": (), "status": ()},
)
REQUEST_TIME: Final = Family(
    "smp_http_request_duration_seconds",
    Kind.HISTOGRAM,
    "Time from a request to its answer.",
    {"method": METHODS, "route": ()},
    buckets_s=_LATENCIES_S,
)
IN_FLIGHT: Final = Family(
    "smp_http_requests_in_flight", Kind.GAUGE, "Requests that have begun and are not answered yet."
)
LOOP_LAG: Final = Family(
    "smp_event_loop_lag_seconds",
    Kind.HISTOGRAM,
    "How much later than planned a task of a worker ran, measured ten times a second. Every request waits as long.",
    buckets_s=_WAITS_S,
)
ACCESS_DECISIONS: Final = Family(
    "smp_access_decisions_total",
    Kind.COUNTER,
    "Access checks by the reason of their answer.",
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
    "Time that a caller waited for a connection, opened or used again.",
    buckets_s=_WAITS_S,
)
POOL_TIMEOUTS: Final = Family(
    "smp_database_pool_timeouts_total", Kind.COUNTER, "Times that no connection was free in time: 503 for the caller."
)
DATABASE_ERRORS: Final = Family(
    "smp_database_errors_total",
    Kind.COUNTER,
    "Errors of PostgreSQL or of the connection to it, by class of SQLSTATE. `constraint` and `conflict` are normal when"
    " requests compete, because the database decides which one succeeds.",
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
    "Reads of lists and statistics if there is a replica (`SMP_DATABASE_REPLICA_URL`). `replica`: the replica answered."
    " The others went to the primary, because the replica did not answer, was too far behind, or cancelled the read.",
    {"outcome": ("replica", "away", "behind", "conflict")},
)
REPLICA_LAG: Final = Family(
    "smp_replica_lag_seconds",
    Kind.GAUGE,
    "The greatest age of the replica's data; `NaN` if it is unknown, or if there is no replica.",
    workers=Workers.NEWEST,
)
CONFLICTS: Final = Family(
    "smp_transaction_conflicts_total",
    Kind.COUNTER,
    "Transactions that the database cancelled because of another one. They are retried: a request up to twice, a batch"
    " of the expiry job subscription by subscription.",
)
REPLAYS: Final = Family(
    "smp_idempotent_replays_total",
    Kind.COUNTER,
    "Requests that got the stored outcome of an earlier request with the same `Idempotency-Key`.",
)
LOGINS_THROTTLED: Final = Family(
    "smp_logins_throttled_total", Kind.COUNTER, "Sign-ins that were refused after too many failures: 429."
)
PASSWORDS: Final = Family(
    "smp_password_hashes",
    Kind.GAUGE,
    "Password hashes that Argon2 computes now, and those that wait.",
    {"state": ("running", "waiting")},
)
PASSWORDS_REFUSED: Final = Family(
    "smp_password_hashes_refused_total",
    Kind.COUNTER,
    "Password hashes that were refused because the queue was full: 503 for the caller.",
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
    "Runs of the jobs inside `smp serve`: `expire` (`SMP_SWEEP_INTERVAL_S`), `purge` (`SMP_PURGE_INTERVAL_S`) and"
    " `fold_counts` (`SMP_FOLD_COUNTS_INTERVAL_S`)."
    " The commands of the same names are not counted.",
    {"job_name": (), "outcome": ("succeeded", "failed")},
)
JOB_TIME: Final = Family(
    "smp_job_duration_seconds", Kind.HISTOGRAM, "Time of one run.", {"job_name": ()}, buckets_s=_RUNS_S
)
JOB_ITEMS: Final = Family(
    "smp_job_items_total",
    Kind.COUNTER,
    "Items that those runs handled. `expire`: subscriptions `expired` or `cancelled`, and `failed` ones that could not"
    " be ended. `purge`: deleted rows by kind, `idempotency_keys`, `sessions` and `login_attempts`. `fold_counts`:"
    " `changes` of the counts that were added up.",
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
    "How long the oldest overdue subscription has been over without being ended by the expiry job; 0 for none. It is"
    " read from the database, so it covers all processes. Answers are right at any lag, but events are late.",
    workers=Workers.NEWEST,
)
OVERDUE: Final = Family(
    "smp_subscriptions_overdue",
    Kind.GAUGE,
    "Subscriptions that are over, but not ended by the expiry job yet; counted up to 10,000.",
    workers=Workers.NEWEST,
)
SUBSCRIPTIONS: Final = Family(
    "smp_subscriptions",
    Kind.GAUGE,
    "Subscriptions by their present status (exact while fewer than 10,000 are overdue).",
    {"status": tuple(Status)},
    workers=Workers.NEWEST,
)
READY: Final = Family(
    "smp_ready",
    Kind.GAUGE,
    "1 if the check of `/health/ready` succeeds, else 0. `writes`: the database accepts changes.",
    {"check": ("database", "migrations", "writes", "clock")},
    workers=Workers.LEAST,
)
BUILD: Final = Family(
    "smp_build_info",
    Kind.GAUGE,
    "Always 1; the labels have the versions of SMP and Python.",
    {"version": (), "python": ()},
    workers=Workers.GREATEST_EVER,
)

FAMILIES: Final = (
    REQUESTS,
    REQUEST_TIME,
    IN_FLIGHT,
    LOOP_LAG,
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
    Family("process_cpu_seconds_total", Kind.COUNTER, "Processor time of all workers."),
    Family("process_resident_memory_bytes", Kind.GAUGE, "Resident memory of all workers."),
    Family("process_virtual_memory_bytes", Kind.GAUGE, "Virtual memory of all workers."),
    Family("process_open_fds", Kind.GAUGE, "Open file descriptors of all workers."),
    Family("process_max_fds", Kind.GAUGE, "File descriptors that one worker may have."),
    Family("process_start_time_seconds", Kind.GAUGE, "When the oldest worker started, in Unix time."),
)
"""The metrics of processes that the client library adds on Linux."""
