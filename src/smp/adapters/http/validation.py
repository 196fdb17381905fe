"""Converting a decoded body to its model, or naming every bad field.

msgspec stops at the first bad field, so after a failure each field is checked by itself.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

import msgspec

from smp.adapters.http.problems.rejection import FieldError, RequestRejected
from smp.domain.features import pointer_token

WireType = Any
"""A type as msgspec understands it: a Struct, a union, an annotated type."""

Model = TypeVar("Model", bound=msgspec.Struct)


def convert(model: type[Model], document: object) -> Model:
    """Return the decoded body as its model.

    Values are not coerced: a text ``"7"`` is not a number, and a number is not an instant.

    Raises:
        RequestRejected: ``validation-failed``, with every bad field.
    """
    try:
        return msgspec.convert(document, model)
    except msgspec.ValidationError:
        errors = tuple(_errors(model, document, ""))
        raise RequestRejected("validation-failed", "some values are not allowed", errors=errors) from None


def _errors(expected_type: WireType, value: object, pointer: str) -> Iterator[FieldError]:
    fields_max = _fields_max(expected_type)
    if isinstance(value, Mapping) and fields_max is not None and len(value) > fields_max:
        # Its fields are not checked: that would cost most for the requests that are furthest from being valid.
        yield FieldError(pointer, f"must be an object of at most {fields_max} fields")
        return
    try:
        msgspec.convert(value, expected_type)
    except msgspec.ValidationError as failure:
        inner = list(_inner_errors(expected_type, value, pointer))
        yield from inner or [FieldError(pointer, _explain(str(failure), expected_type))]


def _inner_errors(expected_type: WireType, value: object, pointer: str) -> Iterator[FieldError]:
    if not isinstance(value, Mapping):
        return
    for option in _options(expected_type):
        if isinstance(option, type) and issubclass(option, msgspec.Struct):
            yield from _struct_errors(option, value, pointer)
        elif _origin(option) is dict:
            key_type, value_type = get_args(option)
            for key, item in value.items():
                place = f"{pointer}/{pointer_token(str(key))}"
                yield from _errors(key_type, key, place)
                yield from _errors(value_type, item, place)


def _struct_errors(
    expected_type: type[msgspec.Struct], value: Mapping[str, object], pointer: str
) -> Iterator[FieldError]:
    known = msgspec.structs.fields(expected_type)
    for known_field in known:
        place = f"{pointer}/{known_field.encode_name}"
        if known_field.encode_name in value:
            yield from _errors(known_field.type, value[known_field.encode_name], place)
        elif known_field.required:
            yield FieldError(place, "is required")
    for name in value.keys() - {known_field.encode_name for known_field in known}:
        yield FieldError(f"{pointer}/{pointer_token(name)}", "is not a known field")


def _options(expected_type: WireType) -> Iterator[WireType]:
    """The members of a union, without annotations."""
    if _origin(expected_type) is Annotated:
        yield from _options(get_args(expected_type)[0])
    elif _origin(expected_type) in (Union, types.UnionType):
        for member in get_args(expected_type):
            yield from _options(member)
    else:
        yield expected_type


def _explain(message: str, expected_type: WireType) -> str:
    if "enum value" in message:
        values = [f"`{member.value}`" for option in _options(expected_type) if _is_enum(option) for member in option]
        return f"must be {' or '.join(values)}"
    if "matching regex" in message:
        descriptions = [meta.description for meta in _metas(expected_type) if meta.description]
        if descriptions:
            return f"must be {' or '.join(descriptions)}"
    return plain(message)


_TYPES: Final[Mapping[str, str]] = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "`true` or `false`",
    "object": "an object",
    "array": "a list",
    "null": "`null`",
    "uuid": "a UUID",
    "datetime": "an RFC 3339 instant with a time zone, such as 2027-01-31T12:00:00Z",
}
_UNITS: Final[Mapping[str, str]] = {"str": " characters", "object": " fields", "array": " items"}
_COMPARISONS: Final[Mapping[str, str]] = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}
_EXPECTED: Final = re.compile(r"Expected `([^`]+)`(?:, got `[^`]+`| (of length )?(>=|<=|>|<) (-?\d+))?(?= - at |\Z)")
_OTHER: Final[Mapping[str, str]] = {
    "Invalid UUID": _TYPES["uuid"],
    "Invalid RFC3339 encoded datetime": _TYPES["datetime"],
    "Expected `datetime` with a timezone component": _TYPES["datetime"],
}


def plain(message: str) -> str:
    """Translate a message of msgspec about one value to what the value must be, without the validator's own words."""
    match = _EXPECTED.match(message)
    if match is None:
        found = _OTHER.get(message.partition(" - at ")[0])
        return f"must be {found}" if found else "must be a value that the documentation allows"
    types, length, comparison, bound = match.groups()
    allowed = " or ".join(_TYPES.get(name, "another type") for name in types.split(" | "))
    if comparison is None:
        return f"must be {allowed}"
    unit = _UNITS.get(types, "") if length else ""
    unit = unit.removesuffix("s") if bound == "1" else unit
    return f"must be {allowed} of {_COMPARISONS[comparison]} {bound}{unit}"


def _is_enum(option: WireType) -> bool:
    return isinstance(option, type) and issubclass(option, Enum)


def _fields_max(expected_type: WireType) -> int | None:
    """The most fields that an object of this type may have; ``None`` if there is no limit."""
    return next((meta.max_length for meta in _metas(expected_type) if meta.max_length is not None), None)


def _metas(expected_type: WireType) -> Iterator[msgspec.Meta]:
    if _origin(expected_type) is Annotated:
        inner, *metas = get_args(expected_type)
        yield from (meta for meta in metas if isinstance(meta, msgspec.Meta))
        yield from _metas(inner)
    elif _origin(expected_type) in (Union, types.UnionType):
        for member in get_args(expected_type):
            yield from _metas(member)


def _origin(expected_type: WireType) -> object:
    """What the type is an instance of, such as ``dict`` or ``Union``."""
    return get_origin(expected_type)
