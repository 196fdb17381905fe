"""Races between two server processes on one PostgreSQL; each also fails without its guard.

All guards are in the database. The second test of each pair repeats the race on a database without them until it
fails.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

import pytest

from smp.adapters.security.argon2_hasher import Argon2PasswordHasher
from tests.support import unguarded
from tests.support.clients import Call, Reply, send, send_all
from tests.support.populations import Account, Population, population, wait_for, with_search_path
from tests.support.postgres import Server, own_database
from tests.support.processes import run, serving_each, short_folder

CALLERS: Final = 48
ROUNDS: Final = 8
ROUNDS_UNTIL_FAILED: Final = 20
RENEWALS: Final = 20
PATCHES: Final = 50
GUESSES: Final = 200
GUESSES_ALLOWED: Final = 10
PASSWORD: Final = "correct horse battery staple"

Found = TypeVar("Found")
Answers = Counter[tuple[int, str | None]]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two server processes on one database."""

    url: str
    ports: tuple[int, int]

    def by_turns(self, number: int) -> Iterator[int]:
        """Return this many ports, alternating between the two."""
        return (self.ports[turn % 2] for turn in range(number))


# --- the databases ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(postgres_server: Server, worker_id: str, environ: dict[str, str]) -> Iterator[Pair]:
    """Run two processes on a complete database; its invariants hold after the race."""
    with _pair(postgres_server, worker_id, environ) as pair:
        yield pair
        checked = run({**environ, "SMP_DATABASE_URL": pair.url}, "doctor")
        assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.fixture(scope="module")
def unconstrained(postgres_server: Server, worker_id: str, environ: dict[str, str]) -> Iterator[Pair]:
    """Run two processes on a database without constraints, stored outcomes, and shared counts of login attempts."""
    statements = (
        *unguarded.prepared(),
        "DROP INDEX subscriptions_one_live",
        "ALTER TABLE subscription_spans DROP CONSTRAINT subscriptions_no_overlap",
        "ALTER TABLE trials DROP CONSTRAINT trials_once_per_plan",
        *unguarded.without_advisory_locks(),
        *unguarded.with_unfindable_keys(),
        *unguarded.with_separate_table("apart", "login_throttle"),
    )
    with _pair(postgres_server, worker_id, environ, statements, f"apart,{unguarded.SEARCH_PATH}") as pair:
        yield pair


@pytest.fixture(scope="module")
def unlocked(postgres_server: Server, worker_id: str, environ: dict[str, str]) -> Iterator[Pair]:
    """Run two processes without row locks, and without the unique versions of events, which would detect the loss."""
    statements = (
        *unguarded.prepared(),
        *(
            statement
            for table in ("subscriptions", "plans", "users")
            for statement in unguarded.without_row_locks(table)
        ),
        *unguarded.without_advisory_locks(),
        "ALTER TABLE event_log DROP CONSTRAINT event_log_version_key",
    )
    with _pair(postgres_server, worker_id, environ, statements) as pair:
        yield pair


@contextmanager
def _pair(
    server: Server, worker_id: str, environ: dict[str, str], statements: Sequence[str] = (), search_path: str = ""
) -> Iterator[Pair]:
    """Run two processes after these statements; the second one uses the schemas of ``search_path``."""
    with own_database(server, worker_id, server.template) as url, short_folder() as folder:
        wait_for(_execute(url, statements))
        urls = (url, with_search_path(url, search_path) if search_path else url)
        environs = [{**environ, "SMP_DATABASE_URL": each} for each in urls]
        with serving_each(environs, folder) as (first, second):
            yield Pair(url, (first.port, second.port))


async def _execute(url: str, statements: Sequence[str]) -> None:
    async with population(url) as users:
        await users.execute(*statements)


@pytest.fixture
async def users(guarded: Pair) -> AsyncIterator[Population]:
    """Open the complete database."""
    async with population(guarded.url) as users:
        yield users


async def assert_fails(
    pair: Pair, race: Callable[[Pair, Population], Awaitable[Found]], failed: Callable[[Found], bool]
) -> None:
    """Repeat the race until it fails."""
    async with population(pair.url) as users:
        for _ in range(ROUNDS_UNTIL_FAILED):
            if failed(await race(pair, users)):
                return
    pytest.fail("the race passes without its guard, so it does not test the guard")


async def at_once(calls: Sequence[Call]) -> list[Reply]:
    """Send all requests at once, and return the answers."""
    replies = await send_all(calls)
    assert [reply for reply in replies if isinstance(reply, OSError)] == []
    return [reply for reply in replies if isinstance(reply, Reply)]


