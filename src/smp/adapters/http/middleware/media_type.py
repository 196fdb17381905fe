"""The media type of a body (RFC 9110, section 8.3.1)."""

from __future__ import annotations

import re
from typing import Final

_UTF_8: Final = frozenset({b"utf-8", b"utf8"})
# Possessive quantifiers (*+, ++, ?+): a part that matched is not tried again with fewer characters, so that a text
# that does not match takes linear time too.
_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]++"
_PARAMETER: Final = re.compile(rb'[ \t]*+;[ \t]*+(?:(%b)=(?:(%b)|"((?:[^"\\]|\\.)*+)"))?+' % (_TOKEN, _TOKEN))
_TYPE: Final = re.compile(rb"[ \t]*+(%b/%b)" % (_TOKEN, _TOKEN))


def utf8_media_type(content_type: bytes) -> bytes | None:
    """Return the type and subtype that a ``Content-Type`` names, in lower case.

    Parameters are ignored, except for a charset other than UTF-8: then, and for a malformed header, ``None``.
    """
    match = _TYPE.match(content_type)
    if match is None:
        return None
    end = match.end()
    while parameter := _PARAMETER.match(content_type, end):
        end = parameter.end()
        name, token, quoted = parameter.groups(b"")
        if name.lower() == b"charset" and (token or quoted).lower() not in _UTF_8:
            return None
    return None if content_type[end:].strip(b" \t") else match[1].lower()
