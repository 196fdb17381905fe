"""Security headers, which every response has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from smp.adapters.http.asgi import Header

API_POLICY: Final = b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'"


def security_headers(*, strict_transport: bool) -> Sequence[Header]:
    """Return the headers; a response that has one of them by itself keeps it.

    With ``strict_transport`` browsers are instructed to use TLS only.
    """
    headers = [
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"x-frame-options", b"DENY"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"content-security-policy", API_POLICY),
        (b"cache-control", b"no-store"),
    ]
    if strict_transport:
        headers.append((b"strict-transport-security", b"max-age=31536000; includeSubDomains"))
    return headers