def answer_counts(replies: Iterable[Reply]) -> Answers:
    """Return how often each answer occurred."""
    return Counter((reply.status, reply.slug) for reply in replies)


# --- one live subscription --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The result of many simultaneous subscriptions of one user."""

    answers: Answers
    live: int
    ever: int
    events: int


async def subscribe(pair: Pair, users: Population, how: str, plans: int) -> Subscribed:
    """Subscribe one user to these plans at the same time."""
    ann = await users.account()
    codes = [(await users.plan()).code for _ in range(plans)]
    path = f"/v1/me/subscription/{how}"
    replies = await at_once(
        [ann.call(port, "POST", path, {"plan": codes[n % plans]}) for n, port in enumerate(pair.by_turns(CALLERS))]
    )
    (row,) = await users.rows(
        "SELECT count(*) AS ever, count(*) FILTER (WHERE status IN ('trial', 'active')) AS live,"
        " (SELECT count(*) FROM event_log WHERE user_id = $1 AND type LIKE 'subscription.%') AS events"
        " FROM subscriptions WHERE user_id = $1",
        ann.id,
    )
    return Subscribed(answer_counts(replies), row["live"], row["ever"], row["events"])


async def start_trials(pair: Pair, users: Population) -> Subscribed:
    return await subscribe(pair, users, "trial", plans=1)


async def activate(pair: Pair, users: Population) -> Subscribed:
    return await subscribe(pair, users, "activate", plans=2)


async def test_a_user_starts_one_trial_with_many_simultaneous_requests(guarded: Pair, users: Population) -> None:
    """One 201, one row, one event, and 409 for all others."""
    for _ in range(ROUNDS):
        found = await start_trials(guarded, users)
        others = found.answers[409, "live-subscription-exists"] + found.answers[409, "trial-already-used"]
        assert (found.answers[201, None], others) == (1, CALLERS - 1), found
        assert (found.live, found.ever, found.events) == (1, 1, 1)


async def test_without_constraints_a_user_starts_many_trials(unconstrained: Pair) -> None:
    await assert_fails(unconstrained, start_trials, lambda found: found.live > 1 and found.answers[201, None] > 1)


async def test_a_user_activates_one_subscription_with_many_simultaneous_requests(
    guarded: Pair, users: Population
) -> None:
    """For different plans too."""
    for _ in range(ROUNDS):
        found = await activate(guarded, users)
        assert found.answers == {(201, None): 1, (409, "live-subscription-exists"): CALLERS - 1}
        assert (found.live, found.ever, found.events) == (1, 1, 1)


async def test_without_constraints_a_user_activates_many_subscriptions(unconstrained: Pair) -> None:
    await assert_fails(unconstrained, activate, lambda found: found.live > 1 and found.answers[201, None] > 1)


# --- idempotency keys -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Renewed:
    """The result of renewals of one subscription at version 1."""

    replies: list[Reply]
    version: int
    periods: int
    event_versions: list[int]

    @property
    def renewals(self) -> int:
        """Return how many callers got the response of a renewal that is not a replay."""
        return sum(reply.status == 200 and not reply.is_replayed for reply in self.replies)


async def renew_with_one_key(pair: Pair, users: Population) -> Renewed:
    """Send one request of one caller under one key from many clients."""
    ann = await subscriber(pair, users)
    calls = [renewal(ann, port, idempotency_key="one-key") for port in pair.by_turns(CALLERS)]
    replies = await at_once(calls)
    again = [await send(call) for call in calls[:2]]  # one at each process, after the first has been answered
    return await renewed(users, ann, [*replies, *again])


async def subscriber(pair: Pair, users: Population) -> Account:
    ann, plan = await users.account(), await users.plan()
    reply = await send(ann.call(pair.ports[0], "POST", "/v1/me/subscription/activate", {"plan": plan.code}))
    assert reply.status == 201, reply
    return ann


def renewal(account: Account, port: int, **headers: str) -> Call:
    return account.call(port, "POST", "/v1/me/subscription/renew", {}, **headers)


async def renewed(users: Population, account: Account, replies: list[Reply]) -> Renewed:
    (row,) = await users.rows("SELECT version, periods FROM subscriptions WHERE user_id = $1", account.id)
    event_rows = await users.rows(
        "SELECT version FROM event_log WHERE user_id = $1 AND type LIKE 'subscription.%' ORDER BY version, id",
        account.id,
    )
    return Renewed(replies, row["version"], row["periods"], [event["version"] for event in event_rows])


