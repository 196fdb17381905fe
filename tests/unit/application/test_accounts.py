"""Registration, administrators and access of users."""

from __future__ import annotations

from dataclasses import replace

import pytest

from smp.adapters.memory.store import MemoryStore
from smp.application.caller import ANONYMOUS, OPERATOR
from smp.application.commands.create_admin import CreateAdmin
from smp.application.commands.register_user import RegisterUser
from smp.application.commands.reset_password import ResetPassword
from smp.application.commands.update_user_access import UpdateUserAccess
from smp.application.errors import Overloaded
from smp.application.outcomes import UserOutcome
from smp.application.queries.views import UserView
from smp.domain.errors import EmailTaken, LastAdmin, UserNotFound, ValidationError
from smp.domain.events import SYSTEM, Actor, ActorType
from smp.domain.user.user import Role
from tests.support.builders import IDS, NOW, PASSWORD, a_session, a_user, an_admin
from tests.support.hashing import BusyHasher, InstantHasher
from tests.support.refusals import refused
from tests.support.storage import Storage
from tests.support.use_cases import UseCases

BAD_EMAILS = [
    "",
    "ann",
    "ann@",
    "@example.com",
    "a b@example.com",
    "ann@example..com",
    "a@b@c",
    f"{'a' * 250}@x.de",
    "a\x00@x.de",
]
EMOJI = "🐎🔋📎🦀🌵🍋🚲🎲🧭🪐🎻🧊🌋🪁🦉"
LONGEST = "".join(chr(0x4E00 + 37 * index) for index in range(1_024 // 2)) * 2
BAD_PASSWORDS = ["", "fourteen chars", "x" * 1_025, "passwordpassword", "123456789987654321"]


async def test_a_user_can_register(store: MemoryStore, use_cases: UseCases) -> None:
    """The account is enabled and has the role user. Only a hash of the password is stored. The user is the actor."""
    outcome = await use_cases(RegisterUser("Ann@Example.com", PASSWORD), ANONYMOUS)
    (kept,) = store.state.users.values()
    assert outcome == UserOutcome(
        UserView(kept.id, "Ann@Example.com", Role.USER, disabled=False, created_at=NOW), created=True
    )
    assert PASSWORD not in repr(kept)
    assert (await InstantHasher().verify(kept.password_hash, PASSWORD)).matches
    (event,) = store.events
    assert (event.type, event.occurred_at, event.actor) == ("user.registered", NOW, Actor(ActorType.USER, kept.id))
    assert event.data == {"role": "user"}


@pytest.mark.parametrize("password", ["zaXqWmKp    zmQa", "éàîœßñçøåüêõæþð", EMOJI, f"\x00{EMOJI}", LONGEST])
async def test_any_text_of_allowed_length_is_a_password(use_cases: UseCases, password: str) -> None:
    """The length is counted in code points; nothing is trimmed."""
    outcome = await use_cases(RegisterUser("ann@example.com", password), ANONYMOUS)
    assert outcome.created


@pytest.mark.parametrize("email", BAD_EMAILS)
async def test_registering_with_an_invalid_email_is_rejected(
    store: MemoryStore, use_cases: UseCases, email: str
) -> None:
    """The error points at the field of the request."""
    with refused(store, ValidationError) as caught:
        await use_cases(RegisterUser(email, PASSWORD), ANONYMOUS)
    assert caught.value.pointer == "/email"
    with refused(store, ValidationError):
        await use_cases(CreateAdmin(email, PASSWORD), OPERATOR)


@pytest.mark.parametrize("password", BAD_PASSWORDS)
async def test_registering_with_a_weak_password_is_rejected(
    store: MemoryStore, use_cases: UseCases, password: str
) -> None:
    """Too short, too long, or common."""
    with refused(store, ValidationError) as caught:
        await use_cases(RegisterUser("ann@example.com", password), ANONYMOUS)
    assert caught.value.pointer == "/password"
    with refused(store, ValidationError):
        await use_cases(CreateAdmin("ann@example.com", password), OPERATOR)


async def test_registering_with_a_taken_email_is_rejected(
    store: MemoryStore, storage: Storage, use_cases: UseCases
) -> None:
    """The case of letters makes no difference."""
    await storage.keep(a_user("ann@example.com"))
    with refused(store, EmailTaken):
        await use_cases(RegisterUser("ANN@example.com", PASSWORD), ANONYMOUS)
    with refused(store, EmailTaken):
        await use_cases(CreateAdmin("ANN@example.com", PASSWORD), OPERATOR)


async def test_registering_is_rejected_while_the_hashing_queue_is_full(store: MemoryStore, storage: Storage) -> None:
    """The client is asked to try again later."""
    with refused(store, Overloaded):
        await UseCases.over(storage, hasher=BusyHasher())(RegisterUser("ann@example.com", PASSWORD), ANONYMOUS)


async def test_the_operator_can_create_an_administrator(store: MemoryStore, use_cases: UseCases) -> None:
    """The actor is the system."""
    outcome = await use_cases(CreateAdmin("root@example.com", PASSWORD), OPERATOR)
    assert outcome is not None
    assert (outcome.user.role, outcome.created) == (Role.ADMIN, True)
    (event,) = store.events
    assert (event.occurred_at, event.actor, event.data) == (NOW, SYSTEM, {"role": "admin"})
    assert await use_cases(CreateAdmin("second@example.com", PASSWORD), OPERATOR) is not None


async def test_the_first_administrator_is_created_only_if_there_is_none(
    store: MemoryStore, storage: Storage, use_cases: UseCases
) -> None:
    """Users and disabled administrators do not count."""
    await storage.keep(a_user(), replace(an_admin("disabled@example.com"), disabled=True))
    first = CreateAdmin("root@example.com", PASSWORD, only_the_first=True)
    assert await use_cases(first, OPERATOR) is not None
    before = store.state
    assert await use_cases(CreateAdmin("second@example.com", PASSWORD, only_the_first=True), OPERATOR) is None
    assert store.state == before


async def test_role_and_access_are_changed_independently(
    store: MemoryStore, storage: Storage, use_cases: UseCases
) -> None:
    """A value that is not given stays as it was."""
    ann = a_user()
    await storage.keep(an_admin(), ann)

    async def change(role: Role | None = None, *, disabled: bool | None = None) -> tuple[Role, bool]:
        outcome = await use_cases(UpdateUserAccess(ann.id, role, disabled), OPERATOR)
        assert outcome.user == UserView.of(store.state.users[ann.id])
        assert not outcome.created
        return outcome.user.role, outcome.user.disabled

    assert await change(Role.ADMIN) == (Role.ADMIN, False)
    assert await change(disabled=True) == (Role.ADMIN, True)
    assert await change(Role.USER, disabled=False) == (Role.USER, False)
    assert await change() == (Role.USER, False)


async def test_disabling_a_user_ends_all_sessions_of_that_user(
    store: MemoryStore, storage: Storage, use_cases: UseCases
) -> None:
    ann, root = a_user(), an_admin()
    await storage.keep(root, ann, a_session(ann, "one"), a_session(ann, "two"), a_session(root, "root's"))
    await use_cases(UpdateUserAccess(ann.id, disabled=True), OPERATOR)
    assert [session.user_id for session in store.state.sessions.values()] == [root.id]


async def test_a_new_role_ends_no_session(store: MemoryStore, storage: Storage, use_cases: UseCases) -> None:
    ann = a_user()
    await storage.keep(ann, an_admin(), a_session(ann, "one"), a_session(ann, "two"))
    for role in (Role.ADMIN, Role.USER):
        await use_cases(UpdateUserAccess(ann.id, role), OPERATOR)
        assert len(store.state.sessions) == 2


async def test_the_last_enabled_administrator_can_be_neither_demoted_nor_disabled(
    store: MemoryStore, storage: Storage, use_cases: UseCases
) -> None:
    """With a second one it can. A change that leaves the administrator enabled is accepted."""
    root, other = an_admin(), an_admin("other@example.com")
    await storage.keep(root, other)
    await use_cases(UpdateUserAccess(other.id, disabled=True), OPERATOR)
    with refused(store, LastAdmin):
        await use_cases(UpdateUserAccess(root.id, role=Role.USER), OPERATOR)
    with refused(store, LastAdmin):
        await use_cases(UpdateUserAccess(root.id, disabled=True), OPERATOR)
    await use_cases(UpdateUserAccess(other.id, role=Role.USER), OPERATOR)
    await use_cases(UpdateUserAccess(root.id, role=Role.ADMIN, disabled=False), OPERATOR)
    assert store.state.users[root.id].is_enabled_admin


async def test_an_unknown_user_cannot_be_changed(store: MemoryStore, use_cases: UseCases) -> None:
    with refused(store, UserNotFound):
        await use_cases(UpdateUserAccess(IDS.new(), role=Role.ADMIN), OPERATOR)


async def test_an_operator_resets_a_password_and_all_sessions_of_the_user_end(
    store: MemoryStore, storage: Storage, use_cases: UseCases
) -> None:
    ann, bob = a_user("Ann@example.com"), a_user("bob@example.com")
    session, other = a_session(ann), a_session(bob)
    await storage.keep(ann, bob, session, other)
    outcome = await use_cases(ResetPassword("aNN@example.com", PASSWORD), OPERATOR)
    assert outcome.user.id == ann.id
    assert (await InstantHasher().verify(store.state.users[ann.id].password_hash, PASSWORD)).matches
    assert set(store.state.sessions) == {other.id}
    changed, revoked = store.events[-2:]
    assert (changed.type, changed.actor) == ("user.password_changed", SYSTEM)
    assert (revoked.type, revoked.subject_id) == ("session.revoked", session.id)


async def test_a_password_is_not_reset_to_a_weak_one_or_for_an_unknown_email(
    store: MemoryStore, storage: Storage, use_cases: UseCases
) -> None:
    await storage.keep(a_user("ann@example.com"))
    with refused(store, ValidationError):
        await use_cases(ResetPassword("ann@example.com", "short"), OPERATOR)
    with refused(store, UserNotFound):
        await use_cases(ResetPassword("bob@example.com", PASSWORD), OPERATOR)
