"""Ids that grow with time."""

from __future__ import annotations

from uuid import UUID

from uuid_utils.compat import uuid7

from smp.application.ports.id_generator import IdGenerator


class Uuid7IdGenerator(IdGenerator):
    """UUIDv7 by the machine's clock, with a counter within the millisecond (RFC 9562, section 6.2, method 1).

    They follow the real clock also where the platform's is a test clock: order is promised, a date inside is not.
    """

    def new(self) -> UUID:
        """A new id, greater than all before it from this process."""
        return uuid7()
