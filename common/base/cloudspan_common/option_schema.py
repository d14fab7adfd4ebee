"""What a published JSON Schema says of a request's `options`: which of them a cluster does not know.

Capabilities publish the schema; the gateway refuses by it before it asks an adapter, the kit by what the driver
declared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.struct_pb2 import Struct, Value

Schema = Mapping[str, Any]

# Beyond 2**53 a double can't distinguish neighbouring whole numbers: the intended value is unknown.
_EXACT = 2.0**53


def unknown_options(schema: Struct, options: Struct) -> list[str]:
    """Return the paths of options that a published schema does not have; any option is unknown to an empty one."""
    return list(unknown_paths(plain_struct(schema), plain_struct(options)))


def unknown_paths(schema: Schema, value: Any) -> Iterator[str]:
    """Yield the paths of what `value` has and the schema has not."""
    return _unknown(schema, value, "")


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


def plain_struct(struct: Struct) -> dict[str, Any]:
    """Return a Struct as JSON values; whole numbers as int where a double holds them exactly."""
    return {key: _plain(value) for key, value in struct.fields.items()}


def _plain(value: Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return plain_struct(value.struct_value)
    if kind == "list_value":
        return [_plain(part) for part in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() and abs(number) <= _EXACT else number
    return None if kind in (None, "null_value") else getattr(value, kind)
