"""Domain errors: their texts, and the report of all bad values at once."""

from __future__ import annotations

import pytest

from smp.domain.errors import IllegalTransition, ValidationError, collect_errors


def reject(pointer: str) -> None:
    """Reject the value at ``pointer``."""
    raise ValidationError(pointer, f"bad {pointer}")


def test_all_bad_values_are_reported_at_once_in_the_order_of_the_checks() -> None:
    """This includes checks that report several values themselves."""
    ran: list[str] = []
    with pytest.raises(ValidationError) as refusal:
        collect_errors(
            lambda: reject("/a"),
            lambda: ran.append("between"),
            lambda: collect_errors(lambda: reject("/b"), lambda: reject("/c")),
            lambda: reject("/d"),
        )
    assert ran == ["between"]
    assert [error.pointer for error in (refusal.value, *refusal.value.others)] == ["/a", "/b", "/c", "/d"]
    assert not any(error.others for error in refusal.value.others)


def test_no_error_is_raised_for_good_values() -> None:
    collect_errors(lambda: None, lambda: 5)
    collect_errors()


def test_an_error_in_a_nested_document_points_at_its_place_in_the_whole_document() -> None:
    """This holds for every error of the report."""
    seen = ValidationError("/amount", "no", (ValidationError("/currency", "no"),)).at("/price")
    assert [seen.pointer, *(other.pointer for other in seen.others)] == ["/price/amount", "/price/currency"]
    assert str(ValidationError("", "no")) == "the value: no"


def test_the_text_of_an_illegal_transition_is_a_sentence() -> None:
    assert str(IllegalTransition("cancel_now", "expired")) == "cancel now is not possible from expired"
    assert str(IllegalTransition("renew", "active", "it is for life")) == (
        "renew is not possible from active: it is for life"
    )
