"""The names of the demonstration's users."""

from __future__ import annotations

from typing import Final

DOMAIN: Final = "demo.example"
"""No mail can go there (RFC 2606, section 2)."""

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

# No common divisor with the number of last names: every pair comes up before any comes twice.
_STEP: Final = 17


def email_of(number: int) -> str:
    """The address of the user with this number, from 0 on; no two are alike."""
    round_, index = divmod(number, len(_FIRST) * len(_LAST))
    turn, first = divmod(index, len(_FIRST))
    last = (first * _STEP + turn) % len(_LAST)
    suffix = "" if round_ == 0 else str(round_ + 1)
    return f"{_FIRST[first]}.{_LAST[last]}{suffix}@{DOMAIN}"
