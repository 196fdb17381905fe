"""The printed form of a request's body does not show what the client sent."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from smp.adapters.http.api.auth.schemas import ChangePasswordIn, LoginIn, RegisterIn
from smp.adapters.http.wire import RequestModel

BODIES = (
    LoginIn(email="ada@example.com", password="canary"),
    RegisterIn(email="ada@example.com", password="canary"),
    ChangePasswordIn(current_password="canary", new_password="canary"),
)


@pytest.mark.parametrize("body", BODIES, ids=lambda body: type(body).__name__)
def test_the_representation_of_a_body_is_its_type(body: RequestModel) -> None:
    assert [repr(body), str(body), f"{[body]}"] == [
        f"<{type(body).__name__}>",
        f"<{type(body).__name__}>",
        f"[<{type(body).__name__}>]",
    ]


def test_the_representation_of_a_request_model_has_no_values() -> None:
    """No subclass overrides the representation."""
    assert all(kind.__repr__ is RequestModel.__repr__ for kind in _kinds(RequestModel))


def _kinds(kind: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    for narrower in kind.__subclasses__():
        yield narrower
        yield from _kinds(narrower)
