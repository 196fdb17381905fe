"""HEAD is answered as GET without the body (RFC 9110, section 9.3.2)."""

from __future__ import annotations

from smp.adapters.http.asgi import Header, Message, Scope


def treat_as_get(scope: Scope) -> bool:
    """Turn a HEAD request into a GET request. Return whether it was one."""
    is_head: bool = scope["method"] == "HEAD"
    if is_head:
        scope["method"] = "GET"
    return is_head


def without_body(message: Message) -> Message:
    """Return a part of the response without its bytes."""
    return {**message, "body": b""}


def allow_head(header: Header) -> Header:
    """Add HEAD to an ``Allow`` header that has GET."""
    name, value = header
    if name.lower() == b"allow" and b"GET" in value and b"HEAD" not in value:
        return name, value + b", HEAD"
    return header
