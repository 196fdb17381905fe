"""The one container, for HTTP, the command line, the sweep and tests alike."""

from __future__ import annotations

from dishka import STRICT_VALIDATION, AsyncContainer, Provider, make_async_container

from smp.bootstrap.postgres_provider import PostgresProvider
from smp.bootstrap.providers import (
    ClockProvider,
    SettingsProvider,
    SystemProvider,
    TestClockProvider,
    UseCaseProvider,
)
from smp.bootstrap.settings import Settings


def build_container(settings: Settings, *overrides: Provider) -> AsyncContainer:
    """Everything in the application's scope, made when it is first asked for and closed with the container.

    ``overrides`` may add parts, or replace some with ``provide(…, override=True)``: tests do, and never patch.
    ``settings.database_url`` must be set where something of the database is asked for. Nothing is opened here.

    Raises:
        dishka.exceptions.DishkaError: where a part is missing, made twice, or replaces nothing.
    """
    return make_async_container(
        SettingsProvider(),
        SystemProvider(),
        PostgresProvider(),
        TestClockProvider() if settings.test_clock else ClockProvider(),
        UseCaseProvider(),
        *overrides,
        context={Settings: settings},
        validation_settings=STRICT_VALIDATION,
    )
