"""Sign in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from smp.application.caller import Caller
from smp.application.errors import InvalidCredentials, Overloaded
from smp.application.event_metadata import EventMetadataFactory
from smp.application.ports.clock import Clock, RealTime
from smp.application.ports.id_generator import IdGenerator
from smp.application.ports.login_throttle import LoginThrottle
from smp.application.ports.password_hasher import PasswordHasher
from smp.application.ports.token_generator import TokenGenerator
from smp.application.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory
from smp.application.session_opening import OpenedSession, SessionOpener
from smp.application.session_revocation import record_revoked
from smp.application.session_token import owner_named_by
from smp.domain.events import Actor, ActorType
from smp.domain.user.session import RevocationReason
from smp.domain.user.user import Role, User, email_key


@dataclass(frozen=True, slots=True)
class LogIn:
    """The command to sign in.

    ``presented_tokens`` are the session tokens that the client sent. A successful sign-in ends those sessions.
    """

    email: str
    password: str = field(repr=False)
    source: str = ""
    user_agent: str = ""
    presented_tokens: Sequence[str] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class LogInHandler:
    """The handler of :class:`LogIn`.

    An unknown email, a wrong password and a disabled user take the same time and raise the same error, so that the
    answer does not reveal which accounts exist.
    """

    unit_of_work: UnitOfWorkFactory
    clock: Clock
    real_time: RealTime
    ids: IdGenerator
    tokens: TokenGenerator
    hasher: PasswordHasher
    throttle: LoginThrottle
    sessions: SessionOpener

    async def __call__(self, command: LogIn, caller: Caller) -> OpenedSession:
        """Open a session.

        Raises:
            InvalidCredentials: if the email or password is wrong, or the user is disabled.
            TooManyAttempts: if the account or the source has to wait; the password is not verified then.
            Overloaded: if too many passwords are being verified.
        """
        account = email_key(command.email)
        await self.throttle.attempt(account, command.source, await self.real_time.now())
        try:
            user = await self._find(account)
            verification = await self.hasher.verify(None if user is None else user.password_hash, command.password)
        except Overloaded:
            await self.throttle.cancel(account, command.source)
            raise
        if user is None or user.disabled or not verification.matches:
            raise InvalidCredentials
        await self.throttle.succeeded(account, command.source)
        rehashed = await self._rehashed(command.password) if verification.needs_rehash else None
        return await self._open_session(user, command, await self.clock.now(), rehashed)

    async def _rehashed(self, password: str) -> str | None:
        """Return a hash with today's parameters; ``None`` if there is no place: the next sign-in tries again."""
        try:
            return await self.hasher.hash(password)
        except Overloaded:
            return None

    async def _find(self, account: str) -> User | None:
        async with self.unit_of_work() as work:
            return await work.users.find_by_email(account)

    async def _open_session(self, user: User, command: LogIn, now: datetime, rehashed: str | None) -> OpenedSession:
        new_metadata = _metadata_of(self.ids, user, now)
        async with self.unit_of_work() as work:
            # The user is locked before sessions, and these in the order of their tokens, as everywhere: no deadlocks.
            current = await work.users.get(user.id, for_update=True)
            if current.disabled or current.password_hash != user.password_hash:
                raise InvalidCredentials
            for presented in sorted(command.presented_tokens, key=self.tokens.digest):
                await self._end(work, presented, new_metadata)
            if rehashed is not None:
                await work.users.save(current.with_rehashed_password(rehashed))
            opened = await self.sessions.open(work, current, command.source, command.user_agent, new_metadata)
            await work.commit()
        return opened

    async def _end(self, work: UnitOfWork, token: str, new_metadata: EventMetadataFactory) -> None:
        """End the session with this token, regardless of its owner."""
        owner = owner_named_by(token)
        if owner is not None:
            revoked = await work.sessions.remove_by_digest(owner, self.tokens.digest(token))
            await record_revoked(work, owner, revoked, RevocationReason.LOGIN, new_metadata)


def _metadata_of(ids: IdGenerator, user: User, now: datetime) -> EventMetadataFactory:
    actor_type = ActorType.ADMIN if user.role is Role.ADMIN else ActorType.USER
    return EventMetadataFactory(ids, Actor(actor_type, user.id), now)
