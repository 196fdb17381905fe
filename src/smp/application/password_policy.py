"""The rules for passwords."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from smp.application.ports.common_passwords import CommonPasswords
from smp.domain.errors import ValidationError
from smp.domain.text import is_unicode
from smp.domain.user.password_patterns import SERVICE_WORDS, cores, names_in, without_patterns

LENGTH_MAX: Final = 1_024
LENGTH_FLOOR: Final = 8

_ADVICE: Final = "choose several words that have nothing to do with each other"


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """The rules for passwords: a minimum length in code points, and not easy to guess.

    A password is easy to guess if it is a common one, also with digits or signs around it, or if fewer than
    ``LENGTH_FLOOR`` characters are left without repeats, runs of the alphabet or a keyboard, blanks, the user's email
    and the service's name.

    All Unicode characters are allowed, and nothing is trimmed. There are no rules about kinds of characters, and
    passwords do not expire. Source: NIST SP 800-63B-4, section 3.1.1.2.
    """

    common: CommonPasswords
    length_min: int

    def check(self, password: str, email: str, pointer: str = "/password") -> None:
        """Check the password of the user with this email. It takes time that is linear in the password's length.

        Raises:
            ValidationError: at ``pointer``, if the password is not allowed; the message says what to do.
        """
        if not self.length_min <= len(password) <= LENGTH_MAX:
            raise ValidationError(pointer, f"must have {self.length_min} to {LENGTH_MAX} characters")
        if not is_unicode(password):
            raise ValidationError(pointer, "must be valid Unicode, without lone surrogates")
        remainders = without_patterns(password, [*names_in(email), *SERVICE_WORDS])
        if self.common.contains(password) or any(
            self.common.contains(core) for text in (password, *remainders) for core in cores(text)
        ):
            raise ValidationError(pointer, f"must not be a common password, also with digits or signs added; {_ADVICE}")
        if min(map(len, remainders)) < LENGTH_FLOOR:
            raise ValidationError(
                pointer,
                f"must have at least {LENGTH_FLOOR} characters besides repeats, runs such as 1234 or qwerty, blanks,"
                f" your email and the name of this service; {_ADVICE}",
            )
