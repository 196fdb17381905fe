"""Create an administrator."""

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
from smp.domain.errors import collect_errors
from smp.domain.user.user import Email, Role, User


@dataclass(frozen=True, slots=True)
class CreateAdmin:
    """The command to create an administrator; with ``only_the_first`` only if none is enabled."""

    email: str
    password: str = field(repr=False)
    only_the_first: bool = False


@dataclass(frozen=True, slots=True)
class CreateAdminHandler:
    """The handler of :class:`CreateAdmin`, for the command line and the first start; it is not part of the API."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: IdGenerator
    hasher: PasswordHasher
    policy: PasswordPolicy

    async def __call__(self, command: CreateAdmin, caller: Caller) -> UserOutcome | None:
        """Create the administrator, or return ``None`` if there is one already and only the first is to be created.

        Raises:
            ValidationError: if the email or the password is not allowed.
            EmailTaken: if another user has the email.
        """
        if command.only_the_first and await self._has_admin():
            return None
        collect_errors(lambda: Email(command.email), lambda: self.policy.check(command.password, command.email))
        email = Email(command.email)
        password_hash = await self.hasher.hash(command.password)
        new_metadata = EventMetadataFactory(self.ids, caller.actor, await self.clock.now())
        async with self.unit_of_work() as work:
            if command.only_the_first and await work.users.lock_enabled_admins():
                return None
            user = User.register(self.ids.new(), email, password_hash, Role.ADMIN, new_metadata())
            await work.users.add(user)
            await work.commit()
        return UserOutcome(UserView.of(user), created=True)

    async def _has_admin(self) -> bool:
        async with self.unit_of_work() as work:
            return await work.users.lock_enabled_admins() > 0
