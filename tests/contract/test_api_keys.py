from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from smp.application.queries.views import ApiKeyView
from smp.domain.errors import StorageIntegrityError
from tests.support.builders import DAY, IDS, NOW, an_api_key
from tests.support.storage import Storage


async def revoke(storage: Storage, *key_ids: object) -> list[datetime | None]:
    """Revoke the keys on the next day; return for each when it was revoked."""
    async with storage.unit_of_work() as work:
        revoked = [await work.api_keys.revoke(key_id, NOW + DAY) for key_id in key_ids]  # type: ignore[arg-type]
        await work.commit()
    return revoked


async def test_a_key_is_found_by_its_digest(storage: Storage) -> None:
    key = an_api_key("Shop \U0001f6d2")
    await storage.keep(key)
    assert await storage.api_keys.find(key.digest) == key
    assert await storage.api_keys.find(b"") is None
    assert await storage.api_keys.find(b"\x00" * 32) is None


async def test_a_revoked_key_is_still_found_and_cannot_be_revoked_again(storage: Storage) -> None:
    key = an_api_key()
    await storage.keep(key)
    assert await revoke(storage, key.id, key.id, IDS.new()) == [NOW + DAY, None, None]
    async with storage.unit_of_work() as work:
        assert await work.api_keys.revoke(key.id, NOW + 2 * DAY) is None
        await work.commit()
    assert await storage.api_keys.find(key.digest) == replace(key, revoked_at=NOW + DAY)


async def test_a_revocation_takes_effect_only_with_the_commit(storage: Storage) -> None:
    key = an_api_key()
    await storage.keep(key)
    async with storage.unit_of_work() as work:
        assert await work.api_keys.revoke(key.id, NOW) == NOW
    assert await storage.api_keys.find(key.digest) == key


async def test_all_keys_are_listed_oldest_first_including_revoked_ones(storage: Storage) -> None:
    assert list(await storage.api_keys.list()) == []
    keys = [an_api_key(f"service {age}", f"secret {age}", NOW - age * DAY) for age in range(3)]
    await storage.keep(*keys)
    await revoke(storage, keys[1].id)
    assert list(await storage.api_keys.list()) == [
        ApiKeyView(keys[2].id, "service 2", NOW - 2 * DAY, None),
        ApiKeyView(keys[1].id, "service 1", NOW - DAY, NOW + DAY),
        ApiKeyView(keys[0].id, "service 0", NOW, None),
    ]


async def test_two_keys_may_share_a_name_but_not_a_secret(storage: Storage) -> None:
    await storage.keep(an_api_key("shop", "one"), an_api_key("shop", "other"))
    with pytest.raises(StorageIntegrityError):
        await storage.keep(an_api_key("another shop", "one"))


async def test_a_key_can_be_revoked_after_the_clock_was_set_back(storage: Storage) -> None:
    """Its revocation is dated as its creation."""
    key = an_api_key()
    await storage.keep(key)
    async with storage.unit_of_work() as work:
        assert await work.api_keys.revoke(key.id, NOW - DAY) == NOW
        await work.commit()
    assert await storage.api_keys.find(key.digest) == replace(key, revoked_at=NOW)
