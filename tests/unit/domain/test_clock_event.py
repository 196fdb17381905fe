from __future__ import annotations

from smp.domain.test_clock import clock_set
from tests.support.builders import DAY, NOW, some_metadata


def test_the_event_of_the_test_clock_has_its_instants_before_and_after() -> None:
    event = clock_set(some_metadata(NOW), NOW, NOW + DAY)
    assert event.data == {
        "before": {"now": "2026-01-31T12:00:00.123456Z"},
        "after": {"now": "2026-02-01T12:00:00.123456Z"},
    }
    assert (event.user_id, event.version, event.occurred_at) == (None, None, NOW)


def test_the_event_of_a_clock_that_is_set_for_the_first_time_has_no_instant_before() -> None:
    assert clock_set(some_metadata(NOW), None, NOW).data["before"] == {"now": None}
