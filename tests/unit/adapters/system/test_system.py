from __future__ import annotations

import re
from datetime import UTC, datetime
from hashlib import sha256
from uuid import RFC_4122

from smp.adapters.system.clock import machine_time
from smp.adapters.system.id_generator import Uuid7IdGenerator
from smp.adapters.system.token_generator import SecretsTokenGenerator


def test_the_clock_returns_the_present_instant_in_utc() -> None:
    before = datetime.now(UTC)
    now = machine_time()
    assert now.tzinfo is UTC
    assert before <= now <= datetime.now(UTC)


def test_ids_are_of_version_7_and_always_increase() -> None:
    """Within one millisecond too, by value and as text."""
    ids = Uuid7IdGenerator()
    made = [ids.new() for _ in range(10_000)]
    assert all(id_.version == 7 and id_.variant == RFC_4122 for id_ in made)
    assert made == sorted(set(made))
    assert [str(id_) for id_ in made] == sorted(str(id_) for id_ in made)


def test_ids_of_several_generators_increase_together() -> None:
    one, other = Uuid7IdGenerator(), Uuid7IdGenerator()
    made = [maker.new() for _ in range(1_000) for maker in (one, other)]
    assert made == sorted(set(made))


def test_tokens_are_unique_and_have_256_bits_in_characters_for_cookies_and_headers() -> None:
    tokens = SecretsTokenGenerator()
    made = {tokens.new() for _ in range(1_000)}
    assert len(made) == 1_000
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", token) for token in made)


def test_the_digest_is_the_sha_256_of_the_token() -> None:
    """For any text that a client may send."""
    tokens = SecretsTokenGenerator()
    assert tokens.digest("a token") == sha256(b"a token").digest()
    odd = ["", "é", "\ud800", "\x00", "x" * 100_000]
    assert len({tokens.digest(token) for token in odd}) == len(odd)
