from __future__ import annotations

from enum import StrEnum

import pytest

from smp.domain.api_key import ApiKeyEventType
from smp.domain.events import SubjectType
from smp.domain.plan.events import PlanEventType
from smp.domain.subscription.lifecycle import SubscriptionEventType
from smp.domain.user.session import SessionEventType
from smp.domain.user.user import UserEventType
from tests.support.builders import DURING, PLAN_ID, some_metadata


@pytest.mark.parametrize(
    ("types", "subject_type"),
    [
        (SubscriptionEventType, SubjectType.SUBSCRIPTION),
        (PlanEventType, SubjectType.PLAN),
        (UserEventType, SubjectType.USER),
        (SessionEventType, SubjectType.SESSION),
        (ApiKeyEventType, SubjectType.API_KEY),
    ],
)
def test_an_event_type_begins_with_the_type_of_its_subject(types: type[StrEnum], subject_type: SubjectType) -> None:
    assert {some_metadata(DURING).event(type_, PLAN_ID, {}).subject_type for type_ in types} == {subject_type}
