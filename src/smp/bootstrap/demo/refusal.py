"""The refusal of demo data in production."""

from __future__ import annotations

from smp.bootstrap.settings import Settings


class DemoRefused(Exception):
    """An error: demo data do not belong into this database; the message says why."""


def refuse_in_production(settings: Settings) -> None:
    """Refuse to load demo data in production, because their password is public. Raises DemoRefused."""
    if settings.is_production:
        raise DemoRefused(
            "smp demo is refused with SMP_ENV=production, because it creates accounts with a public password;"
            " use it with a separate database"
        )
