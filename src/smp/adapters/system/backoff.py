"""Pauses of a random length."""

from __future__ import annotations

import asyncio
from secrets import randbelow
from typing import Final

from smp.application.ports.backoff import Backoff

FIRST_PAUSE_MS: Final = 20
"""The longest pause after the first attempt; each further one may be twice as long."""


class JitteredBackoff(Backoff):
    """Waits for a random part of a limit that doubles."""

    async def pause(self, attempt: int) -> None:
        """Wait after this attempt, the first being 1."""
        limit_ms = FIRST_PAUSE_MS * 2 ** (attempt - 1)
        await asyncio.sleep(randbelow(limit_ms + 1) / 1000)
