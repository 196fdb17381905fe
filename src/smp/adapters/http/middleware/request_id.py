"""The request id: the client's where it is well-formed, otherwise a new one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from smp.application.ports.id_generator import IdGenerator

_WELL_FORMED: Final = re.compile(rb"[A-Za-z0-9._:-]{1,128}")


def request_id(headers: Mapping[bytes, bytes], ids: IdGenerator) -> bytes:
    """Return the id that the log and the response carry."""
    given = headers.get(b"x-request-id", b"")
    return given if _WELL_FORMED.fullmatch(given) else str(ids.new()).encode()
