"""Which passwords are taken."""

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
    """By length in code points and a list of common ones; nothing is trimmed, anything Unicode is fine.

    After NIST SP 800-63B-4, section 3.1.1.2: no rules of composition, no expiry.
    """

    common: CommonPasswords
    length_min: int

    def check(self, password: str, pointer: str = "/password") -> None:
        """Let a good password pass.

        Raises:
            ValidationError: at ``pointer`` with the reason.
        """
        if not self.length_min <= len(password) <= LENGTH_MAX:
            raise ValidationError(pointer, f"must have {self.length_min} to {LENGTH_MAX} characters")
        if not is_unicode(password):
            raise ValidationError(pointer, "must be made of characters; a lone surrogate is none")
        if self.common.contains(password):
            raise ValidationError(pointer, "is on the list of common passwords; choose another")
