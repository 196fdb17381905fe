"""Signing in and out, passwords, and authentication of requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from smp.adapters.memory.store import MemoryStore
from smp.adapters.system.token_generator import SecretsTokenGenerator
from smp.application.caller import ANONYMOUS, OPERATOR, Caller
from smp.application.commands.change_password import ChangePassword
from smp.application.commands.create_api_key import CreateApiKey
from smp.application.commands.log_in import LogIn
from smp.application.commands.log_out import LogOut
from smp.application.commands.renew_session_token import RenewSessionToken
from smp.application.commands.revoke_api_key import RevokeApiKey
from smp.application.commands.revoke_session import RevokeSession
from smp.application.commands.revoke_sessions import RevokeSessions
from smp.application.errors import InvalidCredentials, NotAuthenticated, Overloaded, TooManyAttempts
from smp.application.paging import PageRequest
from smp.application.ports.password_hasher import PasswordHasher
from smp.application.queries.authenticate import Authenticate
from smp.application.queries.list_api_keys import ListApiKeys
from smp.application.queries.list_sessions import ListSessions
from smp.application.queries.views import ApiKeyView, SessionView, UserView
from smp.domain.errors import SessionNotFound, UserNotFound, ValidationError
from smp.domain.events import Actor, ActorType
from smp.domain.user.user import Role, User
from tests.support.builders import (
    DAY,
    IDS,
    NOW,
    PASSWORD,
    SESSIONS,
    TICK,
    a_session,
    a_token,
    a_user,
    an_admin,
    caller_of,
)
from tests.support.hashing import BusyHasher, InstantHasher, WatchedHasher
from tests.support.refusals import refused
from tests.support.storage import Storage
from tests.support.use_cases import UseCases

WRONG = "another password, quite as long"
MINUTE = timedelta(minutes=1)


async def ann_with_password(storage: Storage, hasher: PasswordHasher | None = None, role: Role = Role.USER) -> User:
    """Return Ann, who can sign in."""
    ann = a_user(role=role, password_hash=await (hasher or InstantHasher()).hash(PASSWORD))
    await storage.keep(ann)
    return replace(ann, events=())


async def test_a_user_can_sign_in(store: MemoryStore, storage: Storage, use_cases: UseCases) -> None:
    """The token is new and only its digest is stored. The case of the email makes no difference."""
    ann = await ann_with_password(storage)
    logged_in = await use_cases(LogIn("ANN@example.com", PASSWORD, "192.0.2.1", "Mozilla/5.0"), ANONYMOUS)
    assert logged_in.user == UserView.of(ann)
    assert logged_in.expires_at == NOW + SESSIONS.user.absolute
    (session,) = store.state.sessions.values()
    assert session.token_digest == SecretsTokenGenerator().digest(logged_in.token)
    assert logged_in.token not in repr(store.state)
    assert (session.user_id, session.created_at, session.last_seen_at) == (ann.id, NOW, NOW)
    assert (session.source, session.user_agent) == ("192.0.2.1", "Mozilla/5.0")
    caller = await use_cases(Authenticate(session_token=logged_in.token), ANONYMOUS)
    assert caller == caller_of(ann, session.id)


async def test_every_login_creates_a_new_session(store: MemoryStore, storage: Storage, use_cases: UseCases) -> None:
    """The tokens differ. The session of an administrator is shorter."""
    await ann_with_password(storage, role=Role.ADMIN)
    one, other = [await use_cases(LogIn("ann@example.com", PASSWORD), ANONYMOUS) for _ in range(2)]
    assert one.token != other.token
    assert one.expires_at == NOW + SESSIONS.admin.absolute
    assert len(store.state.sessions) == 2


async def test_a_login_ends_the_session_that_the_client_sent(
    store: MemoryStore, storage: Storage, use_cases: UseCases
) -> None:
    """Regardless of its owner, so that an attacker who planted the session cannot use it."""
    await ann_with_password(storage)
    bob = a_user("bob@example.com")
    await storage.keep(bob, a_session(bob, "planted"))
    await use_cases(LogIn("ann@example.com", PASSWORD, presented_tokens=[a_token(bob, "planted")]), ANONYMOUS)
    assert len(store.state.sessions) == 1
    with pytest.raises(NotAuthenticated):
        await use_cases(Authenticate(session_token=a_token(bob, "planted")), ANONYMOUS)
    for unknown in ("unknown", a_token(bob, "unknown"), a_token(a_user("eve@example.com"), "planted")):
        await use_cases(LogIn("ann@example.com", PASSWORD, presented_tokens=[unknown]), ANONYMOUS)


async def test_every_failed_login_gives_the_same_error(store: MemoryStore, storage: Storage) -> None:
    """Unknown email, wrong password, disabled user, and no email. A password is hashed each time."""
    hasher = WatchedHasher()
    cases = UseCases.over(storage, hasher=hasher)
    ann = await ann_with_password(storage, hasher)
    gone = replace(a_user("gone@example.com", password_hash=ann.password_hash), disabled=True)
    await storage.keep(gone, a_session(ann, "brought"))
    for email, password in (
        ("nobody@example.com", PASSWORD),
        ("ann@example.com", WRONG),
        ("gone@example.com", PASSWORD),
        ("not an email", PASSWORD),
        ("", ""),
    ):
        with refused(store, InvalidCredentials, counts_attempt=True):
            await cases(LogIn(email, password, presented_tokens=[a_token(ann, "brought")]), ANONYMOUS)
    assert [password_hash for password_hash, _ in hasher.verified] == [
        None,
        ann.password_hash,
        ann.password_hash,
        None,
        None,
    ]


async def test_after_ten_wrong_passwords_the_account_is_blocked_for_a_while(
    store: MemoryStore, storage: Storage
) -> None:
    """Even the right password is not checked then. After the wait it is, and a success removes the failures."""
    hasher = WatchedHasher()
    cases = UseCases.over(storage, hasher=hasher)
    await ann_with_password(storage, hasher)
    for number in range(10):
        with refused(store, InvalidCredentials, counts_attempt=True):
            await cases(LogIn("ann@example.com", WRONG, f"source {number}"), ANONYMOUS)
    with refused(store, TooManyAttempts) as caught:
        await cases(LogIn("Ann@example.com", PASSWORD, "yet another source"), ANONYMOUS)
    assert caught.value.retry_after_s == 30
    assert len(hasher.verified) == 10
    storage.real_time.instant = NOW + 30 * timedelta(seconds=1)
    assert (await cases(LogIn("ann@example.com", PASSWORD), ANONYMOUS)).token
    for _ in range(9):
        with refused(store, InvalidCredentials, counts_attempt=True):
            await cases(LogIn("ann@example.com", WRONG), ANONYMOUS)


async def test_a_login_that_could_not_be_checked_does_not_count_as_an_attempt(
    store: MemoryStore, storage: Storage
) -> None:
    """The hashing queue was full."""
    await ann_with_password(storage)
    for _ in range(20):
        with refused(store, Overloaded):
            await UseCases.over(storage, hasher=BusyHasher())(LogIn("ann@example.com", PASSWORD), ANONYMOUS)


async def test_a_login_replaces_an_outdated_hash(store: MemoryStore, storage: Storage) -> None:
    ann = await ann_with_password(storage)
    await UseCases.over(storage, hasher=WatchedHasher(outdated=True))(LogIn("ann@example.com", PASSWORD), ANONYMOUS)
    assert store.state.users[ann.id].password_hash == f"new {ann.password_hash}"


@pytest.mark.parametrize(
    "change", [lambda user: replace(user, password_hash="x"), lambda user: replace(user, disabled=True)]
)
async def test_a_change_during_a_login_rejects_the_login(
    store: MemoryStore, storage: Storage, change: Callable[[User], User]
) -> None:
    """The password was changed or the account disabled while the old password was checked."""
    ann = await ann_with_password(storage)

    async def during_the_check() -> None:
        async with storage.unit_of_work() as work:
            await work.users.save(change(ann))
            await work.commit()

    with pytest.raises(InvalidCredentials):
        await UseCases.over(storage, hasher=WatchedHasher(during_the_check))(
            LogIn("ann@example.com", PASSWORD), ANONYMOUS
        )
    assert store.state.sessions == {}


async def test_signing_out_ends_only_this_session(store: MemoryStore, storage: Storage, use_cases: UseCases) -> None:
    """A second time changes nothing."""
    ann = a_user()
    phone, laptop = a_session(ann, "phone"), a_session(ann, "laptop")
    await storage.keep(ann, phone, laptop)
    for _ in range(2):
        await use_cases(LogOut(), caller_of(ann, phone.id))
        assert list(store.state.sessions.values()) == [laptop]


async def test_a_user_can_revoke_their_other_sessions(
    store: MemoryStore, storage: Storage, use_cases: UseCases
) -> None:
    """The session of another user is not found."""
    ann, bob = a_user(), a_user("bob@example.com")
    phone, bobs = a_session(ann, "phone"), a_session(bob, "bob's")
    await storage.keep(ann, bob, phone, bobs)
    await use_cases(RevokeSession(ann.id, phone.id), OPERATOR)
    for session_id in (phone.id, bobs.id, IDS.new()):
        with refused(store, SessionNotFound):
            await use_cases(RevokeSession(ann.id, session_id), OPERATOR)


async def test_a_user_can_revoke_all_other_sessions(store: MemoryStore, storage: Storage, use_cases: UseCases) -> None:
    """The session of the request stays, and so do those of other users."""
    ann, bob = a_user(), a_user("bob@example.com")
    mine, bobs = a_session(ann, "mine"), a_session(bob, "bob's")
    await storage.keep(ann, bob, mine, bobs, a_session(ann, "one"), a_session(ann, "other"))
    await use_cases(RevokeSessions(ann.id, keep_current=True), caller_of(ann, mine.id))
    assert list(store.state.sessions.values()) == [mine, bobs]


async def test_changing_the_password_ends_all_sessions_and_opens_a_new_one(
    store: MemoryStore, storage: Storage, use_cases: UseCases
) -> None:
    """A token that someone has read is worthless then."""
    ann = await ann_with_password(storage)
    mine = a_session(ann, "mine")
    await storage.keep(mine, a_session(ann, "other"))
    opened = await use_cases(ChangePassword(PASSWORD, WRONG, "192.0.2.1", "a browser"), caller_of(ann, mine.id))
    assert (await InstantHasher().verify(store.state.users[ann.id].password_hash, WRONG)).matches
    (session,) = store.state.sessions.values()
    assert session.id != mine.id
    assert (session.source, session.user_agent) == ("192.0.2.1", "a browser")
    assert (await use_cases(Authenticate(session_token=opened.token), ANONYMOUS)).session_id == session.id
    assert list(store.state.attempts) == []


async def test_failed_logins_do_not_prevent_a_change_of_the_password(storage: Storage, use_cases: UseCases) -> None:
    """Anyone can cause them. Wrong current passwords do not prevent a login either."""
    ann = await ann_with_password(storage)
    for number in range(10):
        with pytest.raises(InvalidCredentials):
            await use_cases(LogIn("ann@example.com", WRONG, f"source {number}"), ANONYMOUS)
    with pytest.raises(TooManyAttempts):
        await use_cases(LogIn("ann@example.com", PASSWORD, "another source"), ANONYMOUS)
    await use_cases(ChangePassword(PASSWORD, WRONG), caller_of(ann))


async def test_the_twenty_first_session_ends_the_oldest(
    store: MemoryStore, storage: Storage, use_cases: UseCases
) -> None:
    ann = await ann_with_password(storage)
    opened = [await use_cases(LogIn("ann@example.com", PASSWORD), ANONYMOUS) for _ in range(21)]
    assert len(store.state.sessions) == 20
    with pytest.raises(NotAuthenticated):
        await use_cases(Authenticate(session_token=opened[0].token), ANONYMOUS)
    for one in opened[1:]:
        assert (await use_cases(Authenticate(session_token=one.token), ANONYMOUS)).is_user(ann.id)
    (event,) = [event for event in store.state.events.values() if event.type == "session.revoked"]
    assert event.data == {"reason": "session_limit"}


@pytest.mark.parametrize("new", ["", "fourteen chars", "x" * 1_025, "passwordpassword"])
async def test_a_weak_new_password_is_rejected(
    store: MemoryStore, storage: Storage, use_cases: UseCases, new: str
) -> None:
    """The old password is not checked then."""
    ann = await ann_with_password(storage)
    with refused(store, ValidationError) as caught:
        await use_cases(ChangePassword(WRONG, new), caller_of(ann))
    assert caught.value.pointer == "/new_password"


async def test_changing_the_password_needs_the_old_one(
    store: MemoryStore, storage: Storage, use_cases: UseCases
) -> None:
    """Wrong ones count as failed logins."""
    ann = await ann_with_password(storage)
    await storage.keep(a_session(ann))
    for _ in range(10):
        with refused(store, InvalidCredentials, counts_attempt=True):
            await use_cases(ChangePassword(WRONG, WRONG), caller_of(ann))
    with refused(store, TooManyAttempts):
        await use_cases(ChangePassword(PASSWORD, WRONG), caller_of(ann))


async def test_of_two_simultaneous_password_changes_the_first_wins(store: MemoryStore, storage: Storage) -> None:
    ann = await ann_with_password(storage)

    async def during_the_check() -> None:
        async with storage.unit_of_work() as work:
            await work.users.save(replace(ann, password_hash="changed elsewhere"))
            await work.commit()

    with pytest.raises(InvalidCredentials):
        await UseCases.over(storage, hasher=WatchedHasher(during_the_check))(
            ChangePassword(PASSWORD, WRONG), caller_of(ann)
        )
    assert store.state.users[ann.id].password_hash == "changed elsewhere"


async def test_changing_the_password_is_rejected_while_the_hashing_queue_is_full(
    store: MemoryStore, storage: Storage
) -> None:
    """The attempt does not count."""
    ann = await ann_with_password(storage)
    with refused(store, Overloaded):
        await UseCases.over(storage, hasher=BusyHasher())(ChangePassword(PASSWORD, WRONG), caller_of(ann))


async def test_the_password_of_an_unknown_user_cannot_be_changed(store: MemoryStore, use_cases: UseCases) -> None:
    with refused(store, UserNotFound):
        await use_cases(ChangePassword(PASSWORD, WRONG), caller_of(a_user("gone@example.com")))


async def test_a_request_without_valid_credentials_is_rejected(
    store: MemoryStore, storage: Storage, use_cases: UseCases
) -> None:
    """No token, an unknown one, that of a disabled user, an unknown key."""
    gone = replace(a_user("gone@example.com"), disabled=True)
    await storage.keep(gone, a_session(gone, "gone's"))
    for query in (
        Authenticate(),
        Authenticate(session_token=""),
        Authenticate(session_token="unknown"),
        Authenticate(session_token=a_token(gone, "unknown")),
        Authenticate(session_token=a_token(a_user(), "gone's")),
        Authenticate(session_token=a_token(gone, "gone's")),
        Authenticate(api_key="unknown"),
        Authenticate(session_token=a_token(gone, "gone's"), api_key="gone's"),
    ):
        with refused(store, NotAuthenticated):
            await use_cases(query, ANONYMOUS)


@pytest.mark.parametrize("role", Role)
async def test_an_unused_session_ends_exactly_after_its_idle_time(
    storage: Storage, use_cases: UseCases, role: Role
) -> None:
    """The idle time depends on the role."""
    ann = a_user(role=role)
    await storage.keep(ann, a_session(ann, "token"))
    idle = SESSIONS.of(role).idle
    await use_cases.set_clock(NOW + idle - TICK)
    caller = await use_cases(Authenticate(session_token=a_token(ann, "token")), ANONYMOUS)
    assert caller.actor.type == role.value
    assert caller.name == f"user:{ann.id}"
    await use_cases.set_clock(NOW + 2 * idle - TICK)
    with pytest.raises(NotAuthenticated):
        await use_cases(Authenticate(session_token=a_token(ann, "token")), ANONYMOUS)


async def test_a_used_session_ends_at_its_absolute_age(storage: Storage, use_cases: UseCases) -> None:
    ann = a_user()
    await storage.keep(ann, a_session(ann, "token"))
    for day in range(1, 30):
        await use_cases.set_clock(NOW + day * DAY)
        await use_cases(Authenticate(session_token=a_token(ann, "token")), ANONYMOUS)
    await use_cases.set_clock(NOW + 30 * DAY)
    with pytest.raises(NotAuthenticated):
        await use_cases(Authenticate(session_token=a_token(ann, "token")), ANONYMOUS)


async def test_the_last_use_of_a_session_is_stored_at_most_once_a_minute(
    store: MemoryStore, storage: Storage, use_cases: UseCases
) -> None:
    """A page with many requests writes once."""
    ann = a_user()
    session = a_session(ann, "token")
    await storage.keep(ann, session)
    await use_cases.set_clock(NOW + MINUTE - TICK)
    before = store.state
    await use_cases(Authenticate(session_token=a_token(ann, "token")), ANONYMOUS)
    assert store.state == before
    await use_cases.set_clock(NOW + MINUTE)
    await use_cases(Authenticate(session_token=a_token(ann, "token")), ANONYMOUS)
    assert store.state.sessions[session.id].last_seen_at == NOW + MINUTE


async def test_a_change_of_role_takes_effect_on_the_next_request(storage: Storage, use_cases: UseCases) -> None:
    """This includes sessions that exist already."""
    ann = an_admin()
    await storage.keep(ann, a_session(ann, "token"))
    async with storage.unit_of_work() as work:
        await work.users.save(replace(ann, role=Role.USER, events=()))
        await work.commit()
    caller = await use_cases(Authenticate(session_token=a_token(ann, "token")), ANONYMOUS)
    assert caller.actor == Actor(ActorType.USER, ann.id)


@pytest.mark.parametrize(
    ("issued_for", "role", "outdated"),
    [
        (Role.USER, Role.ADMIN, True),
        (Role.USER, Role.USER, False),
        (Role.ADMIN, Role.ADMIN, False),
        (Role.ADMIN, Role.USER, False),
        (None, Role.ADMIN, False),
    ],
)
async def test_a_token_is_outdated_if_its_user_has_become_an_administrator_since(
    storage: Storage, use_cases: UseCases, issued_for: Role | None, role: Role, *, outdated: bool
) -> None:
    """A session of version 0.1 does not know for which role its token was issued, and keeps it."""
    ann = a_user(role=role)
    await storage.keep(ann, replace(a_session(ann, "token"), token_role=issued_for))
    caller = await use_cases(Authenticate(session_token=a_token(ann, "token")), ANONYMOUS)
    assert caller.has_outdated_token is outdated


@pytest.mark.parametrize("role", Role)
async def test_a_session_remembers_for_which_role_its_token_was_issued(
    store: MemoryStore, storage: Storage, use_cases: UseCases, role: Role
) -> None:
    ann = await ann_with_password(storage, role=role)
    await use_cases(LogIn("ann@example.com", PASSWORD), ANONYMOUS)
    await use_cases(ChangePassword(PASSWORD, WRONG), caller_of(ann))
    assert [session.token_role for session in store.state.sessions.values()] == [role]


async def test_a_renewed_token_takes_the_place_of_the_old_one_which_cannot_be_renewed_again(
    store: MemoryStore, storage: Storage, use_cases: UseCases
) -> None:
    ann = a_user(role=Role.ADMIN)
    await storage.keep(ann, replace(a_session(ann, "token"), token_role=Role.USER))
    await use_cases.set_clock(NOW + MINUTE)
    old = Authenticate(session_token=a_token(ann, "token"))
    caller = await use_cases(old, ANONYMOUS)
    renewed = await use_cases(RenewSessionToken(), caller)
    assert (renewed.issued_at, renewed.expires_at) == (NOW + MINUTE, NOW + SESSIONS.admin.absolute)
    assert await use_cases(Authenticate(session_token=renewed.token), ANONYMOUS) == replace(
        caller, has_outdated_token=False
    )
    with pytest.raises(NotAuthenticated):
        await use_cases(old, ANONYMOUS)
    with refused(store, NotAuthenticated):
        await use_cases(RenewSessionToken(), caller)


async def test_a_user_sees_their_running_sessions_newest_first(storage: Storage, use_cases: UseCases) -> None:
    """The session of the request is marked."""
    ann = a_user()
    over, old, new = a_session(ann, "over", NOW - 8 * DAY), a_session(ann, "old", NOW - DAY), a_session(ann, "new")
    await storage.keep(ann, over, old, new)
    page = await use_cases(ListSessions(ann.id), caller_of(ann, old.id))
    assert page.next is None
    assert list(page.items) == [
        SessionView(
            session.id,
            session.created_at,
            session.last_seen_at,
            session.last_seen_at + SESSIONS.user.idle,
            session.source,
            session.user_agent,
            session is old,
        )
        for session in (new, old)
    ]
    first = await use_cases(ListSessions(ann.id, PageRequest(2)), caller_of(ann))
    assert first.next is not None
    last = await use_cases(ListSessions(ann.id, PageRequest(2, first.next)), caller_of(ann))
    assert (list(last.items), last.next) == ([], None)


async def test_a_service_authenticates_with_its_api_key(store: MemoryStore, use_cases: UseCases) -> None:
    """The secret is shown once, and only its digest is stored. The id of the caller is the id of the key."""
    new = await use_cases(CreateApiKey("shop"), OPERATOR)
    assert new.key == ApiKeyView(new.key.id, "shop", NOW, None)
    assert new.secret.startswith("smp_")
    assert new.secret not in repr(store.state)
    assert new.secret not in repr(new)
    caller = await use_cases(Authenticate(api_key=new.secret), ANONYMOUS)
    assert caller == Caller.of_service(new.key.id)
    assert caller.name == f"service:{new.key.id}"


async def test_a_revoked_api_key_is_rejected_from_the_next_request_on(store: MemoryStore, use_cases: UseCases) -> None:
    """Revoking it a second time is not found."""
    new = await use_cases(CreateApiKey("shop"), OPERATOR)
    await use_cases.set_clock(NOW + DAY)
    assert await use_cases(RevokeApiKey(new.key.id), OPERATOR) is True
    with refused(store, NotAuthenticated):
        await use_cases(Authenticate(api_key=new.secret), ANONYMOUS)
    for key_id in (new.key.id, IDS.new()):
        assert await use_cases(RevokeApiKey(key_id), OPERATOR) is False
    assert list(await use_cases(ListApiKeys(), OPERATOR)) == [ApiKeyView(new.key.id, "shop", NOW, NOW + DAY)]


@pytest.mark.parametrize("name", ["", " ", "x" * 101, "a\x00b"])
async def test_an_api_key_needs_a_name(store: MemoryStore, use_cases: UseCases, name: str) -> None:
    """It is neither blank nor too long."""
    with refused(store, ValidationError):
        await use_cases(CreateApiKey(name), OPERATOR)


async def test_the_representation_of_a_command_has_no_secret() -> None:
    """A command that is logged by mistake reveals nothing."""
    for command in (
        LogIn("ann@example.com", PASSWORD, presented_tokens=[PASSWORD]),
        ChangePassword(PASSWORD, PASSWORD),
    ):
        assert PASSWORD not in repr(command)
