"""The effective state of a subscription at an instant, as SQL over the columns of ``subscriptions``.

The expressions have the meaning of ``transition_by_time`` in ``domain/subscription/lifecycle.py``, and no other SQL
decides it. The instant is the parameter ``:now``.
"""

from __future__ import annotations

from typing import Final

from smp.domain.subscription.lifecycle import Status

LIVE_PREDICATE: Final = "status IN ('trial', 'active')"
"""A predicate: the written status is live. The partial indexes have the same text."""

DECISIVE_ID_SQL: Final = f"""coalesce(
    (SELECT id FROM subscriptions WHERE user_id = {{user_id}} AND {LIVE_PREDICATE} LIMIT 1),
    (SELECT id FROM subscriptions WHERE user_id = {{user_id}} ORDER BY starts_at DESC, id DESC LIMIT 1)
)"""  # noqa: S608 - constants
"""The id of the subscription that decides a user's access: the one that is written as live, else the newest one.

What is written decides, and not the order of the starts, which clocks of several machines may have given.
"""

ACCESS_ENDS_AT_SQL: Final = "ends_at"
"""The instant at which access ends by time; null if it never does."""

SPAN_SQL: Final = f"tstzrange(starts_at, coalesce(ended_at, {ACCESS_ENDS_AT_SQL}))"
"""The time that a subscription covers."""

_NOW: Final = "CAST(:now AS timestamptz)"

IS_OVER: Final = f"{ACCESS_ENDS_AT_SQL} <= {_NOW}"
"""A predicate: the end of access is reached."""

ENDS_LATER: Final = f"{ACCESS_ENDS_AT_SQL} > {_NOW}"
"""A predicate: there is an end of access, and it is not reached."""

IS_NOT_OVER: Final = f"({ACCESS_ENDS_AT_SQL} IS NULL OR {ENDS_LATER})"
"""A predicate: the end of access is not reached, or there is none."""

OVERDUE_PREDICATE: Final = f"{LIVE_PREDICATE} AND {IS_OVER}"
"""A predicate: the end is reached, and the written status is still live."""

OVERDUE_ORDER: Final = f"{ACCESS_ENDS_AT_SQL}, id"
"""The order of the index of live subscriptions by their end."""

_IS_TO_EXPIRE: Final = "cancel_at IS NULL"
_IS_TO_BE_CANCELLED: Final = "cancel_at IS NOT NULL"

STATUS_BY_TIME_SQL: Final = f"CASE WHEN {_IS_TO_EXPIRE} THEN 'expired' ELSE 'cancelled' END"
"""The status of a live subscription after its end: cancelled if a cancellation was scheduled, else expired."""

EFFECTIVE_STATUS_SQL: Final = f"CASE WHEN {OVERDUE_PREDICATE} THEN {STATUS_BY_TIME_SQL} ELSE status END"
"""The status at the instant."""


def ends_as_one_of(statuses: frozenset[Status]) -> str:
    """Return a predicate for a status by time in ``statuses``, in the form that the planner estimates best."""
    by_status = {Status.EXPIRED: _IS_TO_EXPIRE, Status.CANCELLED: _IS_TO_BE_CANCELLED}
    chosen = [condition for status, condition in by_status.items() if status in statuses]
    return chosen[0] if len(chosen) == 1 else "true"
