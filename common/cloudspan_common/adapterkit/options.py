"""Options: what only one platform knows of a request, a Struct that its driver declares as a `msgspec.Struct`.

Areas and the servicer call `read_options`; capabilities publish `options_schema`; the gateway refuses by
`unknown_options` before it asks an adapter. An unknown option is refused, never ignored.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

import msgspec
from google.protobuf.struct_pb2 import Struct

from cloudspan_common.errors import Defect, InvalidRequest, Violation

if TYPE_CHECKING:
    from google.protobuf.struct_pb2 import Value

S = TypeVar("S", bound=msgspec.Struct)
Schema = Mapping[str, Any]

# Beyond 2**53 a double no longer tells neighbouring whole numbers apart: what was meant is unknown.
_EXACT = 2.0**53
_PLACE = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<path>[^`]*)`)?", re.DOTALL)


@overload
def read_options(struct: Struct, into: None) -> None: ...
@overload
def read_options(struct: Struct, into: type[S]) -> S: ...
def read_options(struct: Struct, into: type[S] | None) -> S | None:
    """Return the options of a request as what its driver declared; None when it declared none.

    Raises:
        InvalidRequest: UNKNOWN_OPTION with the known ones, or BAD_OPTION for a wrong type, a value out of range or a
            required option that is missing.
    """
    given = _plain_struct(struct)
    schema = _schema(into) if into is not None else {}
    unknown = list(_unknown(schema, given, ""))
    if unknown:
        known = ", ".join(schema.get("properties", ())) or "none"
        names = ", ".join(f"options.{path}" for path in unknown[:20])
        text = f"unknown: {names}; this method's options on this cluster: {known}"
        violations = [Violation(f"options.{path}", f"is unknown; known: {known}") for path in unknown]
        raise InvalidRequest(text, reason="UNKNOWN_OPTION", violations=violations)
    if into is None:
        return None
    try:
        return msgspec.convert(given, into, strict=True)
    except msgspec.ValidationError as error:
        raise _bad_option(error, schema) from error


def _bad_option(error: msgspec.ValidationError, schema: Schema) -> InvalidRequest:
    match = _PLACE.fullmatch(str(error))
    what, path = (match["what"], match["path"]) if match else (str(error), "")
    place = f"options.{path}" if path else "options"
    known = ", ".join(schema.get("properties", ()))
    text = f"{place}: {what}; this method's options on this cluster: {known}"
    return InvalidRequest(text, reason="BAD_OPTION", violations=[Violation(place, what)])


def options_schema(declared: type[msgspec.Struct] | None) -> Struct:
    """Return the JSON Schema of declared options, without references; empty when there are none.

    Raises:
        Defect: The declaration, or a struct inside it, would ignore unknown options.
    """
    schema = Struct()
    if declared is not None:
        schema.update(dict(_schema(declared)))
    return schema


def unknown_options(schema: Struct, options: Struct) -> list[str]:
    """Return the paths of options that a published schema does not have; any option is unknown to an empty one."""
    return list(_unknown(_plain_struct(schema), _plain_struct(options), ""))


@functools.cache
def _schema(declared: type[msgspec.Struct]) -> Schema:
    schema = msgspec.json.schema(declared)
    definitions = schema.pop("$defs", {})
    for name, definition in definitions.items():
        if "properties" in definition and definition.get("additionalProperties") is not False:
            raise Defect(f"{name} would ignore unknown options; declare it with forbid_unknown_fields=True")
    flat: Schema = _inlined(schema, definitions, ())
    return flat


def _inlined(node: Any, definitions: Schema, within: tuple[str, ...]) -> Any:
    """Replace references by what they name; one that lies within itself becomes a bare object."""
    if isinstance(node, list):
        return [_inlined(part, definitions, within) for part in node]
    if not isinstance(node, dict):
        return node
    if "$ref" not in node:
        return {key: _inlined(part, definitions, within) for key, part in node.items()}
    name = node["$ref"].removeprefix("#/$defs/")
    if name in within:
        return {"type": "object", "title": name}
    rest = {key: part for key, part in node.items() if key != "$ref"}
    return _inlined({**definitions[name], **rest}, definitions, (*within, name))


def _unknown(schema: Schema, value: Any, path: str) -> Iterator[str]:
    """Walk a value beside its schema; what the schema leaves open is left to the driver's conversion."""
    if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        for index, part in enumerate(value):
            yield from _unknown(_object_of(schema["items"]), part, f"{path}[{index}]")
    if not isinstance(value, dict):
        return
    properties = schema.get("properties", {})
    others = schema.get("additionalProperties", path != "")  # only at the top does no schema mean no options
    for key, part in value.items():
        below = f"{path}.{key}" if path else key
        if key in properties:
            yield from _unknown(_object_of(properties[key]), part, below)
        elif isinstance(others, Mapping):
            yield from _unknown(_object_of(others), part, below)
        elif others is False:
            yield below


def _object_of(schema: Schema) -> Schema:
    """Return the one alternative with structure of `X | None`; nothing can be said of a choice between several."""
    alternatives = [part for part in schema.get("anyOf", ()) if part.get("type") != "null"]
    if not alternatives:
        return schema
    return alternatives[0] if len(alternatives) == 1 else {}


def _plain_struct(struct: Struct) -> dict[str, Any]:
    return {key: _plain(value) for key, value in struct.fields.items()}


def _plain(value: Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return _plain_struct(value.struct_value)
    if kind == "list_value":
        return [_plain(part) for part in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() and abs(number) <= _EXACT else number
    return None if kind in (None, "null_value") else getattr(value, kind)