async def test_many_simultaneous_requests_with_one_key_take_effect_once(guarded: Pair, users: Population) -> None:
    """Requests during the first one are refused; later ones get the same response, byte for byte."""
    for _ in range(ROUNDS):
        found = await renew_with_one_key(guarded, users)
        assert (found.version, found.periods, found.renewals) == (2, 2, 1)
        assert found.event_versions == [1, 2]
        answers = [reply for reply in found.replies if reply.status == 200]
        assert len({(reply.body, reply.headers["etag"]) for reply in answers}) == 1
        early = answer_counts(reply for reply in found.replies if reply.status != 200)
        assert set(early) <= {(409, "request-in-progress")}
        assert all(reply.status == 200 and reply.is_replayed for reply in found.replies[-2:])


async def test_without_the_lock_and_the_stored_outcome_a_key_has_many_effects(unconstrained: Pair) -> None:
    await assert_fails(unconstrained, renew_with_one_key, lambda found: found.renewals > 1 and found.version > 2)


# --- changes of one subscription --------------------------------------------------------------------------------------


async def renew_together(pair: Pair, users: Population) -> Renewed:
    """Send many renewals under different keys."""
    ann = await subscriber(pair, users)
    replies = await at_once([renewal(ann, port) for port in pair.by_turns(RENEWALS)])
    return await renewed(users, ann, replies)


async def test_each_acknowledged_renewal_adds_one_period_and_one_event(guarded: Pair, users: Population) -> None:
    for _ in range(ROUNDS):
        found = await renew_together(guarded, users)
        assert answer_counts(found.replies) == {(200, None): RENEWALS}
        assert (found.version, found.periods) == (1 + RENEWALS, 1 + RENEWALS)
        assert found.event_versions == list(range(1, 2 + RENEWALS))
        assert len({reply.document["ends_at"] for reply in found.replies}) == RENEWALS


async def test_without_row_locks_renewals_are_lost(unlocked: Pair) -> None:
    await assert_fails(unlocked, renew_together, lambda found: found.periods < 1 + found.renewals)


@dataclass(frozen=True, slots=True)
class Changed:
    """The result of all kinds of changes to one subscription at once."""

    answers: Answers
    types: list[str]
    versions: list[int]
    status: str


async def change_together(pair: Pair, users: Population) -> Changed:
    """Renew, schedule a cancellation, resume and cancel, as the user and as an administrator, all at once."""
    ann, root = await subscriber(pair, users), await users.admin()
    changes: Sequence[tuple[str, object]] = (
        ("renew", {}),
        ("cancel", {"at": "period_end"}),
        ("resume", {}),
        ("cancel", {"at": "now"}),
    )
    ports = iter(pair.by_turns(CALLERS * len(changes)))
    calls = [
        who.call(next(ports), "POST", f"{base}/subscription/{action}", body)
        for who, base in ((ann, "/v1/me"), (root, f"/v1/users/{ann.id}"))
        for _ in range(3)
        for action, body in changes
    ]
    replies = await at_once(calls)
    rows = await users.rows(
        "SELECT type, version FROM event_log WHERE user_id = $1 AND type LIKE 'subscription.%' ORDER BY version, id",
        ann.id,
    )
    status = await users.value("SELECT status FROM subscriptions WHERE user_id = $1", ann.id)
    return Changed(answer_counts(replies), [row["type"] for row in rows], [row["version"] for row in rows], status)


async def test_of_simultaneous_changes_only_allowed_transitions_are_made_one_after_the_other(
    guarded: Pair, users: Population
) -> None:
    """The last one is the cancellation; all others are refused without a 5xx."""
    for _ in range(ROUNDS):
        found = await change_together(guarded, users)
        assert found.status == "cancelled"
        assert found.versions == list(range(1, len(found.versions) + 1))
        assert found.types[0] == "subscription.activated"
        assert found.types[-1] == "subscription.cancelled"
        assert found.types.count("subscription.cancelled") == 1
        assert set(found.answers) <= {(200, None), (404, "no-live-subscription"), (409, "illegal-transition")}
        assert found.answers[200, None] >= len(found.types) - 1


async def test_without_row_locks_a_subscription_ends_twice(unlocked: Pair) -> None:
    await assert_fails(unlocked, change_together, lambda found: found.types.count("subscription.cancelled") > 1)


# --- administrators and plans -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Demoted:
    """The result of two administrators, the only ones, who demote each other."""

    answers: Answers
    left: int


