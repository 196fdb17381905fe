"""Refusals: their facts, and being told of all bad values at once."""

from __future__ import annotations

import pytest

from smp.domain.errors import IllegalTransition, ValidationError, collect_errors


def refuse(pointer: str) -> None:
    """Refuse the value at ``pointer``."""
    raise ValidationError(pointer, f"bad {pointer}")


def test_all_checks_run_and_all_refusals_are_told() -> None:
    """Those that refuse several values at once too, in the order of the checks."""
    ran: list[str] = []
    with pytest.raises(ValidationError) as refusal:
        collect_errors(
            lambda: refuse("/a"),
            lambda: ran.append("between"),
            lambda: collect_errors(lambda: refuse("/b"), lambda: refuse("/c")),
            lambda: refuse("/d"),
        )
    assert ran == ["between"]
    assert [told.pointer for told in (refusal.value, *refusal.value.others)] == ["/a", "/b", "/c", "/d"]
    assert not any(told.others for told in refusal.value.others)


def test_good_values_pass() -> None:
    """Where no check refuses nothing is raised."""
    collect_errors(lambda: None, lambda: 5)
    collect_errors()


def test_a_refusal_seen_from_the_document_around() -> None:
    """The pointer grows at the front, for the others as well."""
    seen = ValidationError("/amount", "no", (ValidationError("/currency", "no"),)).at("/price")
    assert [seen.pointer, *(other.pointer for other in seen.others)] == ["/price/amount", "/price/currency"]
    assert str(ValidationError("", "no")) == "the value: no"


def test_an_illegal_transition_reads_like_a_sentence() -> None:
    """Without the underscores of the code."""
    assert str(IllegalTransition("cancel_now", "expired")) == "cancel now is not possible from expired"
    assert str(IllegalTransition("renew", "active", "it is for life")) == (
        "renew is not possible from active: it is for life"
    )
