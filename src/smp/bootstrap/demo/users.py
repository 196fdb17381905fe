"""The names of the demo users."""

from __future__ import annotations

from typing import Final

DOMAIN: Final = "demo.example"
"""A reserved domain, to which no mail can be sent (RFC 2606, section 2)."""

_FIRST: Final = (
    "ada", "alan", "amira", "anna", "anton", "bella", "boris", "carla", "chen", "clara", "david", "dora", "elena",
    "emil", "erik", "fatima", "felix", "frida", "george", "grace", "hana", "hugo", "ines", "ivan", "jana", "jonas",
    "kai", "lena", "leo", "lin", "maria", "max", "mei", "nadia", "noor", "olga", "omar", "paula", "peter", "priya",
    "rosa", "sam", "sara", "tariq", "tessa", "tom", "uma", "victor", "wanda", "yusuf", "zoe",
)  # fmt: skip
_LAST: Final = (
    "abel", "arslan", "baker", "berg", "castro", "chen", "costa", "dahl", "diaz", "evans", "fischer", "garcia",
    "gruber", "haddad", "hansen", "ito", "ivanova", "jensen", "kaya", "khan", "kim", "kovac", "kowalski", "lang",
    "larsen", "lopez", "marin", "meyer", "mueller", "nakamura", "novak", "okafor", "olsen", "patel", "petrov",
    "quinn", "rao", "reyes", "rossi", "sato", "schmidt", "silva", "singh", "smirnova", "tanaka", "torres", "ueda",
    "varga", "wagner", "weber", "yilmaz", "zhang",
)  # fmt: skip

# It has no common divisor with the number of last names, so every pair is used before one is repeated.
_STEP: Final = 17


def email_of(number: int) -> str:
    """Return the unique email address of the user with this number, from 0 on."""
    round_, index = divmod(number, len(_FIRST) * len(_LAST))
    block, first = divmod(index, len(_FIRST))
    last = (first * _STEP + block) % len(_LAST)
    suffix = "" if round_ == 0 else str(round_ + 1)
    return f"{_FIRST[first]}.{_LAST[last]}{suffix}@{DOMAIN}"
