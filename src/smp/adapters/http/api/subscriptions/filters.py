"""The parameters that filter the list of subscriptions."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar.params import QueryParameter

from smp.adapters.http.parameters import INSTANT_FORMAT, UUID_FORMAT, bad_parameter, uuid_or_none
from smp.domain.subscription.lifecycle import Status


def _instant_parameter(name: str, description: str) -> QueryParameter:
    return QueryParameter(name=name, description=description, schema_extra=INSTANT_FORMAT)


StatusParameter = Annotated[
    list[str] | None,
    QueryParameter(
        name="status",
        description="Those with this status now; repeat it for several.",
        schema_extra={"items": {"type": "string", "enum": [status.value for status in Status]}},
    ),
]
PlanParameter = Annotated[
    str | None, QueryParameter(name="plan", max_length=100, description="Those of the plan with this code or id.")
]
UserIdParameter = Annotated[
    str | None, QueryParameter(name="user_id", description="Those of this user.", schema_extra=UUID_FORMAT)
]
EmailParameter = Annotated[
    str | None, QueryParameter(name="email", max_length=320, description="Those of the user with this email.")
]
EndsBeforeParameter = Annotated[
    str | None, _instant_parameter("ends_before", "Those with a planned end before this instant.")
]
EndsAfterParameter = Annotated[
    str | None, _instant_parameter("ends_after", "Those with a planned end at this instant or later.")
]
EndedBeforeParameter = Annotated[
    str | None, _instant_parameter("ended_before", "Those that ended before this instant.")
]
EndedAfterParameter = Annotated[
    str | None, _instant_parameter("ended_after", "Those that ended at this instant or later.")
]


def parse_statuses(texts: list[str]) -> frozenset[Status]:
    """Return the statuses. Raises RequestRejected for a text that is none."""
    known = {status.value: status for status in Status}
    if any(text not in known for text in texts):
        raise bad_parameter("status", f"must be one of {', '.join(known)}")
    return frozenset(known[text] for text in texts)


def parse_user_id(text: str) -> UUID:
    """Return the id of a user. Raises RequestRejected for a text that is no UUID."""
    parsed = uuid_or_none(text)
    if parsed is None:
        raise bad_parameter("user_id", "must be a UUID")
    return parsed
