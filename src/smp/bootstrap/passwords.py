"""Passwords that the program makes up."""

from __future__ import annotations

from smp.adapters.system.token_generator import SecretsTokenGenerator


def new_password() -> str:
    """256 random bits, as a session token has them: nobody guesses it, and no policy refuses it."""
    return SecretsTokenGenerator().new()
