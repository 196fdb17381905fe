"""Races between two server processes on one PostgreSQL; each is also lost without its guard.

All guards are in the database. The second test of each pair runs the same race on a database without them until it is
lost.
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
from tests.support.populations import Account, Population, looking_into, population, wait_for
from tests.support.postgres import Server, own_database
from tests.support.processes import run, serving_each, short_folder

CALLERS: Final = 48
ROUNDS: Final = 8
ROUNDS_UNTIL_LOST: Final = 20
RENEWALS: Final = 20
PATCHES: Final = 50
GUESSES: Final = 200
GUESSES_LET_THROUGH: Final = 10
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
    """Two processes on a complete database; its invariants hold after the race."""
    with _pair(postgres_server, worker_id, environ) as pair:
        yield pair
        checked = run({**environ, "SMP_DATABASE_URL": pair.url}, "doctor")
        assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.fixture(scope="module")
def unconstrained(postgres_server: Server, worker_id: str, environ: dict[str, str]) -> Iterator[Pair]:
    """Two processes on a database without constraints, stored outcomes, and shared counts of login attempts."""
    statements = (
        *unguarded.prepared(),
        "DROP INDEX subscriptions_one_live",
        "ALTER TABLE subscription_spans DROP CONSTRAINT subscriptions_no_overlap",
        "ALTER TABLE trials DROP CONSTRAINT trials_once_per_plan",
        *unguarded.without_advisory_locks(),
        *unguarded.with_keys_that_never_meet(),
        *unguarded.with_own_table("apart", "login_throttle"),
    )
    with _pair(postgres_server, worker_id, environ, statements, f"apart,{unguarded.SEARCH_PATH}") as pair:
        yield pair


@pytest.fixture(scope="module")
def unlocked(postgres_server: Server, worker_id: str, environ: dict[str, str]) -> Iterator[Pair]:
    """Two processes on a database without row locks, and without the numbers of events, which would detect the loss."""
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
        urls = (url, looking_into(url, search_path) if search_path else url)
        environs = [{**environ, "SMP_DATABASE_URL": each} for each in urls]
        with serving_each(environs, folder) as (first, second):
            yield Pair(url, (first.port, second.port))


async def _execute(url: str, statements: Sequence[str]) -> None:
    async with population(url) as people:
        await people.execute(*statements)


@pytest.fixture
async def people(guarded: Pair) -> AsyncIterator[Population]:
    """The users and rows of the complete database."""
    async with population(guarded.url) as people:
        yield people


async def is_lost(
    pair: Pair, race: Callable[[Pair, Population], Awaitable[Found]], how: Callable[[Found], bool]
) -> None:
    """Run the race until it is lost."""
    async with population(pair.url) as people:
        for _ in range(ROUNDS_UNTIL_LOST):
            if how(await race(pair, people)):
                return
    pytest.fail("without its guard the race is won, so it shows nothing of the guard")


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


async def subscribe(pair: Pair, people: Population, how: str, plans: int) -> Subscribed:
    """Subscribe one user to these plans at the same time."""
    ann = await people.account()
    codes = [(await people.plan()).code for _ in range(plans)]
    path = f"/v1/me/subscription/{how}"
    replies = await at_once(
        [ann.call(port, "POST", path, {"plan": codes[n % plans]}) for n, port in enumerate(pair.by_turns(CALLERS))]
    )
    (row,) = await people.rows(
        "SELECT count(*) AS ever, count(*) FILTER (WHERE status IN ('trial', 'active')) AS live,"
        " (SELECT count(*) FROM event_log WHERE user_id = $1 AND type LIKE 'subscription.%') AS events"
        " FROM subscriptions WHERE user_id = $1",
        ann.id,
    )
    return Subscribed(answer_counts(replies), row["live"], row["ever"], row["events"])


async def start_trials(pair: Pair, people: Population) -> Subscribed:
    return await subscribe(pair, people, "trial", plans=1)


async def activate(pair: Pair, people: Population) -> Subscribed:
    return await subscribe(pair, people, "activate", plans=2)


async def test_a_user_starts_one_trial_with_many_simultaneous_requests(guarded: Pair, people: Population) -> None:
    """One 201, one row, one event, and 409 for all others."""
    for _ in range(ROUNDS):
        found = await start_trials(guarded, people)
        others = found.answers[409, "live-subscription-exists"] + found.answers[409, "trial-already-used"]
        assert (found.answers[201, None], others) == (1, CALLERS - 1), found
        assert (found.live, found.ever, found.events) == (1, 1, 1)


async def test_without_constraints_a_user_starts_many_trials(unconstrained: Pair) -> None:
    await is_lost(unconstrained, start_trials, lambda found: found.live > 1 and found.answers[201, None] > 1)


async def test_a_user_activates_one_subscription_with_many_simultaneous_requests(
    guarded: Pair, people: Population
) -> None:
    """For different plans too."""
    for _ in range(ROUNDS):
        found = await activate(guarded, people)
        assert found.answers == {(201, None): 1, (409, "live-subscription-exists"): CALLERS - 1}
        assert (found.live, found.ever, found.events) == (1, 1, 1)


async def test_without_constraints_a_user_activates_many_subscriptions(unconstrained: Pair) -> None:
    await is_lost(unconstrained, activate, lambda found: found.live > 1 and found.answers[201, None] > 1)


# --- one effect for a key ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Renewed:
    """The result of renewals of one subscription at version 1."""

    replies: list[Reply]
    version: int
    periods: int
    event_versions: list[int]

    @property
    def renewals(self) -> int:
        """How many callers were answer_counts that they renewed it, and not that somebody had."""
        return sum(reply.status == 200 and not reply.is_replayed for reply in self.replies)


async def renew_with_one_key(pair: Pair, people: Population) -> Renewed:
    """Send one request of one caller under one key from many clients."""
    ann = await subscriber(pair, people)
    calls = [renewal(ann, port, idempotency_key="one-key") for port in pair.by_turns(CALLERS)]
    replies = await at_once(calls)
    again = [await send(call) for call in calls[:2]]  # one at each process, after the first has been answered
    return await renewed(people, ann, [*replies, *again])


async def subscriber(pair: Pair, people: Population) -> Account:
    ann, plan = await people.account(), await people.plan()
    reply = await send(ann.call(pair.ports[0], "POST", "/v1/me/subscription/activate", {"plan": plan.code}))
    assert reply.status == 201, reply
    return ann


def renewal(account: Account, port: int, **headers: str) -> Call:
    return account.call(port, "POST", "/v1/me/subscription/renew", {}, **headers)


async def renewed(people: Population, account: Account, replies: list[Reply]) -> Renewed:
    (row,) = await people.rows("SELECT version, periods FROM subscriptions WHERE user_id = $1", account.id)
    event_rows = await people.rows(
        "SELECT version FROM event_log WHERE user_id = $1 AND type LIKE 'subscription.%' ORDER BY version, id",
        account.id,
    )
    return Renewed(replies, row["version"], row["periods"], [event["version"] for event in event_rows])


async def test_one_idempotency_key_has_one_effect_with_many_simultaneous_requests(
    guarded: Pair, people: Population
) -> None:
    """Requests during the first are refused; later ones get its answer, byte for byte."""
    for _ in range(ROUNDS):
        found = await renew_with_one_key(guarded, people)
        assert (found.version, found.periods, found.renewals) == (2, 2, 1)
        assert found.event_versions == [1, 2]
        answers = [reply for reply in found.replies if reply.status == 200]
        assert len({(reply.body, reply.headers["etag"]) for reply in answers}) == 1
        early = answer_counts(reply for reply in found.replies if reply.status != 200)
        assert set(early) <= {(409, "request-in-progress")}
        assert all(reply.status == 200 and reply.is_replayed for reply in found.replies[-2:])


async def test_without_its_lock_and_row_one_idempotency_key_has_many_effects(unconstrained: Pair) -> None:
    await is_lost(unconstrained, renew_with_one_key, lambda found: found.renewals > 1 and found.version > 2)


# --- changes of one subscription --------------------------------------------------------------------------------------


async def renew_together(pair: Pair, people: Population) -> Renewed:
    """Send many renewals under different keys."""
    ann = await subscriber(pair, people)
    replies = await at_once([renewal(ann, port) for port in pair.by_turns(RENEWALS)])
    return await renewed(people, ann, replies)


async def test_each_acknowledged_renewal_adds_one_period_and_one_event(guarded: Pair, people: Population) -> None:
    for _ in range(ROUNDS):
        found = await renew_together(guarded, people)
        assert answer_counts(found.replies) == {(200, None): RENEWALS}
        assert (found.version, found.periods) == (1 + RENEWALS, 1 + RENEWALS)
        assert found.event_versions == list(range(1, 2 + RENEWALS))
        assert len({reply.document["ends_at"] for reply in found.replies}) == RENEWALS


async def test_without_row_locks_renewals_are_lost(unlocked: Pair) -> None:
    await is_lost(unlocked, renew_together, lambda found: found.periods < 1 + found.renewals)


@dataclass(frozen=True, slots=True)
class Moved:
    """The result of all kinds of changes to one subscription at once."""

    answers: Answers
    types: list[str]
    versions: list[int]
    status: str


async def do_everything(pair: Pair, people: Population) -> Moved:
    """Renew, schedule a cancellation, resume and cancel, as the user and as an administrator, all at once."""
    ann, root = await subscriber(pair, people), await people.admin()
    moves: Sequence[tuple[str, object]] = (
        ("renew", {}),
        ("cancel", {"at": "period_end"}),
        ("resume", {}),
        ("cancel", {"at": "now"}),
    )
    ports = iter(pair.by_turns(CALLERS * len(moves)))
    calls = [
        who.call(next(ports), "POST", f"{base}/subscription/{action}", body)
        for who, base in ((ann, "/v1/me"), (root, f"/v1/users/{ann.id}"))
        for _ in range(3)
        for action, body in moves
    ]
    replies = await at_once(calls)
    rows = await people.rows(
        "SELECT type, version FROM event_log WHERE user_id = $1 AND type LIKE 'subscription.%' ORDER BY version, id",
        ann.id,
    )
    status = await people.value("SELECT status FROM subscriptions WHERE user_id = $1", ann.id)
    return Moved(answer_counts(replies), [row["type"] for row in rows], [row["version"] for row in rows], status)


async def test_of_simultaneous_changes_only_legal_ones_are_made_in_one_order(guarded: Pair, people: Population) -> None:
    """The chain ends with the cancellation; the others are refused without a 5xx."""
    for _ in range(ROUNDS):
        found = await do_everything(guarded, people)
        assert found.status == "cancelled"
        assert found.versions == list(range(1, len(found.versions) + 1))
        assert found.types[0] == "subscription.activated"
        assert found.types[-1] == "subscription.cancelled"
        assert found.types.count("subscription.cancelled") == 1
        assert set(found.answers) <= {(200, None), (404, "no-live-subscription"), (409, "illegal-transition")}
        assert found.answers[200, None] >= len(found.types) - 1


async def test_without_row_locks_a_subscription_ends_twice(unlocked: Pair) -> None:
    await is_lost(unlocked, do_everything, lambda found: found.types.count("subscription.cancelled") > 1)


# --- administrators and plans -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Demoted:
    """The result of two administrators, the only ones, who demote each other."""

    answers: Answers
    left: int


async def demote_each_other(pair: Pair, people: Population) -> Demoted:
    await people.execute("UPDATE users SET role = 'user' WHERE role = 'admin'")
    ann, bob = await people.admin(), await people.admin()
    replies = await at_once(
        [
            who.call(port, "PATCH", f"/v1/users/{whom.id}", {"role": "user"})
            for who, whom, port in ((ann, bob, pair.ports[0]), (bob, ann, pair.ports[1]))
        ]
    )
    left = await people.value("SELECT count(*) FROM users WHERE role = 'admin' AND NOT disabled")
    return Demoted(answer_counts(replies), left)


async def test_two_administrators_who_demote_each_other_leave_one(guarded: Pair, people: Population) -> None:
    """The second request is refused, because its sender is the last administrator, or no longer one."""
    for _ in range(ROUNDS * 3):
        found = await demote_each_other(guarded, people)
        assert found.left == 1
        assert found.answers in ({(200, None): 1, (409, "last-admin"): 1}, {(200, None): 1, (403, "forbidden"): 1})


async def test_without_locks_two_administrators_who_demote_each_other_leave_none(unlocked: Pair) -> None:
    await is_lost(unlocked, demote_each_other, lambda found: found.left == 0)


@dataclass(frozen=True, slots=True)
class Patched:
    """The result of many changes to a plan at version 1, all made for that version."""

    answers: Answers
    version: int
    name: str
    acknowledged_names: list[str]


async def patch_one_version(pair: Pair, people: Population) -> Patched:
    root, plan = await people.admin(), await people.plan()
    replies = await at_once(
        [
            root.call(port, "PATCH", f"/v1/plans/{plan.code}", {"name": f"Name {n}"}, if_match='"1"')
            for n, port in enumerate(pair.by_turns(PATCHES))
        ]
    )
    (row,) = await people.rows("SELECT version, name FROM plans WHERE id = $1", plan.id)
    names = [reply.document["name"] for reply in replies if reply.status == 200]
    return Patched(answer_counts(replies), row["version"], row["name"], names)


async def test_one_of_many_simultaneous_changes_with_if_match_succeeds(guarded: Pair, people: Population) -> None:
    """The others get 412."""
    for _ in range(ROUNDS):
        found = await patch_one_version(guarded, people)
        assert found.answers == {(200, None): 1, (412, "precondition-failed"): PATCHES - 1}
        assert (found.version, [found.name]) == (2, found.acknowledged_names)


async def test_without_row_locks_many_changes_with_if_match_succeed(unlocked: Pair) -> None:
    await is_lost(unlocked, patch_one_version, lambda found: found.answers[200, None] > 1)


# --- guessing passwords -----------------------------------------------------------------------------------------------


async def guess(pair: Pair, people: Population) -> Answers:
    """Try many wrong passwords for one account at once, then the right one."""
    hasher = Argon2PasswordHasher()
    ann = await people.account(password_hash=await hasher.hash(PASSWORD))
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


async def test_all_processes_together_allow_ten_guesses(guarded: Pair, people: Population) -> None:
    """The other guesses have to wait, and so has the right password; another account is not affected."""
    found = await guess(guarded, people)
    let_through = found[401, "invalid-credentials"]
    assert found == {
        (401, "invalid-credentials"): let_through,
        (429, "too-many-attempts"): GUESSES - let_through,
    }
    assert let_through == GUESSES_LET_THROUGH
    hasher = Argon2PasswordHasher()
    bob = await people.account(password_hash=await hasher.hash(PASSWORD))
    hasher.close()
    login = {"email": bob.email, "password": PASSWORD}
    assert (await send(Call(guarded.ports[0], "POST", "/v1/auth/login", login))).status == 200


async def test_processes_with_separate_counts_allow_more_guesses(unconstrained: Pair) -> None:
    await is_lost(unconstrained, guess, lambda found: found[401, "invalid-credentials"] > GUESSES_LET_THROUGH)
