"""Bearer secrets from the operating system's generator."""

from __future__ import annotations

import secrets
from hashlib import sha256
from typing import Final

from smp.application.ports.token_generator import TokenGenerator

TOKEN_BYTES: Final = 32
"""256 bits: guessing is hopeless, so that the digest needs neither salt nor slowness."""


class SecretsTokenGenerator(TokenGenerator):
    """Secrets of :mod:`secrets`, in the URL-safe base64 alphabet without padding (43 characters)."""

    def new(self) -> str:
        """A new secret, safe in a cookie and a header."""
        return secrets.token_urlsafe(TOKEN_BYTES)

    def digest(self, token: str) -> bytes:
        """The SHA-256 of the secret; of anything else that a caller may send, too, whatever it is made of."""
        return sha256(token.encode("utf-8", "surrogatepass")).digest()
