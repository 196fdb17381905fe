from __future__ import annotations

import asyncio
from collections.abc import Iterator
from threading import Event, get_ident

import pytest
from argon2 import Parameters, extract_parameters
from argon2 import PasswordHasher as Argon2
from argon2.exceptions import VerifyMismatchError
from argon2.low_level import Type, hash_secret_raw

from smp.adapters.security.argon2_hasher import Argon2Cost, Argon2PasswordHasher
from smp.application.errors import Overloaded
from smp.application.ports.password_hasher import Verification
from tests.support.builders import PASSWORD
from tests.support.use_cases import CHEAP

MATCHES, FAILS = Verification(matches=True), Verification(matches=False)


@pytest.fixture
def hasher() -> Iterator[Argon2PasswordHasher]:
    """Return a hasher with the lowest cost."""
    hasher = Argon2PasswordHasher(CHEAP)
    yield hasher
    hasher.close()


async def test_only_the_same_password_matches_a_hash(hasher: Argon2PasswordHasher) -> None:
    hashed = await hasher.hash(PASSWORD)
    assert await hasher.verify(hashed, PASSWORD) == MATCHES
    for other in (PASSWORD + " ", PASSWORD.upper(), PASSWORD[:-1], "", PASSWORD + "\x00"):
        assert await hasher.verify(hashed, other) == FAILS


async def test_two_hashes_of_one_password_differ_and_both_match(hasher: Argon2PasswordHasher) -> None:
    one, other = await hasher.hash(PASSWORD), await hasher.hash(PASSWORD)
    assert one != other
    assert await hasher.verify(other, PASSWORD) == MATCHES


@pytest.mark.parametrize("password", ["", "\x00" * 15, "\ud800" * 15, "\U0001f600" * 1_024, "é" * 15])
async def test_a_password_may_be_any_text(hasher: Argon2PasswordHasher, password: str) -> None:
    """This includes text that UTF-8 cannot encode."""
    assert await hasher.verify(await hasher.hash(password), password) == MATCHES


async def test_composed_and_decomposed_accents_are_the_same_password(hasher: Argon2PasswordHasher) -> None:
    """Characters that only look alike are different."""
    hashed = await hasher.hash("Crème brûlée pour tous")
    assert await hasher.verify(hashed, "Cre\u0300me bru\u0302le\u0301e pour tous") == MATCHES
    assert await hasher.verify(await hasher.hash("ﬁfteen characters"), "fifteen characters") == FAILS


async def test_the_default_cost_is_the_minimum_of_owasp() -> None:
    """Argon2id with 19 MiB, two passes, one lane; a hash of 256 bits with a salt of 128."""
    hasher = Argon2PasswordHasher()
    hashed = await hasher.hash(PASSWORD)
    hasher.close()
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    *_, salt, digest = hashed.split("$")
    assert (len(salt), len(digest)) == (22, 43)


@pytest.mark.parametrize("cost", [Argon2Cost(16, 1, 1), Argon2Cost(8, 2, 1), Argon2Cost(16, 1, 2)])
async def test_a_hash_of_another_cost_still_matches_and_needs_a_rehash(
    hasher: Argon2PasswordHasher, cost: Argon2Cost
) -> None:
    """A wrong password does not reveal it."""
    other = Argon2PasswordHasher(cost)
    hashed = await other.hash(PASSWORD)
    other.close()
    assert await hasher.verify(hashed, PASSWORD) == Verification(matches=True, needs_rehash=True)
    assert await hasher.verify(hashed, "wrong") == FAILS


@pytest.mark.parametrize(
    "password_hash",
    [
        None,
        "",
        PASSWORD,
        "a hash",
        "$argon2id$",
        "$argon2id$v=19$m=8,t=1,p=1$$",
        "$argon2id$v=19$m=8,t=1,p=1$AAAA$AAAA",
        "$argon2id$v=19$m=0,t=0,p=0$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "$2b$12$LQv3c1yqBWVHxkd0LHAkCOYz6TtxMQJqhN8/LewKyNiLXCJyjZxZy",
        "\ud800",
        "é",
        "x" * 100_000,
    ],
)
async def test_no_password_matches_a_missing_unknown_or_damaged_hash(
    hasher: Argon2PasswordHasher, password_hash: str | None
) -> None:
    for password in (PASSWORD, "", str(password_hash)):
        assert await hasher.verify(password_hash, password) == FAILS


