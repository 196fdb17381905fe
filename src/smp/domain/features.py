"""Features: what a plan's subscribers may use: switches, limits and words by key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from smp.domain.errors import ValidationError
from smp.domain.text import is_storable

FeatureValue = bool | int | str
"""A switch, a limit (a non-negative integer) or a word."""

Features = Mapping[str, FeatureValue]
"""Read-only; made by :func:`features`."""

FEATURES_MAX: Final = 200
KEY_PATTERN: Final = r"[a-z][a-z0-9_.-]{0,63}"
TEXT_MAX: Final = 1_000
LIMIT_MAX: Final = 2**53 - 1

_KEY: Final = re.compile(KEY_PATTERN)


def is_feature_key(key: str) -> bool:
    """Whether ``key`` could name a feature."""
    return _KEY.fullmatch(key) is not None


def features(values: Mapping[str, FeatureValue]) -> Features:
    """A read-only copy of ``values`` in the order of the keys.

    Raises:
        ValidationError: at ``/<key>`` for a bad key or value, at the root for too many.
    """
    if len(values) > FEATURES_MAX:
        raise ValidationError("", f"must be at most {FEATURES_MAX} features")
    for key, value in values.items():
        if not is_feature_key(key):
            raise ValidationError(f"/{pointer_token(key)}", "must be a key like seats or export.pdf: a-z, 0-9, _ . -")
        _check(f"/{pointer_token(key)}", value)
    return MappingProxyType(dict(sorted(values.items())))


def grants(value: FeatureValue | None) -> bool:
    """Whether having this value means that the feature may be used: anything but absent, ``false`` and ``0``."""
    return isinstance(value, str) or bool(value)


def same(one: Features, other: Features) -> bool:
    """Whether both promise the same; to Python ``True`` is ``1``, to a subscriber a switch is not a limit."""
    return one == other and all(isinstance(value, bool) is isinstance(other[key], bool) for key, value in one.items())


def pointer_token(key: str) -> str:
    """``key`` as one reference token of a JSON pointer (RFC 6901, section 3)."""
    return key.replace("~", "~0").replace("/", "~1")


def _check(pointer: str, value: FeatureValue) -> None:
    if isinstance(value, bool):
        return
    if isinstance(value, int):
        if not 0 <= value <= LIMIT_MAX:
            raise ValidationError(pointer, f"a limit must be from 0 to {LIMIT_MAX}")
    elif len(value) > TEXT_MAX or not is_storable(value):
        raise ValidationError(
            pointer, f"must be a boolean, a non-negative integer or a text of up to {TEXT_MAX} characters"
        )
