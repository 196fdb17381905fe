"""Reading the idempotency key of a request."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from litestar.connection import Request

from smp.adapters.http.middleware.body import BODY
from smp.adapters.http.problems.rejection import RequestRejected
from smp.application.caller import Caller
from smp.application.idempotency import KEY_LENGTH_MAX, IdempotencyKey
from smp.application.ports.clock import Clock
from smp.application.ports.password_hasher import PasswordHasher
from smp.domain.user.user import email_key

_KEY: Final = re.compile(rf"[\x21-\x7e]{{1,{KEY_LENGTH_MAX}}}")
_SECRETS: Final = frozenset({"password"})


@dataclass(frozen=True, slots=True)
class IdempotencyKeys:
    """Makes the idempotency key of a command from the ``Idempotency-Key`` header and the request."""

    clock: Clock
    hasher: PasswordHasher

    async def of(self, request: Request[Any, Any, Any], caller: Caller, email: str = "") -> IdempotencyKey | None:
        """Return the key of the request; ``None`` without the header.

        All anonymous callers have one name, so the ``email`` of their request separates their keys.

        Raises:
            RequestRejected: where the header is not a key.
            Overloaded: where the secrets of the body cannot be hashed now.
        """
        key = request.headers.get("idempotency-key")
        if key is None:
            return None
        if not _KEY.fullmatch(key):
            raise RequestRejected(
                "malformed-request", f"Idempotency-Key must be 1 to {KEY_LENGTH_MAX} visible ASCII characters"
            )
        document = request.scope["state"].get(BODY)
        target = f"{request.method} {request.url.path}"
        name = caller.name if caller.identity else f"{caller.name}:{_digest(email_key(email))}"
        fingerprint = await self._fingerprint(target, document, f"{name} {key}")
        return IdempotencyKey(name, key, fingerprint, await self.clock.now())

    async def _fingerprint(self, target: str, document: object, salt: str) -> bytes:
        """Identify the request. A secret of the body enters by a slow digest, because a fast one could be guessed."""
        digest = hashlib.sha256(target.encode())
        if isinstance(document, Mapping):
            for name in sorted(_SECRETS & document.keys()):
                slow_salt = hashlib.sha256(salt.encode()).digest()[:16]
                digest.update(await self.hasher.digest(str(document[name]), slow_salt))
            document = {name: value for name, value in document.items() if name not in _SECRETS}
        digest.update(msgspec.json.encode(document, order="deterministic"))
        return digest.digest()


def _digest(text: str) -> str:
    """Return a digest of the text: keys are stored, and the emails of refused registrations are not."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
