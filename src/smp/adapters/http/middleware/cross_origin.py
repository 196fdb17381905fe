"""Cross-origin protection by the headers that browsers send; no tokens.

The rule of Go 1.25's ``net/http.CrossOriginProtection``, and stricter: ``same-site`` is refused as well, because
another sub-domain is another origin.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from smp.adapters.http.middleware.context import RequestContext
from smp.adapters.http.problems.rejection import RequestRejected

_ALLOWED_SITES: Final = frozenset({b"same-origin", b"none"})


def refuse_cross_origin(context: RequestContext) -> None:
    """Accept safe requests, and unsafe ones that no page of another origin sent.

    Raises:
        RequestRejected: ``cross-origin-request``.
    """
    if context.is_unsafe and _is_cross_origin(context.headers):
        raise RequestRejected("cross-origin-request", "a page of another origin must not change anything here")


def _is_cross_origin(headers: Mapping[bytes, bytes]) -> bool:
    """``Sec-Fetch-Site`` decides where it is sent.

    Without it ``Origin`` must name the host of the request. A client that sends neither is not a browser.
    """
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return site.strip().lower() not in _ALLOWED_SITES
    origin = headers.get(b"origin")
    if origin is None:
        return False
    _, separator, host = origin.strip().lower().partition(b"://")
    return not separator or _without_default_port(origin, host) != _without_default_port(
        origin, headers.get(b"host", b"").strip().lower()
    )


def _without_default_port(origin: bytes, host: bytes) -> bytes:
    default = b":443" if origin.lower().startswith(b"https:") else b":80"
    return host.removesuffix(default)
