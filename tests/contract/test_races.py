from __future__ import annotations

import pytest

from tests.support.races import RACES, Race
from tests.support.storage import Storage


@pytest.mark.parametrize("race", RACES.values(), ids=RACES)
async def test_simultaneous_requests_keep_all_invariants(storage: Storage, race: Race) -> None:
    await race(storage)
    findings = await storage.integrity.check(await storage.clock.now())
    assert [check_result for check_result in findings if not check_result.ok] == []
