"""Options: what only one platform knows of a request, a Struct that its driver declares as a `msgspec.Struct`.

Drivers and the servicer call `read_options`; capabilities publish `options_schema`; the gateway refuses by
`unknown_options` before it asks an adapter. An unknown option is refused, never ignored.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, TypeVar, overload

import msgspec
from google.protobuf.struct_pb2 import Struct

from cloudspan_common.errors import Defect, InvalidRequest, Violation
from cloudspan_common.option_schema import plain_struct, unknown_paths

S = TypeVar("S", bound=msgspec.Struct)
Schema = Mapping[str, Any]

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
    given = plain_struct(struct)
    schema = _schema(into) if into is not None else {}
    unknown = list(unknown_paths(schema, given))
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
