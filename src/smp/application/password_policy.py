"""The rules for passwords."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from smp.application.ports.common_passwords import CommonPasswords
from smp.domain.errors import ValidationError
from smp.domain.text import is_unicode

LENGTH_MAX: Final = 1_024
LENGTH_FLOOR: Final = 8


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """The rules for passwords: a minimum length in code points, and not on the list of common ones.

    All Unicode characters are allowed, and nothing is trimmed. There are no rules about kinds of characters, and
    passwords do not expire. Source: NIST SP 800-63B-4, section 3.1.1.2.
    """

    common: CommonPasswords
    length_min: int

    def check(self, password: str, pointer: str = "/password") -> None:
        """Check the password.

        Raises:
            ValidationError: at ``pointer``, if the password is not allowed.
        """
        if not self.length_min <= len(password) <= LENGTH_MAX:
            raise ValidationError(pointer, f"must have {self.length_min} to {LENGTH_MAX} characters")
        if not is_unicode(password):
            raise ValidationError(pointer, "must be valid Unicode, without lone surrogates")
        if self.common.contains(password):
            raise ValidationError(pointer, "must not be one of the common passwords; choose another one")
