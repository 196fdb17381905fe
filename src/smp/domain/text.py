"""Checks for texts that not every database and protocol can carry."""

from __future__ import annotations


def is_unicode(text: str) -> bool:
    """Return whether ``text`` has a UTF-8 encoding: a lone surrogate has none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_storable(text: str) -> bool:
    """Return whether a database can store ``text``: no lone surrogate, and no NUL, which PostgreSQL cannot store."""
    return "\x00" not in text and is_unicode(text)
