"""Read masks (AIP-157): an answer holds the fields that were asked for, and always `name`.

The servicer calls `apply` on a resource; `paging` compiles a mask once for a page. A path is a field, a field of a
singular message (`fault.code`), or a map's entry (`labels.team`); `*` stands for everything.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from cloudspan_common.errors import InvalidRequest, Violation

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, FieldDescriptor
    from google.protobuf.field_mask_pb2 import FieldMask
    from google.protobuf.message import Message

Masked = Callable[[Any], Any]
"""Returns a new message with what the mask keeps of one."""

_ALWAYS = "name"
_WIDE = 1.5  # clearing a field costs less than copying one
_KNOWN_BYTES = 4096  # longer masks are compiled anew: what is kept of them is bounded
_Tree = dict[str, "_Tree"]
"""Fields to keep; under each its own tree, an empty one for the whole field."""


def compiled(mask: FieldMask | None, resource: Descriptor) -> Masked | None:
    """Return what applies `mask` to messages of `resource`, or None when it keeps everything.

    Raises:
        InvalidRequest: UNKNOWN_MASK_PATH, naming the known ones.
    """
    if mask is None or not mask.paths:
        return None
    make = _compiled if mask.ByteSize() <= _KNOWN_BYTES else _compiled.__wrapped__
    return make(tuple(mask.paths), resource)


# Callers send the same few masks again and again: compiling one of 19 paths takes 23 us, as long as masking 14 servers.
@functools.lru_cache(maxsize=256)
def _compiled(paths: tuple[str, ...], resource: Descriptor) -> Masked | None:
    tree: _Tree = {}
    for path in paths:
        if path != "*":
            _check(path.split("."), path, resource)
            _plant(tree, path.split("."), resource)
    if "*" in paths:
        return None
    if _ALWAYS in resource.fields_by_name:
        tree[_ALWAYS] = {}
    return _keeping(tree, resource)


def apply(mask: FieldMask | None, message: Message) -> None:
    """Take from `message`, in place, what `mask` does not keep.

    Raises:
        InvalidRequest: UNKNOWN_MASK_PATH, naming the known ones.
    """
    masked = compiled(mask, cast("Descriptor", message.DESCRIPTOR))
    if masked is not None:
        message.CopyFrom(masked(message))


def _check(segments: list[str], path: str, resource: Descriptor) -> None:
    known: Mapping[str, FieldDescriptor] = resource.fields_by_name
    for index, segment in enumerate(segments):
        if segment not in known:
            raise _unknown(path, ".".join([resource.name, *segments[:index]]), known)
        field = known[segment]
        if _is_map(field):
            return
        known = {} if field.message_type is None or field.is_repeated else field.message_type.fields_by_name


def _unknown(path: str, owner: str, known: Iterable[str]) -> InvalidRequest:
    names = ", ".join(known) or "nothing below it (it is a value or a list, taken whole)"
    text = f"read_mask holds {path[:80]!r}; {owner} has {names}"
    return InvalidRequest(text, reason="UNKNOWN_MASK_PATH", violations=[Violation("read_mask", text)])


def _plant(tree: _Tree, segments: list[str], resource: Descriptor) -> None:
    """Add one path; a path to the whole of a field outweighs those into it."""
    head, *rest = segments
    field = resource.fields_by_name[head]
    if not rest:
        tree[head] = {}
    elif head not in tree or tree[head]:
        below = tree.setdefault(head, {})
        if _is_map(field):
            below[".".join(rest)] = {}
        elif field.message_type is not None:
            _plant(below, rest, field.message_type)


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _keeping(tree: _Tree, resource: Descriptor) -> Masked:
    """Compile a tree: a page of 1000 must not look at fields that nobody asked for."""
    dropped = [name for name in resource.fields_by_name if name not in tree]
    if not any(tree.values()) and len(dropped) < _WIDE * len(tree):
        return _dropping(dropped)
    copies = [_copy(resource.fields_by_name[name], below) for name, below in tree.items()]

    def kept(message: Any) -> Any:
        part = type(message)()
        for copy in copies:
            copy(message, part)
        return part

    return kept


def _dropping(names: Iterable[str]) -> Masked:
    """Copy all and clear the rest: for a mask that keeps about half of the fields this takes half the time."""

    def kept(message: Any) -> Any:
        part = type(message)()
        part.CopyFrom(message)
        clear = part.ClearField
        for name in names:
            clear(name)
        return part

    return kept


def _copy(field: FieldDescriptor, below: _Tree) -> Callable[[Any, Any], None]:
    """Return what copies one field, or what `below` names of it, from a message to another."""
    if below and field.message_type is not None:
        return _copy_entries(field.name, tuple(below)) if _is_map(field) else _copy_part(field, below)
    name = field.name
    if field.is_repeated:
        return lambda source, target: getattr(target, name).MergeFrom(getattr(source, name))
    if field.message_type is not None:
        return _copy_part(field, None)
    if field.has_presence:
        return lambda source, target: setattr(target, name, getattr(source, name)) if source.HasField(name) else None
    return lambda source, target: setattr(target, name, getattr(source, name))


def _copy_part(field: FieldDescriptor, below: _Tree | None) -> Callable[[Any, Any], None]:
    name = field.name
    masked = _keeping(below, field.message_type) if below and field.message_type is not None else None

    def copy(source: Any, target: Any) -> None:
        if source.HasField(name):
            value = getattr(source, name)
            getattr(target, name).CopyFrom(value if masked is None else masked(value))

    return copy


def _copy_entries(name: str, keys: Iterable[str]) -> Callable[[Any, Any], None]:
    def copy(source: Any, target: Any) -> None:
        entries, kept = getattr(source, name), getattr(target, name)
        for key in keys:
            if key in entries:
                kept[key] = entries[key]

    return copy
