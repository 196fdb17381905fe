"""Idempotent requests: the answer is kept in the transaction of its effect, so that a repeat gets it again.

A command carries the :class:`IdempotentRequest` of its caller, if there is one, to the unit of work. On entering,
the unit of work claims the key; on committing, it keeps the rendered answer with the effect: both or neither.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

RETENTION: Final = timedelta(hours=24)
"""How long an answer is given again."""

KEY_LENGTH_MAX: Final = 255


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """What a caller was told, byte for byte."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """A request that must take effect once.

    ``caller`` and ``key`` name it; ``fingerprint`` tells another request under the same key from it; ``render`` turns
    the use case's result into the answer that is kept and given.
    """

    caller: str
    key: str
    fingerprint: bytes
    received_at: datetime
    render: Callable[[object], StoredResponse]


class DuplicateRequest(Exception):
    """The request took effect before; ``answer`` is what was said then."""

    def __init__(self, answer: StoredResponse) -> None:
        super().__init__("answered before")
        self.answer = answer
