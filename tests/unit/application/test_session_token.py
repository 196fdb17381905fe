"""The token of a session contains the id of its user, which proves nothing."""

from __future__ import annotations

from uuid import UUID

import pytest

from smp.adapters.system.token_generator import SecretsTokenGenerator
from smp.application.session_token import new_session_token, owner_named_by

ANN = UUID("01890a5d-ac96-774b-bcce-b302099a8057")


def test_a_token_contains_its_user_and_256_random_bits() -> None:
    """It is safe in a cookie."""
    made = {new_session_token(ANN, SecretsTokenGenerator()) for _ in range(100)}
    assert {owner_named_by(token) for token in made} == {ANN}
    assert len(made) == 100
    assert {len(token) - len(ANN.hex) for token in made} == {43}
    assert all(token.replace("-", "").replace("_", "").isalnum() and token.isascii() for token in made)


ODD = [
    "",
    "unknown",
    "\x00" * 75,
    "\ud800" * 75,
    "g" * 75,
    "01890a5d",
    "x" * 100_000,
    "smp_" + "a" * 43,
    "\u0663 " * 40,
]


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_a_malformed_token_has_no_user(odd: str) -> None:
    assert owner_named_by(odd) is None
