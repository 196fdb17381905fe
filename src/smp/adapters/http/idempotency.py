"""Running a use case for a request: again where the database asks for it, once for an idempotency key."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import msgspec
from litestar.connection import Request
from litestar.response import Response

from smp.adapters.http.middleware.body import BODY
from smp.adapters.http.problems import RequestRejected, details
from smp.application.commands.store_response import StoreResponse, StoreResponseHandler
from smp.application.errors import TransactionConflict
from smp.application.idempotency import KEY_LENGTH_MAX, DuplicateRequest, IdempotentRequest, StoredResponse
from smp.application.ports.clock import Clock
from smp.application.ports.password_hasher import PasswordHasher
from smp.domain.errors import DomainError

Outcome = TypeVar("Outcome")
Render = Callable[[Any], StoredResponse]

TRIES: Final = 3
"""How often a use case is run when the database gives its transaction up in favour of another."""

_KEY: Final = re.compile(rf"[\x21-\x7e]{{1,{KEY_LENGTH_MAX}}}")
_SECRETS: Final = frozenset({"password"})


async def retried(run: Callable[[], Awaitable[Outcome]]) -> Outcome:
    """What ``run`` gives; run again, whole, where its transaction was given up.

    Raises:
        TransactionConflict: where that happened three times.
    """
    for _ in range(TRIES - 1):
        try:
            return await run()
        except TransactionConflict:
            continue
    return await run()


@dataclass(frozen=True, slots=True)
class IdempotentExecutor:
    """Runs commands that POST asks for; a command is built with the idempotent request, if there is one."""

    keep_answer: StoreResponseHandler
    clock: Clock
    hasher: PasswordHasher

    async def __call__(
        self,
        request: Request[Any, Any, Any],
        caller: str,
        run: Callable[[IdempotentRequest | None], Awaitable[Outcome]],
        render: Render,
    ) -> Response[bytes]:
        """The answer: of this run, or the one that was given to the same request before.

        Raises:
            DomainError, ApplicationError: what the use case refuses, where it is not kept for a key.
        """
        idempotent = await self._idempotent_request(request, caller, render)
        try:
            outcome = await retried(lambda: run(idempotent))
        except DuplicateRequest as before:
            return respond(before.answer, replayed=True)
        except DomainError as refusal:
            problem = details(refusal)
            if idempotent is None or problem is None or not problem.problem.kept:
                raise
            return await self._keep(idempotent, problem.answer())
        return respond(render(outcome))

    async def _keep(self, idempotent: IdempotentRequest, answer: StoredResponse) -> Response[bytes]:
        """Keep a refusal that the domain decided: nothing was changed, so its own transaction is enough."""
        try:
            await retried(lambda: self.keep_answer(StoreResponse(replace(idempotent, render=lambda _: answer))))
        except DuplicateRequest as before:
            return respond(before.answer, replayed=True)
        return respond(answer)

    async def _idempotent_request(
        self, request: Request[Any, Any, Any], caller: str, render: Render
    ) -> IdempotentRequest | None:
        key = request.headers.get("idempotency-key")
        if key is None:
            return None
        if not _KEY.fullmatch(key):
            raise RequestRejected(
                "malformed-request", f"Idempotency-Key must be 1 to {KEY_LENGTH_MAX} visible ASCII characters"
            )
        document = request.scope["state"].get(BODY)
        fingerprint = await self._fingerprint(f"{request.method} {request.url.path}", document, f"{caller} {key}")
        return IdempotentRequest(caller, key, fingerprint, await self.clock.now(), render)

    async def _fingerprint(self, target: str, document: object, salt: str) -> bytes:
        """Tells requests apart. A secret in the body enters by a slow digest, for a fast one could be guessed from."""
        digest = hashlib.sha256(target.encode())
        if isinstance(document, Mapping):
            for name in sorted(_SECRETS & document.keys()):
                slow_salt = hashlib.sha256(salt.encode()).digest()[:16]
                digest.update(await self.hasher.digest(str(document[name]), slow_salt))
            document = {name: value for name, value in document.items() if name not in _SECRETS}
        digest.update(msgspec.json.encode(document, order="deterministic"))
        return digest.digest()


def respond(answer: StoredResponse, *, replayed: bool = False) -> Response[bytes]:
    """The answer as a response."""
    headers = dict(answer.headers)
    if replayed:
        headers["idempotency-replayed"] = "true"
    media_type = headers.pop("content-type", "application/json")
    return Response(content=answer.body, status_code=answer.status, headers=headers, media_type=media_type)
