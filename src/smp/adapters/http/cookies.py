"""Cookies of a request (RFC 6265, section 5.4), and the session cookie of a response."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from smp.adapters.http.settings import HttpSettings
from smp.application.session_opening import OpenedSession

VALUES_MAX: Final = 5
"""The most values of one cookie that are returned."""


def cookie_values(headers: Iterable[tuple[bytes, bytes]], name: str) -> Sequence[str]:
    """Return the different values of a cookie, in their order, at most five.

    A browser sends several cookies of one name if they were set for several paths or domains. Which of them comes first
    says nothing about which is the right one.
    """
    wanted = name.encode()
    values: dict[str, None] = {}
    for header, content in headers:
        if header != b"cookie":
            continue
        for pair in content.split(b";"):
            found, _, value = pair.partition(b"=")
            if found.strip() == wanted and value.strip() and len(values) < VALUES_MAX:
                values[value.strip().decode("latin-1")] = None
    return tuple(values)


def session_cookie(settings: HttpSettings, opened: OpenedSession) -> str:
    """Return the ``Set-Cookie`` value that gives the browser the session's token."""
    return _cookie(settings, opened.token, int((opened.expires_at - opened.issued_at).total_seconds()))


def no_session_cookie(settings: HttpSettings) -> str:
    """Return the ``Set-Cookie`` value that deletes the session's cookie."""
    return _cookie(settings, "", 0)


def _cookie(settings: HttpSettings, token: str, max_age_s: int) -> str:
    """Return a ``Set-Cookie`` value (RFC 6265bis, section 4.1.2); a token has no character that needs quotes."""
    secure = "; Secure" if settings.secure else ""
    return f"{settings.cookie_name}={token}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{secure}"
