"""Features: which keys and values are valid, and which values give access."""

from __future__ import annotations

from typing import Any

import pytest

from smp.domain.errors import ValidationError
from smp.domain.features import (
    FEATURES_MAX,
    LIMIT_MAX,
    TEXT_MAX,
    FeatureValue,
    features,
    grants,
    is_feature_key,
    pointer_token,
    same,
)

GOOD_KEYS = ["a", "export", "seats", "export.pdf", "a1", "a_b-c.d", "z" * 64]
BAD_KEYS = ["", "A", "1a", "_a", ".a", "-a", "a b", "a/b", "é", "aé", "a\n", "a\x00", "z" * 65, "aB"]


@pytest.mark.parametrize("key", GOOD_KEYS)
def test_a_feature_key_is_a_small_letter_and_up_to_63_letters_digits_and_marks(key: str) -> None:
    """The marks are ``_``, ``.`` and ``-``."""
    assert is_feature_key(key)
    assert features({key: True}) == {key: True}


@pytest.mark.parametrize("key", BAD_KEYS)
def test_an_invalid_feature_key_is_rejected_with_its_pointer(key: str) -> None:
    """The pointer escapes the key (RFC 6901)."""
    assert not is_feature_key(key)
    with pytest.raises(ValidationError) as refusal:
        features({"good": 1, key: True})
    assert refusal.value.pointer == f"/{pointer_token(key)}"


@pytest.mark.parametrize("value", [True, False, 0, 1, LIMIT_MAX, "", "priority", "x" * TEXT_MAX, "日本語 🎉"])
def test_switches_limits_and_texts_keep_their_type(value: FeatureValue) -> None:
    kept = features({"key": value})["key"]
    assert kept == value
    assert type(kept) is type(value)


@pytest.mark.parametrize("value", [-1, LIMIT_MAX + 1, 2**70, "x" * (TEXT_MAX + 1), "a\x00b", "\ud800", "ok\udfff"])
def test_an_invalid_feature_value_is_rejected(value: FeatureValue) -> None:
    """Negative and huge limits, long texts, and texts that the database cannot store."""
    with pytest.raises(ValidationError) as refusal:
        features({"key": value})
    assert refusal.value.pointer == "/key"


def test_a_plan_has_at_most_200_features() -> None:
    many: dict[str, FeatureValue] = {f"f{number}": True for number in range(FEATURES_MAX)}
    assert len(features(many)) == FEATURES_MAX
    with pytest.raises(ValidationError):
        features(many | {"one-more": True})


def test_features_are_a_read_only_copy_in_the_order_of_the_keys() -> None:
    """A later change of the original changes nothing."""
    original: dict[str, FeatureValue] = {"b": 1, "a": 2}
    kept: Any = features(original)
    original["c"] = 3
    assert list(kept.items()) == [("a", 2), ("b", 1)]
    with pytest.raises(TypeError):
        kept["a"] = 5


@pytest.mark.parametrize(
    ("value", "allowed"),
    [(None, False), (False, False), (0, False), (True, True), (1, True), (5, True), ("", True), ("no", True)],
)
def test_every_value_but_false_and_zero_gives_access(value: FeatureValue | None, *, allowed: bool) -> None:
    """An absent feature gives none. A text always gives access, whatever it says."""
    assert grants(value) is allowed


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ({"a": 1}, {"a": 1}, True),
        ({"a": True}, {"a": True}, True),
        ({"a": "1"}, {"a": 1}, False),
        ({"a": True}, {"a": 1}, False),
        ({"a": 1}, {"a": True}, False),
        ({"a": False}, {"a": 0}, False),
        ({"a": 0}, {"a": False}, False),
        ({"a": 1}, {"b": 1}, False),
        ({"a": 1}, {}, False),
        ({}, {"a": 1}, False),
        ({}, {}, True),
    ],
)
def test_a_switch_is_not_a_limit(one: dict[str, FeatureValue], other: dict[str, FeatureValue], *, equal: bool) -> None:
    """In Python ``True == 1``; a switch and a limit of one seat are still different values."""
    assert same(features(one), features(other)) is equal


@pytest.mark.parametrize(
    ("key", "token"), [("a", "a"), ("a/b", "a~1b"), ("a~b", "a~0b"), ("~1", "~01"), ("~/", "~0~1")]
)
def test_a_key_is_escaped_in_a_json_pointer(key: str, token: str) -> None:
    """RFC 6901, section 3: the tilde first, otherwise ``~1`` would be read as a slash."""
    assert pointer_token(key) == token
