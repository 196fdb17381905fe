"""Bodies that are taken byte for byte, such as those whose signature is checked."""

from __future__ import annotations

from typing import Final

from smp.adapters.http.middleware.body import BodyKind

RAW: Final = BodyKind("any media type", lambda _method, _media_type: True, lambda body: body)
