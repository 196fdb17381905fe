"""What a client sent does not show where a request's body is printed."""

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
def test_a_printed_body_shows_only_its_type(body: RequestModel) -> None:
    assert [repr(body), str(body), f"{[body]}"] == [
        f"<{type(body).__name__}>",
        f"<{type(body).__name__}>",
        f"[<{type(body).__name__}>]",
    ]


def test_no_request_model_prints_its_values() -> None:
    """No subclass overrides the representation."""
    assert all(kind.__repr__ is RequestModel.__repr__ for kind in _kinds(RequestModel))


def _kinds(kind: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    for narrower in kind.__subclasses__():
        yield narrower
        yield from _kinds(narrower)
