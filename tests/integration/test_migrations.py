from __future__ import annotations
async def test_smoke(pool):
    from smp.adapters.postgres.migrator import current, head
    assert await current(pool) == head()
