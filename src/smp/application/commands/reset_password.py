"""Reset a user's password."""

from __future__ import annotations

from dataclasses import dataclass, field

from smp.application.caller import Caller
from smp.application.event_metadata import EventMetadataFactory
from smp.application.outcomes import UserOutcome
from smp.application.password_policy import PasswordPolicy
from smp.application.ports.clock import Clock
from smp.application.ports.id_generator import IdGenerator
from smp.application.ports.password_hasher import PasswordHasher
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.application.queries.views import UserView
from smp.application.session_revocation import record_revoked
from smp.domain.errors import UserNotFound
from smp.domain.user.session import RevocationReason
from smp.domain.user.user import email_key


@dataclass(frozen=True, slots=True)
class ResetPassword:
    """The command to give the user with this email a new password, without the current one."""

    email: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ResetPasswordHandler:
    """The handler of :class:`ResetPassword`, for operators. It ends every session of the user."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: IdGenerator
    hasher: PasswordHasher
    policy: PasswordPolicy

    async def __call__(self, command: ResetPassword, caller: Caller) -> UserOutcome:
        """Reset the password.

        Raises:
            ValidationError: if the password is not allowed.
            UserNotFound: if no user has this email.
        """
        self.policy.check(command.password, command.email)
        password_hash = await self.hasher.hash(command.password)
        new_metadata = EventMetadataFactory(self.ids, caller.actor, await self.clock.now())
        async with self.unit_of_work() as work:
            found = await work.users.find_by_email(email_key(command.email))
            if found is None:
                raise UserNotFound(command.email)
            user = await work.users.get(found.id, for_update=True)
            changed = user.change_password(password_hash, new_metadata())
            await work.users.save(changed)
            revoked = await work.sessions.remove_all(user.id)
            await record_revoked(work, user.id, revoked, RevocationReason.PASSWORD_CHANGED, new_metadata)
            await work.commit()
        return UserOutcome(UserView.of(changed))
