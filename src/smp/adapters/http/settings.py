"""Settings of the HTTP adapter, and the readiness of the service."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """How the API behaves where it is deployed."""

    secure: bool
    """Behind TLS: cookies are ``Secure`` with the ``__Host-`` prefix, and browsers must use TLS only."""
    test_clock: bool = False
    trusted_proxies: int = 0
    metrics: bool = True
    public_url: str = ""
    """Where clients reach the service, without a slash at the end; empty if the address has no path."""

    @property
    def base_path(self) -> str:
        """The path that a proxy removes from every request, such as ``/billing``; empty if there is none."""
        return urlsplit(self.public_url).path

    @property
    def cookie_name(self) -> str:
        """What the session cookie is called."""
        return "__Host-smp_session" if self.secure else "smp_session"


UP: Final = "ok"
NEEDED: Final = frozenset({"database", "migrations", "clock"})
"""The checks without which the service is not ready. Access is answered even if the database accepts no writes."""


class Readiness(Protocol):
    """Whether the service can answer at this moment."""

    @abstractmethod
    async def check(self) -> Mapping[str, str]:
        """For ``database``, ``migrations``, ``writes`` and ``clock`` :data:`UP` or what is wrong; within a second."""
