"""Large responses in pieces, so that a client that reads slowly holds a few pieces and not a copy of the whole."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from smp.adapters.http.asgi import Message, Send

WHOLE_BYTES_MAX: Final = 64 * 1024
"""The largest body that is handed to the server at once."""

PIECE_BYTES: Final = 16 * 1024
WRITE_DEADLINE_S: Final = 30.0
"""How long a client may leave a piece unread. After that the rest of the response is not sent."""

_log = structlog.stdlib.get_logger("smp.http")


async def send_in_pieces(send: Send, body: bytes, deadline_s: float = WRITE_DEADLINE_S) -> None:
    """Send a whole body; stop if the client does not read.

    The server has room for few pieces, and ``send`` waits while it is full.
    """
    try:
        for start in range(0, len(body), PIECE_BYTES):
            async with asyncio.timeout(deadline_s):
                piece, more = body[start : start + PIECE_BYTES], start + PIECE_BYTES < len(body)
                message: Message = {"type": "http.response.body", "body": piece, "more_body": more}
                await send(message)
    except TimeoutError:
        _log.info("the client did not read the response", sent_bytes=start, body_bytes=len(body))