async def demote_each_other(pair: Pair, users: Population) -> Demoted:
    await users.execute("UPDATE users SET role = 'user' WHERE role = 'admin'")
    ann, bob = await users.admin(), await users.admin()
    replies = await at_once(
        [
            who.call(port, "PATCH", f"/v1/users/{whom.id}", {"role": "user"})
            for who, whom, port in ((ann, bob, pair.ports[0]), (bob, ann, pair.ports[1]))
        ]
    )
    left = await users.value("SELECT count(*) FROM users WHERE role = 'admin' AND NOT disabled")
    return Demoted(answer_counts(replies), left)


async def test_two_administrators_who_demote_each_other_leave_one(guarded: Pair, users: Population) -> None:
    """The second request is refused: its sender is the last administrator, or is no longer one."""
    for _ in range(ROUNDS * 3):
        found = await demote_each_other(guarded, users)
        assert found.left == 1
        assert found.answers in ({(200, None): 1, (409, "last-admin"): 1}, {(200, None): 1, (403, "forbidden"): 1})


async def test_without_locks_two_administrators_who_demote_each_other_leave_none(unlocked: Pair) -> None:
    await assert_fails(unlocked, demote_each_other, lambda found: found.left == 0)


@dataclass(frozen=True, slots=True)
class Patched:
    """The result of many changes to a plan at version 1, all made for that version."""

    answers: Answers
    version: int
    name: str
    acknowledged_names: list[str]


async def patch_one_version(pair: Pair, users: Population) -> Patched:
    root, plan = await users.admin(), await users.plan()
    replies = await at_once(
        [
            root.call(port, "PATCH", f"/v1/plans/{plan.code}", {"name": f"Name {n}"}, if_match='"1"')
            for n, port in enumerate(pair.by_turns(PATCHES))
        ]
    )
    (row,) = await users.rows("SELECT version, name FROM plans WHERE id = $1", plan.id)
    names = [reply.document["name"] for reply in replies if reply.status == 200]
    return Patched(answer_counts(replies), row["version"], row["name"], names)


async def test_one_of_many_simultaneous_changes_with_if_match_succeeds(guarded: Pair, users: Population) -> None:
    """The others get 412."""
    for _ in range(ROUNDS):
        found = await patch_one_version(guarded, users)
        assert found.answers == {(200, None): 1, (412, "precondition-failed"): PATCHES - 1}
        assert (found.version, [found.name]) == (2, found.acknowledged_names)


async def test_without_row_locks_many_changes_with_if_match_succeed(unlocked: Pair) -> None:
    await assert_fails(unlocked, patch_one_version, lambda found: found.answers[200, None] > 1)


# --- wrong passwords --------------------------------------------------------------------------------------------------


async def guess_passwords(pair: Pair, users: Population) -> Answers:
    """Try many wrong passwords for one account at once, then the right one."""
    hasher = Argon2PasswordHasher()
    ann = await users.account(password_hash=await hasher.hash(PASSWORD))
    hasher.close()
    wrong, right = ({"email": ann.email, "password": password} for password in (f"not {PASSWORD}", PASSWORD))
    answers = answer_counts(
        await at_once([Call(port, "POST", "/v1/auth/login", wrong) for port in pair.by_turns(GUESSES)])
    )
    for port in pair.ports:
        reply = await send(Call(port, "POST", "/v1/auth/login", right))
        assert (reply.status, reply.slug) == (429, "too-many-attempts")
        assert 0 < int(reply.headers["retry-after"]) <= 30
    return answers


async def test_all_processes_together_allow_ten_wrong_passwords(guarded: Pair, users: Population) -> None:
    """All other attempts have to wait, even with the right password. Another account is not affected."""
    found = await guess_passwords(guarded, users)
    allowed = found[401, "invalid-credentials"]
    assert found == {
        (401, "invalid-credentials"): allowed,
        (429, "too-many-attempts"): GUESSES - allowed,
    }
    assert allowed == GUESSES_ALLOWED
    hasher = Argon2PasswordHasher()
    bob = await users.account(password_hash=await hasher.hash(PASSWORD))
    hasher.close()
    login = {"email": bob.email, "password": PASSWORD}
    assert (await send(Call(guarded.ports[0], "POST", "/v1/auth/login", login))).status == 200


async def test_without_shared_counts_processes_allow_more_wrong_passwords(unconstrained: Pair) -> None:
    await assert_fails(
        unconstrained, guess_passwords, lambda found: found[401, "invalid-credentials"] > GUESSES_ALLOWED
    )
