"""Telling all the bad fields of a body: msgspec stops at the first one, so on failure each field is looked at."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Union, get_args, get_origin

import msgspec

from smp.adapters.http.problems import FieldError, RequestRejected
from smp.domain.features import pointer_token

WireType = Any
"""A type as msgspec understands it: a Struct, a union, an annotated type."""

ERRORS_MAX: Final = 100
"""How many bad fields are told at most."""


def field_errors(wanted: WireType, document: object) -> tuple[FieldError, ...]:
    """Every bad field of a decoded document that should be of the wire type ``wanted``; empty where it is."""
    return tuple(error for _, error in zip(range(ERRORS_MAX), _errors(wanted, document, ""), strict=False))


def check_body(wanted: WireType, document: object) -> None:
    """Let a decoded body pass that is of the wire type.

    Litestar would make a number of ``"7"`` and an instant of ``7``; a value of another type is a bad field here.

    Raises:
        RequestRejected: naming every bad field.
    """
    errors = field_errors(wanted, document)
    if errors:
        raise RequestRejected("validation-failed", "some values are not allowed", errors=errors)


def _errors(wanted: WireType, value: object, pointer: str) -> Iterator[FieldError]:
    try:
        msgspec.convert(value, wanted)
    except msgspec.ValidationError as failure:
        inner = list(_inner_errors(wanted, value, pointer))
        yield from inner or [FieldError(pointer, _explain(str(failure), wanted))]


def _inner_errors(wanted: WireType, value: object, pointer: str) -> Iterator[FieldError]:
    if not isinstance(value, Mapping):
        return
    for option in _options(wanted):
        if isinstance(option, type) and issubclass(option, msgspec.Struct):
            yield from _struct_errors(option, value, pointer)
        elif _origin(option) is dict:
            key_type, value_type = get_args(option)
            for key, item in value.items():
                place = f"{pointer}/{pointer_token(str(key))}"
                yield from _errors(key_type, key, place)
                yield from _errors(value_type, item, place)


def _struct_errors(wanted: type[msgspec.Struct], value: Mapping[str, object], pointer: str) -> Iterator[FieldError]:
    known = msgspec.structs.fields(wanted)
    for known_field in known:
        place = f"{pointer}/{known_field.encode_name}"
        if known_field.encode_name in value:
            yield from _errors(known_field.type, value[known_field.encode_name], place)
        elif known_field.required:
            yield FieldError(place, "is required")
    for name in value.keys() - {known_field.encode_name for known_field in known}:
        yield FieldError(f"{pointer}/{pointer_token(name)}", "is not a known field")


def _options(wanted: WireType) -> Iterator[WireType]:
    """The members of a union, without annotations."""
    if _origin(wanted) is Annotated:
        yield from _options(get_args(wanted)[0])
    elif _origin(wanted) in (Union, types.UnionType):
        for member in get_args(wanted):
            yield from _options(member)
    else:
        yield wanted


def _explain(message: str, wanted: WireType) -> str:
    if "matching regex" in message:
        descriptions = [meta.description for meta in _metas(wanted) if meta.description]
        if descriptions:
            return f"must be {' or '.join(descriptions)}"
    return message.split(" - at ", maxsplit=1)[0].replace("Expected", "must be").replace("`", "")


def _metas(wanted: WireType) -> Iterator[msgspec.Meta]:
    if _origin(wanted) is Annotated:
        inner, *metas = get_args(wanted)
        yield from (meta for meta in metas if isinstance(meta, msgspec.Meta))
        yield from _metas(inner)
    elif _origin(wanted) in (Union, types.UnionType):
        for member in get_args(wanted):
            yield from _metas(member)


def _origin(wanted: WireType) -> object:
    """What the type is an instance of, such as ``dict`` or ``Union``."""
    return get_origin(wanted)
