"""Register a user."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from smp.application.caller import Caller
from smp.application.errors import RegistrationClosed
from smp.application.event_metadata import EventMetadataFactory
from smp.application.idempotency import IdempotencyKey
from smp.application.outcomes import UserOutcome
from smp.application.password_policy import PasswordPolicy
from smp.application.ports.clock import Clock
from smp.application.ports.id_generator import IdGenerator
from smp.application.ports.password_hasher import PasswordHasher
from smp.application.ports.registration_throttle import RegistrationThrottle
from smp.application.ports.unit_of_work import UnitOfWorkFactory
from smp.application.queries.views import UserView
from smp.domain.errors import EmailTaken, collect_errors
from smp.domain.events import Actor, ActorType
from smp.domain.scopes import Scope
from smp.domain.user.user import Email, Role, User


class Registration(StrEnum):
    """Who may create accounts: everyone (``open``), or those who may write users (``closed``)."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class RegisterUser:
    """The command to create an account with an email and a password.

    ``source`` is where it comes from; without one, the registration does not count for the limit of a source.
    """

    email: str
    password: str = field(repr=False)
    idempotency: IdempotencyKey | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class RegisterUserHandler:
    """The handler of :class:`RegisterUser`. The new user is the actor of the registration.

    A caller who may write users registers others: without a limit, and also if registration is closed.
    """

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    ids: IdGenerator
    hasher: PasswordHasher
    policy: PasswordPolicy
    throttle: RegistrationThrottle
    registration: Registration

    async def __call__(self, command: RegisterUser, caller: Caller) -> UserOutcome:
        """Create the user.

        Raises:
            RegistrationClosed: if registration is closed.
            ValidationError: if the email or the password is not allowed.
            TooManyRegistrations: if the source has to wait; the password is not hashed then.
            EmailTaken: if another user has the email.
            Overloaded: if too many passwords are being hashed.
        """
        is_for_others = Scope.USERS_WRITE in caller.scopes
        if self.registration is Registration.CLOSED and not is_for_others:
            raise RegistrationClosed
        collect_errors(lambda: Email(command.email), lambda: self.policy.check(command.password, command.email))
        email = Email(command.email)
        if command.source is not None and not is_for_others:
            await self.throttle.attempt(command.source)
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
