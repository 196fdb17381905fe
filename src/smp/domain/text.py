"""Texts: which of them every storage and every wire can carry."""

from __future__ import annotations


def is_unicode(text: str) -> bool:
    """Whether ``text`` is made of characters alone: a lone surrogate is none and has no encoding."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_storable(text: str) -> bool:
    """Whether every database can keep ``text``: characters alone, and no NUL, which PostgreSQL has no place for."""
    return "\x00" not in text and is_unicode(text)
