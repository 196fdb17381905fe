"""What a caller expects to find (RFC 9110, section 13.1.1)."""

from __future__ import annotations

from dataclasses import dataclass

from smp.domain.errors import StaleVersion


@dataclass(frozen=True, slots=True)
class VersionPrecondition:
    """The versions that the caller accepts; ``None``: any, as long as there is something."""

    versions: frozenset[int] | None

    def check(self, version: int | None) -> None:
        """Compare with the present version; ``None`` where there is nothing.

        Raises:
            StaleVersion: where it is not one of those expected.
        """
        if version is None or (self.versions is not None and version not in self.versions):
            raise StaleVersion


def require_version(expected: VersionPrecondition | None, version: int | None) -> None:
    """Compare where anything is expected. Raises StaleVersion."""
    if expected is not None:
        expected.check(version)
