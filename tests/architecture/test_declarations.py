"""House rules about what the modules declare: errors, commands, queries, secrets."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest

from smp.application.errors import ApplicationError
from smp.domain.errors import DomainError
from tests.architecture.source import modules, within

SECRET: Final = re.compile(r"password|secret|token|api_key$|database_url|dsn")
"""What a field that must not be printed is called …"""
TOLD: Final = re.compile(r"password_(length|blocklist)|token_digest|tokens?_(per|max)")
"""… and what only sounds like it."""


def leaves(root: type[Exception]) -> Iterator[type[Exception]]:
    """The classes under ``root`` that nobody goes on from."""
    for subclass in root.__subclasses__():
        if subclass.__subclasses__():
            yield from leaves(subclass)
        else:
            yield subclass


@pytest.fixture(scope="module", autouse=True)
def everything() -> None:
    """Import the core whole, so that no subclass is missed."""
    for each in [*within("smp.domain"), *within("smp.application")]:
        importlib.import_module(each.name)


def test_every_refusal_has_a_code_of_its_own() -> None:
    """A slug that callers can rely on; no two refusals share one."""
    found = [*leaves(DomainError), *leaves(ApplicationError)]
    codes = {each.__name__: getattr(each, "code", "") for each in found}
    assert len(found) > 20
    assert [name for name, code in codes.items() if not re.fullmatch(r"[a-z]+(-[a-z]+)*", code)] == []
    assert len(set(codes.values())) == len(codes), codes


def core_dataclasses() -> list[type[Any]]:
    """Every dataclass that the core defines."""
    found = []
    for each in [*within("smp.domain"), *within("smp.application")]:
        members = vars(importlib.import_module(each.name)).values()
        found += [
            member
            for member in members
            if inspect.isclass(member) and member.__module__ == each.name and dataclasses.is_dataclass(member)
        ]
    return found


MUTABLE: Final = {"ExpiryOutcome"}
"""What a sweep counts while it goes on; progress is told from it."""


def test_values_commands_queries_and_handlers_are_frozen_and_have_slots() -> None:
    """Nobody changes them in passing, or misspells a field of theirs in silence."""
    found = core_dataclasses()
    assert len(found) > 80
    loose = [each.__name__ for each in found if not each.__dataclass_params__.frozen or "__slots__" not in vars(each)]
    assert set(loose) == MUTABLE
    assert all("__slots__" in vars(each) for each in found)


def test_commands_and_queries_are_dataclasses() -> None:
    """What a handler is asked has a type that names it."""
    asked = {each.__name__ for each in core_dataclasses()}
    handlers = {name.removesuffix("Handler") for name in asked if name.endswith("Handler")}
    assert len(handlers) > 35
    assert handlers <= asked


def test_secrets_are_not_printed() -> None:
    """In no repr, and so in no log line and no traceback, of any dataclass of the platform."""
    printed = []
    for each in modules():
        if each.name.endswith("__main__"):
            continue
        for member in vars(importlib.import_module(each.name)).values():
            if inspect.isclass(member) and member.__module__ == each.name and dataclasses.is_dataclass(member):
                printed += [
                    f"{each.name}.{member.__name__}.{field.name}"
                    for field in dataclasses.fields(member)
                    if SECRET.search(field.name) and not TOLD.search(field.name) and field.repr and is_plain(field.type)
                ]
    assert printed == []


def is_plain(type_: object) -> bool:
    """Whether a field of this type would be printed as it is; a port or a policy is not the secret itself."""
    return bool(re.match(r"(str|bytes)\b", str(type_)))
