"""The token of a session: the user's id, and 256 random bits behind it.

The id is no secret, for the token's owner knows it; it says where the session is kept. A database that is spread over
several servers by user asks one of them, and not all. What proves the owner is the digest of the whole token.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from smp.application.ports.token_generator import TokenGenerator

_ID_LENGTH: Final = 32


def new_session_token(user_id: UUID, tokens: TokenGenerator) -> str:
    """A new token for a session of this user, safe in a cookie."""
    return f"{user_id.hex}{tokens.new()}"


def owner_named_by(token: str) -> UUID | None:
    """The user whose session it would be; ``None`` where it is no token of ours. Proves nothing."""
    try:
        return UUID(hex=token[:_ID_LENGTH])
    except ValueError:
        return None
