"""Cross-origin protection by what browsers say of themselves; no tokens.

After Go 1.25's ``net/http.CrossOriginProtection``, with ``same-site`` refused as well: a sub-domain is not us.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_OURS: Final = frozenset({b"same-origin", b"none"})


def is_cross_origin(headers: Mapping[bytes, bytes]) -> bool:
    """Whether an unsafe request comes from a page of another origin; another port is another origin.

    ``Sec-Fetch-Site`` decides where it is sent. Without it ``Origin`` must name the host that was asked; a caller that
    sends neither is no browser.
    """
    site = headers.get(b"sec-fetch-site")
    if site is not None:
        return site.strip().lower() not in _OURS
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
