"""Where the demonstration is not made."""

from __future__ import annotations

from smp.bootstrap.settings import Settings


class DemoRefused(Exception):
    """The demonstration's data do not belong here; the message says why."""


def refuse_in_production(settings: Settings) -> None:
    """Let only development pass: the demonstration's password is known to everybody. Raises DemoRefused."""
    if settings.is_production:
        raise DemoRefused(
            "smp demo makes accounts with a password that everybody knows, so not with SMP_ENV=production;"
            " use a database of its own for it"
        )
