"""The folding of counts in memory, where the counts are computed when they are read."""

from __future__ import annotations

from smp.application.ports.count_folder import CountFolder


class MemoryCountFolder(CountFolder):
    """A folder that never has anything to fold."""

    async def fold(self) -> int:
        """Return 0."""
        return 0
