"""The port that records the use of sessions."""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime
from typing import Protocol

from smp.domain.user.session import Session


class SessionActivity(Protocol):
    """The record of when sessions were last used."""

    @abstractmethod
    async def record_use(self, session: Session, now: datetime) -> None:
        """Record that the session was used at ``now``; one that has ended since stays ended."""
