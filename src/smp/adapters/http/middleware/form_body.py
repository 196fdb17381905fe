"""Bodies of HTML forms: ``application/x-www-form-urlencoded`` in UTF-8."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from smp.adapters.http.middleware.body import BodyKind
from smp.adapters.http.middleware.media_type import utf8_media_type
from smp.adapters.http.problems.rejection import RequestRejected

FIELDS_MAX: Final = 100

_MEDIA_TYPE: Final = "application/x-www-form-urlencoded"


def accepts_form(_method: str, content_type: bytes) -> bool:
    """The media type of a form without files."""
    return utf8_media_type(content_type) == _MEDIA_TYPE.encode()


def parse_form(body: bytes) -> tuple[tuple[str, str], ...]:
    """Decode a form to its names and values, in order; a name may repeat.

    Raises:
        RequestRejected: ``malformed-request`` for text that is not UTF-8, and for more than 100 fields.
    """
    try:
        return tuple(parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX))
    except ValueError:
        raise RequestRejected(
            "malformed-request", f"the body is not a form in UTF-8 with at most {FIELDS_MAX} fields"
        ) from None


FORM: Final = BodyKind(_MEDIA_TYPE, accepts_form, parse_form)
