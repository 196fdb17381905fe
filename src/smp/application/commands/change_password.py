"""Change the caller's password."""

from __future__ import annotations

from dataclasses import dataclass, field

from smp.application.caller import Caller
from smp.application.errors import InvalidCredentials, Overloaded
from smp.application.event_metadata import EventMetadataFactory
from smp.application.password_policy import PasswordPolicy
from smp.application.ports.clock import Clock, RealTime
from smp.application.ports.id_generator import IdGenerator
from smp.application.ports.login_throttle import LoginThrottle
from smp.application.ports.password_hasher import PasswordHasher, Verification
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.application.session_opening import OpenedSession, SessionOpener
from smp.application.session_revocation import record_revoked
from smp.domain.user.session import RevocationReason
from smp.domain.user.user import User


@dataclass(frozen=True, slots=True)
class ChangePassword:
    """The command to change the signed-in user's password."""

    current_password: str = field(repr=False)
    new_password: str = field(repr=False)
    source: str = ""
    user_agent: str = ""


@dataclass(frozen=True, slots=True)
class ChangePasswordHandler:
    """The handler of :class:`ChangePassword`.

    It ends every session of the user, and opens a new one for the caller: a token that someone else has read is
    worthless then.
    """

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    real_time: RealTime
    ids: IdGenerator
    hasher: PasswordHasher
    throttle: LoginThrottle
    policy: PasswordPolicy
    sessions: SessionOpener

    async def __call__(self, command: ChangePassword, caller: Caller) -> OpenedSession:
        """Change the password, and return the caller's new session.

        Raises:
            ValidationError: if the new password is not allowed.
            InvalidCredentials: if the current password is wrong.
            TooManyAttempts: if the account or the source has to wait.
            Overloaded: if too many passwords are being verified.
        """
        self.policy.check(command.new_password, caller.known_user.email, "/new_password")
        async with self.unit_of_work() as work:
            user = await work.users.get(caller.user_id)
        verification = await self._verify(user, command)
        if not verification.matches:
            raise InvalidCredentials
        await self.throttle.succeeded(_counter_of(user), command.source)
        password_hash = await self.hasher.hash(command.new_password)
        new_metadata = EventMetadataFactory(self.ids, caller.actor, await self.clock.now())
        async with self.unit_of_work() as work:
            current = await work.users.get(user.id, for_update=True)
            if current.password_hash != user.password_hash:
                raise InvalidCredentials
            changed = current.change_password(password_hash, new_metadata())
            await work.users.save(changed)
            revoked = await work.sessions.remove_all(user.id)
            await record_revoked(work, user.id, revoked, RevocationReason.PASSWORD_CHANGED, new_metadata)
            opened = await self.sessions.open(work, changed, command.source, command.user_agent, new_metadata)
            await work.commit()
        return opened

    async def _verify(self, user: User, command: ChangePassword) -> Verification:
        await self.throttle.attempt(_counter_of(user), command.source, await self.real_time.now())
        try:
            return await self.hasher.verify(user.password_hash, command.current_password)
        except Overloaded:
            await self.throttle.cancel(_counter_of(user), command.source)
            raise


def _counter_of(user: User) -> str:
    """Return the account for the throttle: not the email, so that failed logins do not prevent a change."""
    return f"password change of {user.id}"
