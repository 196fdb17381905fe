"""The network address that a request is counted for."""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address
from typing import Any, Final

import structlog
from litestar.connection import Request
from litestar.types import HTTPScope

from smp.adapters.http.asgi import Scope

# An address as gateways write it: with a port (`203.0.113.9:51234`, `[2001:db8::1]:443`), with a zone (`fe80::1%eth0`).
# Each character matches in one way only, so the time is linear.
_IN_BRACKETS: Final = re.compile(r"\[([0-9A-Fa-f:.]+)(?:%[^\]]*)?\](?::[0-9]*)?")
_IPV4_WITH_PORT: Final = re.compile(r"([0-9.]+):[0-9]*")

_log = structlog.stdlib.get_logger("smp.http")


class ClientSources:
    """Finds the source of each request: of ``X-Forwarded-For`` only the part that trusted proxies wrote is believed."""

    def __init__(self, trusted_proxies: int) -> None:
        """``trusted_proxies`` is the number of proxies before the service; each adds one address on the right."""
        self._trusted_proxies = trusted_proxies
        self._has_warned = False

    def of(self, request: Request[Any, Any, Any]) -> str:
        """Return the source of a request, as :meth:`of_scope` does."""
        return self.of_scope(request.scope)

    def of_scope(self, scope: Scope | HTTPScope) -> str:
        """Return the address of the client, or its /64 network for IPv6, because a subscriber line has a whole /64.

        If the trusted proxies wrote something else than an address, the address of the connection counts.
        """
        client = scope.get("client")
        peer = "" if client is None else client[0]
        values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
        if values and not self._trusted_proxies:
            self._warn()
        hops = [hop for hop in map(str.strip, ",".join(values).split(",")) if hop] if self._trusted_proxies else []
        forwarded = _network(hops[-min(self._trusted_proxies, len(hops))]) if hops else None
        return forwarded or _network(peer) or peer[:64]

    def _warn(self) -> None:
        """Report once for each process that all clients behind the proxy count as one."""
        if not self._has_warned:
            self._has_warned = True
            _log.warning(
                "X-Forwarded-For is ignored, because SMP_TRUSTED_PROXIES is 0. Behind a proxy, all clients count as "
                "one source of logins; set it to the number of proxies. Without a proxy, a client forged the header."
            )


def _network(text: str) -> str | None:
    """Return the address without port and zone, as the network that counts; ``None`` if the text is no address."""
    text = text.strip('"')
    match = _IN_BRACKETS.fullmatch(text) or _IPV4_WITH_PORT.fullmatch(text)
    try:
        parsed = ip_address(match[1] if match else text.partition("%")[0])
    except ValueError:
        return None
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"