@pytest.mark.parametrize("password_hash", [None, "no hash"])
async def test_an_unknown_account_costs_as_much_work_as_a_wrong_password(
    password_hash: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The response time must not reveal whether an account exists. The work is that of a complete Argon2 hash."""
    costs: list[Parameters] = []
    verify = Argon2.verify

    def recorded(argon2: Argon2, hashed: str, password: bytes) -> bool:
        try:
            return verify(argon2, hashed, password)
        except VerifyMismatchError:
            costs.append(extract_parameters(hashed))
            raise

    hasher = Argon2PasswordHasher(Argon2Cost(memory_kib=16, passes=3))
    known = await hasher.hash(PASSWORD)
    monkeypatch.setattr(Argon2, "verify", recorded)
    assert await hasher.verify(known, "wrong") == FAILS
    assert await hasher.verify(password_hash, "wrong") == FAILS
    hasher.close()
    assert len(costs) == 2
    assert costs[0] == costs[1]


async def test_a_digest_depends_on_the_secret_and_the_salt_only(hasher: Argon2PasswordHasher) -> None:
    """Raw Argon2id of the same cost."""
    digest = await hasher.digest(PASSWORD, b"salt" * 4)
    assert digest == hash_secret_raw(PASSWORD.encode(), b"salt" * 4, 1, 8, 1, 32, Type.ID)
    assert digest == await hasher.digest(PASSWORD, b"salt" * 4)
    assert digest != await hasher.digest(PASSWORD, b"Salt" * 4)
    assert digest != await hasher.digest(PASSWORD + "!", b"salt" * 4)


async def test_hashing_does_not_block_other_tasks(
    hasher: Argon2PasswordHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def watched(_: Argon2, password: bytes) -> str:
        threads.append(get_ident())
        return password.decode()

    monkeypatch.setattr(Argon2, "hash", watched)
    await hasher.hash(PASSWORD)
    assert threads != [get_ident()]


class PausedHashes:
    """A hash function that returns only after its release."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go_on = Event()
        self.running = 0
        self.most_running = 0
        monkeypatch.setattr(Argon2, "hash", self._hash)

    def _hash(self, password: bytes) -> str:
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        assert self.go_on.wait(60)
        self.running -= 1
        return password.decode()

    async def until(self, running: int) -> None:
        """Wait until so many hashes run at the same time."""
        async with asyncio.timeout(60):
            while self.running < running:
                await asyncio.sleep(0.001)


@pytest.fixture
def paused(monkeypatch: pytest.MonkeyPatch) -> Iterator[PausedHashes]:
    """Replace the hash function by one that waits for its release."""
    paused = PausedHashes(monkeypatch)
    yield paused
    paused.go_on.set()


async def test_a_password_is_refused_while_the_queue_is_full(paused: PausedHashes) -> None:
    hasher = Argon2PasswordHasher(CHEAP, concurrency=2, queue=3)
    tasks = [asyncio.create_task(hasher.hash(str(number))) for number in range(5)]
    await paused.until(2)
    with pytest.raises(Overloaded) as caught:
        await hasher.hash(PASSWORD)
    assert caught.value.retry_after_s == 1
    with pytest.raises(Overloaded):
        await hasher.digest(PASSWORD, b"salt" * 4)
    paused.go_on.set()
    assert await asyncio.gather(*tasks) == ["0", "1", "2", "3", "4"]
    assert paused.most_running == 2
    assert await asyncio.gather(*(hasher.hash(str(number)) for number in range(5))) == ["0", "1", "2", "3", "4"]
    hasher.close()


async def test_a_cancelled_caller_frees_its_place_in_the_queue(paused: PausedHashes) -> None:
    """Immediately if it waits; when its hash has ended if it runs."""
    hasher = Argon2PasswordHasher(CHEAP, concurrency=1, queue=1)
    running, waiting = (asyncio.create_task(hasher.hash(name)) for name in ("running", "waiting"))
    await paused.until(1)
    waiting.cancel()
    await asyncio.wait([waiting])
    second = asyncio.create_task(hasher.hash("second"))
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running])
    with pytest.raises(Overloaded):
        await hasher.hash("third")
    paused.go_on.set()
    assert await second == "second"
    assert await hasher.hash("fourth") == "fourth"
    hasher.close()


async def test_a_failed_hash_frees_its_place(hasher: Argon2PasswordHasher, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Argon2, __: bytes) -> str:
        raise MemoryError

    monkeypatch.setattr(Argon2, "hash", fail)
    for _ in range(100):
        with pytest.raises(MemoryError):
            await hasher.hash(PASSWORD)


async def test_after_closing_running_hashes_end_and_no_other_starts(paused: PausedHashes) -> None:
    hasher = Argon2PasswordHasher(CHEAP, concurrency=1, queue=5)
    tasks = [asyncio.create_task(hasher.hash(str(number))) for number in range(3)]
    await paused.until(1)
    paused.go_on.set()
    hasher.close()
    first, *rest = await asyncio.gather(*tasks, return_exceptions=True)
    assert first == "0"
    assert all(isinstance(result, asyncio.CancelledError | str) for result in rest)
    for _ in range(10):
        with pytest.raises(RuntimeError):
            await hasher.hash(PASSWORD)


async def test_new_hashes_and_verifications_have_places_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of registrations refuses no sign-in, and sign-ins refuse no registration."""
    paused = PausedHashes(monkeypatch)
    hasher = Argon2PasswordHasher(CHEAP, concurrency=1, queue=2)
    hashes = [asyncio.create_task(hasher.hash(PASSWORD)) for _ in range(3)]
    await paused.until(running=1)
    with pytest.raises(Overloaded):
        await hasher.hash(PASSWORD)
    with pytest.raises(Overloaded):
        await hasher.digest(PASSWORD, b"salt" * 4)
    verifications = [asyncio.create_task(hasher.verify(None, PASSWORD)) for _ in range(3)]
    await asyncio.sleep(0)
    assert (hasher.running, hasher.waiting) == (1, 5)
    with pytest.raises(Overloaded):
        await hasher.verify(None, PASSWORD)
    paused.go_on.set()
    assert await asyncio.gather(*hashes) == [PASSWORD] * 3
    assert await asyncio.gather(*verifications) == [FAILS] * 3
    hasher.close()
