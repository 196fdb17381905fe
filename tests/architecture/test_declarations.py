"""House rules about errors, commands, queries, and fields with secrets."""

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
"""The names of fields that must not be printed …"""
NOT_SECRET: Final = re.compile(r"password_(length|blocklist)|token_digest|tokens?_(per|max)")
"""… and similar names of fields that may be printed."""


def leaves(root: type[Exception]) -> Iterator[type[Exception]]:
    """Yield the subclasses of ``root`` that have no subclasses."""
    for subclass in root.__subclasses__():
        if subclass.__subclasses__():
            yield from leaves(subclass)
        else:
            yield subclass


@pytest.fixture(scope="module", autouse=True)
def everything() -> None:
    """Import the whole core, so that every subclass exists."""
    for each in [*within("smp.domain"), *within("smp.application")]:
        importlib.import_module(each.name)


def test_every_refusal_has_a_unique_code() -> None:
    """Callers rely on this slug."""
    found = [*leaves(DomainError), *leaves(ApplicationError)]
    codes = {each.__name__: getattr(each, "code", "") for each in found}
    assert len(found) > 20
    assert [name for name, code in codes.items() if not re.fullmatch(r"[a-z]+(-[a-z]+)*", code)] == []
    assert len(set(codes.values())) == len(codes), codes


def core_dataclasses() -> list[type[Any]]:
    """Return every dataclass that the core defines."""
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
"""The counts of a running expiry job, from which its progress is reported."""


def test_values_commands_queries_and_handlers_are_frozen_and_have_slots() -> None:
    """Code cannot change them by accident, and a misspelt field is an error."""
    found = core_dataclasses()
    assert len(found) > 80
    loose = [each.__name__ for each in found if not each.__dataclass_params__.frozen or "__slots__" not in vars(each)]
    assert set(loose) == MUTABLE
    assert all("__slots__" in vars(each) for each in found)


def test_every_handler_has_a_command_or_query_that_is_a_dataclass() -> None:
    asked = {each.__name__ for each in core_dataclasses()}
    handlers = {name.removesuffix("Handler") for name in asked if name.endswith("Handler")}
    assert len(handlers) > 35
    assert handlers <= asked


def test_no_dataclass_prints_a_secret_in_its_repr() -> None:
    """So no secret is in a log line or a traceback."""
    printed = []
    for each in modules():
        if each.name.endswith("__main__"):
            continue
        for member in vars(importlib.import_module(each.name)).values():
            if inspect.isclass(member) and member.__module__ == each.name and dataclasses.is_dataclass(member):
                printed += [
                    f"{each.name}.{member.__name__}.{field.name}"
                    for field in dataclasses.fields(member)
                    if SECRET.search(field.name)
                    and not NOT_SECRET.search(field.name)
                    and field.repr
                    and is_plain(field.type)
                ]
    assert printed == []


def is_plain(type_: object) -> bool:
    """Return true if a field of this type contains the secret itself, unlike a port or a policy."""
    return bool(re.match(r"(str|bytes)\b", str(type_)))
