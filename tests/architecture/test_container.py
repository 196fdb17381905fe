"""The container provides every handler and port once, and refuses mistakes."""

from __future__ import annotations

import asyncio
import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any, Protocol

import pytest
from dishka import AsyncContainer, Provider, Scope
from dishka.exception_base import DishkaError

import smp.application.commands
import smp.application.jobs
import smp.application.ports
import smp.application.queries
from smp.adapters.memory.clock import MemoryClock
from smp.adapters.memory.store import MemoryStore
from smp.application.authorization import PERMISSIONS
from smp.application.commands.set_test_clock import SetTestClockHandler
from smp.application.jobs import outcome
from smp.application.ports.api_key_repository import ApiKeyRepository
from smp.application.ports.clock import Clock
from smp.application.ports.clock_repository import ClockRepository
from smp.application.ports.event_log import EventLog
from smp.application.ports.id_generator import IdGenerator
from smp.application.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory
from smp.application.ports.use_case_tracer import UseCaseTracer
from smp.application.queries import views
from smp.application.queries.get_test_clock import GetTestClockHandler
from smp.bootstrap.container import build_container
from smp.bootstrap.execution import interface_of, use_case_of
from smp.bootstrap.http import HttpProvider, build_app
from smp.bootstrap.memory import memory_http_provider, memory_provider
from smp.bootstrap.settings import Settings, load_settings
from tests.support.builders import NOW

NOT_IN_THE_CONTAINER = {UnitOfWork, ApiKeyRepository, ClockRepository, EventLog, UseCaseTracer}
"""Ports that a unit of work gives out, and the one that only a process with traces has."""


def settings(**environ: str) -> Settings:
    """Settings with a database that is never connected to."""
    return load_settings({"SMP_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing", **environ})


def modules_of(package: ModuleType) -> Iterator[ModuleType]:
    for module in pkgutil.iter_modules(package.__path__):
        yield import_module(f"{package.__name__}.{module.name}")


def classes_of(module: ModuleType) -> Iterator[type[Any]]:
    for _, found in inspect.getmembers(module, inspect.isclass):
        if found.__module__ == module.__name__:
            yield found


def handlers() -> list[type[Any]]:
    return [
        found
        for package in (smp.application.commands, smp.application.jobs, smp.application.queries)
        for module in modules_of(package)
        for found in classes_of(module)
        if found.__name__.endswith("Handler")
    ]


def ports() -> list[type[Any]]:
    found = [
        port
        for module in modules_of(smp.application.ports)
        for port in classes_of(module)
        if Protocol in port.__bases__
    ]
    return [port for port in found if port not in NOT_IN_THE_CONTAINER]


def innermost(handler: Any) -> type[Any]:  # noqa: ANN401 - a decorator, or the handler
    """Return the class of the handler inside all decorators."""
    while hasattr(handler, "handler"):
        handler = handler.handler
    return type(handler)


async def get(container: AsyncContainer, part: type[Any]) -> Any:  # noqa: ANN401 - any part
    """Return the part from the container, and close the container."""
    try:
        return await container.get(part)
    finally:
        await container.close()


def test_every_use_case_file_has_one_handler() -> None:
    """So the tests below see all handlers."""
    files = [
        module
        for package in (smp.application.commands, smp.application.jobs, smp.application.queries)
        for module in modules_of(package)
        if module not in (views, outcome)
    ]
    assert len(handlers()) == len(files)


@pytest.mark.parametrize("handler", handlers(), ids=lambda handler: handler.__name__)
async def test_the_container_provides_every_handler(handler: type[Any]) -> None:
    executed = await get(build_container(settings(SMP_TEST_CLOCK="1")), interface_of(handler))
    assert innermost(executed) is handler


def test_every_use_case_has_a_permission_and_every_permission_a_use_case() -> None:
    """No caller can run a use case that is not in the table."""
    assert {use_case_of(handler)[0] for handler in handlers()} == set(PERMISSIONS)


@pytest.mark.parametrize("handler", handlers(), ids=lambda handler: handler.__name__)
def test_every_handler_takes_a_command_and_its_caller(handler: type[Any]) -> None:
    """So that one set of decorators fits all of them."""
    names = list(inspect.signature(handler.__call__).parameters)
    assert names in (["self", "command", "caller"], ["self", "query", "caller"])


@pytest.mark.parametrize("port", ports(), ids=lambda port: port.__name__)
async def test_every_port_has_an_adapter(port: type[Any]) -> None:
    adapter = await get(build_container(settings(SMP_TEST_CLOCK="1")), port)
    assert port in type(adapter).__mro__


async def test_the_clock_cannot_be_set_unless_the_settings_allow_it() -> None:
    for part in (interface_of(SetTestClockHandler), interface_of(GetTestClockHandler)):
        with pytest.raises(DishkaError):
            await get(build_container(settings()), part)


@pytest.mark.parametrize("test_clock", ["0", "1"])
async def test_all_handlers_share_one_instance_of_a_port(test_clock: str) -> None:
    container = build_container(settings(SMP_TEST_CLOCK=test_clock))
    first, second = [await container.get(port) for port in (UnitOfWorkFactory, UnitOfWorkFactory)]
    assert first is second
    await container.close()


def test_building_the_container_connects_to_nothing() -> None:
    """There is no event loop here, and no database at that address."""
    build_container(settings())


async def test_closing_the_container_ends_its_tasks_and_threads() -> None:
    """A thread that is left would cause a warning, and warnings are errors."""
    container = build_container(settings())
    for port in ports():
        await container.get(port)
    before = asyncio.all_tasks()
    await container.close()
    assert asyncio.all_tasks() <= before


def test_a_second_adapter_for_a_port_is_an_error_unless_it_is_marked_as_a_replacement() -> None:
    provider = Provider(scope=Scope.APP)
    provider.provide(lambda: None, provides=IdGenerator)
    with pytest.raises(DishkaError):
        build_container(settings(), provider)


def test_a_replacement_for_a_port_without_an_adapter_is_an_error() -> None:
    class Unknown:
        """A port without an adapter."""

    provider = Provider(scope=Scope.APP)
    provider.provide(lambda: Unknown(), provides=Unknown, override=True)  # noqa: PLW0108 - a factory, not a class
    with pytest.raises(DishkaError):
        build_container(settings(), provider)


@pytest.mark.parametrize("test_clock", [False, True])
async def test_the_whole_service_runs_on_memory_without_a_database(*, test_clock: bool) -> None:
    store = MemoryStore()
    on_memory = memory_provider(store, MemoryClock(store, NOW))
    chosen = settings(SMP_TEST_CLOCK=str(int(test_clock)), SMP_SWEEP_INTERVAL_S="0")
    container = build_container(chosen, HttpProvider(), on_memory, memory_http_provider())
    assert await (await container.get(Clock)).now() == NOW
    for handler in handlers():
        if test_clock or handler not in {SetTestClockHandler, GetTestClockHandler}:
            await container.get(interface_of(handler))
    assert callable(build_app(chosen, container))
    await container.close()
