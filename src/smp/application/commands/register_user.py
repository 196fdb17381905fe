"""Make an account."""

from __future__ import annotations

from dataclasses import dataclass, field

from smp.application.causes import Causes
from smp.application.idempotency import IdempotentRequest
from smp.application.outcomes import UserOutcome
from smp.application.password_policy import PasswordPolicy
from smp.application.ports.clock import Clock
from smp.application.ports.ids import Ids
from smp.application.ports.password_hasher import PasswordHasher
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.application.queries.views import UserView
from smp.domain.actor import Actor, ActorType
from smp.domain.errors import EmailTaken, check_all
from smp.domain.user.user import Email, Role, User


@dataclass(frozen=True, slots=True)
class RegisterUser:
    """An end user registers with an email and a password."""

    email: str
    password: str = field(repr=False)
    request: IdempotentRequest | None = None


@dataclass(frozen=True, slots=True)
class RegisterUserHandler:
    """The new user is the actor of its own registration."""

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: Ids
    hasher: PasswordHasher
    policy: PasswordPolicy

    async def __call__(self, command: RegisterUser) -> UserOutcome:
        """The new user.

        Raises:
            InvalidValue: for a bad email or a weak password.
            EmailTaken: where another user has the email.
        """
        check_all(lambda: Email(command.email), lambda: self.policy.check(command.password))
        email = Email(command.email)
        password_hash = await self.hasher.hash(command.password)
        user_id = self.ids.new()
        causes = Causes(self.ids, Actor(ActorType.USER, user_id), await self.clock.now())
        async with self.unit_of_work(command.request) as work:
            if await work.users.find_by_email(email.key) is not None:
                raise EmailTaken
            user = User.register(user_id, email, password_hash, Role.USER, causes())
            await work.users.add(user)
            outcome = UserOutcome(UserView.of(user), created=True)
            await work.commit(outcome)
        return outcome
