"""Passwords that the program makes up."""

from __future__ import annotations

from smp.adapters.system.token_generator import SecretsTokenGenerator


def new_password() -> str:
    """Generate a password of 256 random bits, as in a session token; every password policy accepts it."""
    return SecretsTokenGenerator().new()
