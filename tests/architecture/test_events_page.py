from __future__ import annotations

import re
from itertools import chain

from sqlalchemy import CheckConstraint

from smp.adapters.postgres.tables import event_log
from smp.domain.api_key import ApiKeyEventType
from smp.domain.plan.events import PlanEventType
from smp.domain.subscription.lifecycle import SubscriptionEventType
from smp.domain.test_clock import ClockEventType
from smp.domain.user.session import SessionEventType
from smp.domain.user.user import UserEventType
from tests.architecture.source import ROOT

TYPES = set(
    chain(SubscriptionEventType, PlanEventType, UserEventType, SessionEventType, ApiKeyEventType, ClockEventType)
)


def test_the_page_of_events_lists_every_type() -> None:
    page = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \|", page, re.MULTILINE)) == TYPES


def test_the_event_log_takes_every_type() -> None:
    (rule,) = (
        str(each.sqltext)
        for each in event_log.constraints
        if isinstance(each, CheckConstraint) and each.name == "event_log_type"
    )
    assert set(re.findall(r"'([a-z_.]+)'", rule)) == TYPES
