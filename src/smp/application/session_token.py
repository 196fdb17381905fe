"""Session tokens: the user's id, followed by 256 random bits.

The id says where the session is stored: a database that is partitioned by user looks in one partition instead of all.
It is no secret. Only the digest of the whole token authenticates the user.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from smp.application.ports.token_generator import TokenGenerator

_ID_LENGTH: Final = 32


def new_session_token(user_id: UUID, tokens: TokenGenerator) -> str:
    """Return a new token for a session of this user. It has only characters that a cookie allows."""
    return f"{user_id.hex}{tokens.new()}"


def owner_named_by(token: str) -> UUID | None:
    """Return the id of the user in the token, or ``None`` if it has another form. This does not verify the token."""
    try:
        return UUID(hex=token[:_ID_LENGTH])
    except ValueError:
        return None
