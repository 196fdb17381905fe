"""Recording the end of sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from uuid import UUID

from smp.application.ports.unit_of_work import UnitOfWork
from smp.domain.events import EventMetadata
from smp.domain.user.session import RevocationReason, SessionEventType


async def record_revoked(
    work: UnitOfWork,
    user_id: UUID,
    session_ids: Iterable[UUID],
    reason: RevocationReason,
    new_metadata: Callable[[], EventMetadata],
) -> None:
    """Record an event for each of the user's sessions that was ended."""
    data = {"reason": reason.value}
    await work.events.record(
        [
            new_metadata().event(SessionEventType.REVOKED, session_id, data, user_id=user_id)
            for session_id in session_ids
        ]
    )
