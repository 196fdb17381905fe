"""Preconditions: the versions that a caller accepts (RFC 9110, section 13.1.1)."""

from __future__ import annotations

from dataclasses import dataclass

from smp.domain.errors import StaleVersion


@dataclass(frozen=True, slots=True)
class VersionPrecondition:
    """The versions that the caller accepts; ``None`` accepts any version of something that exists."""

    versions: frozenset[int] | None

    def check(self, version: int | None) -> None:
        """Compare the precondition with the present version; ``version`` is ``None`` if there is nothing.

        Raises:
            StaleVersion: if the version is not an accepted one.
        """
        if version is None or (self.versions is not None and version not in self.versions):
            raise StaleVersion


def require_version(expected: VersionPrecondition | None, version: int | None) -> None:
    """Check the precondition, if there is one. Raises StaleVersion."""
    if expected is not None:
        expected.check(version)
