"""Features: the switches, limits and texts of a plan, by key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from smp.domain.errors import ValidationError
from smp.domain.text import is_storable

FeatureValue = bool | int | str
"""A switch, a limit (a whole number from 0) or a text."""

Features = Mapping[str, FeatureValue]
"""The read-only features of a plan, as :func:`features` returns them."""

FEATURES_MAX: Final = 200
KEY_PATTERN: Final = r"[a-z][a-z0-9_.-]{0,63}"
TEXT_MAX: Final = 1_000
LIMIT_MAX: Final = 2**53 - 1

_KEY: Final = re.compile(KEY_PATTERN)


def is_feature_key(key: str) -> bool:
    """Return whether ``key`` has the form of a feature's key."""
    return _KEY.fullmatch(key) is not None


def features(values: Mapping[str, FeatureValue]) -> Features:
    """Return a read-only copy of ``values``, sorted by key.

    Raises:
        ValidationError: at ``/<key>`` if a key or value is not allowed, at the root if there are too many.
    """
    if len(values) > FEATURES_MAX:
        raise ValidationError("", f"must be at most {FEATURES_MAX} features")
    for key, value in values.items():
        if not is_feature_key(key):
            raise ValidationError(
                f"/{pointer_token(key)}",
                "must be a key such as seats or export.pdf: 1 to 64 characters of a-z, 0-9, _ . -, the first a letter",
            )
        _check(f"/{pointer_token(key)}", value)
    return MappingProxyType(dict(sorted(values.items())))


def grants(value: FeatureValue | None) -> bool:
    """Return whether this value gives access: every value does, except ``None`` (absent), ``False`` and ``0``."""
    return isinstance(value, str) or bool(value)


def same(one: Features, other: Features) -> bool:
    """Return whether both are the same features, including the types of their values.

    Python treats ``True`` and ``1`` as equal, but a switch and a limit are different promises.
    """
    return one == other and all(isinstance(value, bool) is isinstance(other[key], bool) for key, value in one.items())


def pointer_token(key: str) -> str:
    """Return ``key`` as a reference token of a JSON pointer (RFC 6901, section 3)."""
    return key.replace("~", "~0").replace("/", "~1")


def _check(pointer: str, value: FeatureValue) -> None:
    if isinstance(value, bool):
        return
    if isinstance(value, int):
        if not 0 <= value <= LIMIT_MAX:
            raise ValidationError(pointer, f"must be a limit from 0 to {LIMIT_MAX}")
    elif len(value) > TEXT_MAX or not is_storable(value):
        raise ValidationError(
            pointer,
            f"must be true, false, a whole number from 0, or a text of up to {TEXT_MAX} characters without NUL",
        )
