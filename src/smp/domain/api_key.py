"""The API key of a service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class ApiKeyEventType(StrEnum):
    """The types of API key events."""

    CREATED = "api_key.created"
    REVOKED = "api_key.revoked"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """The API key of a service. Only the SHA-256 digest of its secret is stored."""

    id: UUID
    name: str
    digest: bytes
    created_at: datetime
    revoked_at: datetime | None = None
