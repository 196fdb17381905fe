"""Register a user."""

from __future__ import annotations

from dataclasses import dataclass, field

from smp.application.caller import Caller
from smp.application.event_metadata import EventMetadataFactory
from smp.application.idempotency import IdempotencyKey
from smp.application.outcomes import UserOutcome
from smp.application.password_policy import PasswordPolicy
from smp.application.ports.clock import Clock
from smp.application.ports.id_generator import IdGenerator
from smp.application.ports.password_hasher import PasswordHasher
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.application.queries.views import UserView
from smp.domain.errors import EmailTaken, collect_errors
from smp.domain.events import Actor, ActorType
from smp.domain.user.user import Email, Role, User


@dataclass(frozen=True, slots=True)
class RegisterUser:
    """The command to create an account with an email and a password."""

    email: str
    password: str = field(repr=False)
    idempotency: IdempotencyKey | None = None


@dataclass(frozen=True, slots=True)
class RegisterUserHandler:
    """The handler of :class:`RegisterUser`. The new user is the actor of the registration."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: IdGenerator
    hasher: PasswordHasher
    policy: PasswordPolicy

    async def __call__(self, command: RegisterUser, caller: Caller) -> UserOutcome:
        """Create the user.

        Raises:
            ValidationError: if the email or the password is not allowed.
            EmailTaken: if another user has the email.
        """
        collect_errors(lambda: Email(command.email), lambda: self.policy.check(command.password))
        email = Email(command.email)
        password_hash = await self.hasher.hash(command.password)
        user_id = self.ids.new()
        new_metadata = EventMetadataFactory(self.ids, Actor(ActorType.USER, user_id), await self.clock.now())
        async with self.unit_of_work(command.idempotency) as work:
            if await work.users.find_by_email(email.key) is not None:
                raise EmailTaken
            user = User.register(user_id, email, password_hash, Role.USER, new_metadata())
            await work.users.add(user)
            outcome = UserOutcome(UserView.of(user), created=True)
            await work.commit(outcome)
        return outcome
