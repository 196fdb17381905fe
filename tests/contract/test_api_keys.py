from __future__ import annotations

from dataclasses import replace

import pytest

from smp.application.queries.views import ApiKeyView
from smp.domain.errors import StorageIntegrityError
from tests.support.builders import DAY, IDS, NOW, an_api_key
from tests.support.storage import Storage


async def revoke(storage: Storage, *key_ids: object) -> list[bool]:
    """Revoke the keys on the next day; whether there was one each time."""
    async with storage.unit_of_work() as work:
        revoked = [await work.api_keys.revoke(key_id, NOW + DAY) for key_id in key_ids]  # type: ignore[arg-type]
        await work.commit()
    return revoked


async def test_a_key_is_found_by_its_digest(storage: Storage) -> None:
    """Every field; an unknown digest finds nothing."""
    key = an_api_key("Shop \U0001f6d2")
    await storage.keep(key)
    assert await storage.api_keys.find(key.digest) == key
    assert await storage.api_keys.find(b"") is None
    assert await storage.api_keys.find(b"\x00" * 32) is None


async def test_a_key_is_revoked_once(storage: Storage) -> None:
    """It is still found, as revoked, since when it was; a second time there is nothing to revoke."""
    key = an_api_key()
    await storage.keep(key)
    assert await revoke(storage, key.id, key.id, IDS.new()) == [True, False, False]
    async with storage.unit_of_work() as work:
        assert await work.api_keys.revoke(key.id, NOW + 2 * DAY) is False
        await work.commit()
    assert await storage.api_keys.find(key.digest) == replace(key, revoked_at=NOW + DAY)


async def test_nothing_is_revoked_without_commit(storage: Storage) -> None:
    """As with every other change."""
    key = an_api_key()
    await storage.keep(key)
    async with storage.unit_of_work() as work:
        assert await work.api_keys.revoke(key.id, NOW) is True
    assert await storage.api_keys.find(key.digest) == key


async def test_keys_are_listed_oldest_first(storage: Storage) -> None:
    """Revoked ones too, without their digests; none where there is none."""
    assert list(await storage.api_keys.list()) == []
    keys = [an_api_key(f"service {age}", f"secret {age}", NOW - age * DAY) for age in range(3)]
    await storage.keep(*keys)
    await revoke(storage, keys[1].id)
    assert list(await storage.api_keys.list()) == [
        ApiKeyView(keys[2].id, "service 2", NOW - 2 * DAY, None),
        ApiKeyView(keys[1].id, "service 1", NOW - DAY, NOW + DAY),
        ApiKeyView(keys[0].id, "service 0", NOW, None),
    ]


async def test_a_secret_is_of_one_key(storage: Storage) -> None:
    """Two keys with one secret are a defect; two of one name are not."""
    await storage.keep(an_api_key("shop", "one"), an_api_key("shop", "other"))
    with pytest.raises(StorageIntegrityError):
        await storage.keep(an_api_key("another shop", "one"))
