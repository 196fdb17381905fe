"""Update a user's role, or disable or enable the account."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from smp.application.caller import Caller
from smp.application.event_metadata import EventMetadataFactory
from smp.application.outcomes import UserOutcome
from smp.application.ports.clock import Clock
from smp.application.ports.id_generator import IdGenerator
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.application.queries.views import UserView
from smp.application.session_revocation import record_revoked
from smp.domain.errors import LastAdmin
from smp.domain.user.session import RevocationReason
from smp.domain.user.user import Role


@dataclass(frozen=True, slots=True)
class UpdateUserAccess:
    """The command to update the user's role and the switch ``disabled``; ``None`` leaves a value as it is."""

    user_id: UUID
    role: Role | None = None
    disabled: bool | None = None


@dataclass(frozen=True, slots=True)
class UpdateUserAccessHandler:
    """The handler of :class:`UpdateUserAccess`. It affects the user's next request.

    Disabling a user ends all sessions. A new role ends none: they have it at once.
    """

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: IdGenerator

    async def __call__(self, command: UpdateUserAccess, caller: Caller) -> UserOutcome:
        """Update the user.

        Raises:
            UserNotFound: if there is no such user.
            LastAdmin: if no enabled administrator would be left.
        """
        new_metadata = EventMetadataFactory(self.ids, caller.actor, await self.clock.now())
        async with self.unit_of_work() as work:
            # The administrators are locked before the user: if two demote each other, one waits, without a deadlock.
            enabled_admins = await work.users.lock_enabled_admins()
            user = await work.users.get(command.user_id, for_update=True)
            changed = user.change_access(
                user.role if command.role is None else command.role,
                disabled=user.disabled if command.disabled is None else command.disabled,
                new_metadata=new_metadata,
            )
            if user.is_enabled_admin and not changed.is_enabled_admin and enabled_admins == 1:
                raise LastAdmin
            if changed.events:
                await work.users.save(changed)
                if changed.disabled:
                    revoked = await work.sessions.remove_all(user.id)
                    await record_revoked(work, user.id, revoked, RevocationReason.USER_DISABLED, new_metadata)
            await work.commit()
        return UserOutcome(UserView.of(changed))
