"""Features: which keys and values there are, and what gives access."""

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
def test_good_keys(key: str) -> None:
    """A small letter, then up to 63 of a-z, 0-9, _ . and -."""
    assert is_feature_key(key)
    assert features({key: True}) == {key: True}


@pytest.mark.parametrize("key", BAD_KEYS)
def test_bad_keys(key: str) -> None:
    """The refusal points at the key, escaped as a JSON pointer."""
    assert not is_feature_key(key)
    with pytest.raises(ValidationError) as refusal:
        features({"good": 1, key: True})
    assert refusal.value.pointer == f"/{pointer_token(key)}"


@pytest.mark.parametrize("value", [True, False, 0, 1, LIMIT_MAX, "", "priority", "x" * TEXT_MAX, "日本語 🎉"])
def test_good_values(value: FeatureValue) -> None:
    """Switches, limits and words keep their type."""
    kept = features({"key": value})["key"]
    assert kept == value
    assert type(kept) is type(value)


@pytest.mark.parametrize("value", [-1, LIMIT_MAX + 1, 2**70, "x" * (TEXT_MAX + 1), "a\x00b", "\ud800", "ok\udfff"])
def test_bad_values(value: FeatureValue) -> None:
    """Negative and huge limits, long words, and words that no database can keep."""
    with pytest.raises(ValidationError) as refusal:
        features({"key": value})
    assert refusal.value.pointer == "/key"


def test_there_is_a_limit_to_how_many() -> None:
    """Two hundred are fine, one more is not."""
    many: dict[str, FeatureValue] = {f"f{number}": True for number in range(FEATURES_MAX)}
    assert len(features(many)) == FEATURES_MAX
    with pytest.raises(ValidationError):
        features(many | {"one-more": True})


def test_features_are_a_read_only_copy_in_the_order_of_the_keys() -> None:
    """Nobody who holds the original, or the result, can change what was promised."""
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
def test_what_gives_access(value: FeatureValue | None, *, allowed: bool) -> None:
    """Anything but absent, false and 0; a word is a word, whatever it says."""
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
    """Python holds True for 1; a subscriber who is promised a limit of one seat does not."""
    assert same(features(one), features(other)) is equal


@pytest.mark.parametrize(
    ("key", "token"), [("a", "a"), ("a/b", "a~1b"), ("a~b", "a~0b"), ("~1", "~01"), ("~/", "~0~1")]
)
def test_pointer_tokens(key: str, token: str) -> None:
    """RFC 6901, section 3: the tilde first, or ~1 would come back as a slash."""
    assert pointer_token(key) == token
