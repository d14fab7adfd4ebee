"""Descriptors of what is plugged in, for reflection: the adapters' own services beside the contract.

The app joins a `PluggedSource` with the gateway's own descriptors and hands both to gRPC reflection. Two adapters may
bring different files under one name: the later one's is renamed, and so are the files that import it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from google.protobuf import descriptor_pb2

from cloudspan_gateway.routing.describe import is_reserved
from cloudspan_gateway.routing.snapshot import QUARANTINED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from cloudspan_common.reflection import DescriptorSource, Files
    from cloudspan_gateway.access.access import Access
    from cloudspan_gateway.routing.describe import Description
    from cloudspan_gateway.routing.snapshot import Snapshot

FileProto = descriptor_pb2.FileDescriptorProto
_MAX_INDEXES = 32


@dataclass(slots=True)
class _Index:
    """The files of all adapters by their names here, and what is in them."""

    files: dict[str, FileProto] = field(default_factory=dict)
    symbols: dict[str, str] = field(default_factory=dict)
    extensions: dict[tuple[str, int], str] = field(default_factory=dict)
    services: set[str] = field(default_factory=set)


class _Indexes:
    """Those of the sets of files that were asked about last: one for the gateway, and for each view of its callers."""

    def __init__(self, own: DescriptorSource) -> None:
        self._own = own
        self._kept: dict[tuple[tuple[bytes, ...], ...], _Index] = {}

    def of(self, descriptions: Sequence[Description]) -> _Index:
        key = tuple(each.files for each in descriptions)
        if key not in self._kept:
            if len(self._kept) >= _MAX_INDEXES:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = _indexed(descriptions, self._own)
        return self._kept[key]


class PluggedSource:
    """The descriptors of the adapters that run; rebuilt when their set of files changes."""

    def __init__(
        self, snapshot: Callable[[], Snapshot], own: DescriptorSource, indexes: _Indexes | None = None
    ) -> None:
        self._snapshot = snapshot
        self._own = own
        self._indexes = indexes or _Indexes(own)
        self._seen: Snapshot | None = None
        self._index = _Index()

    def __repr__(self) -> str:
        return f"<PluggedSource {len(self._current().services)} services in {len(self._current().files)} files>"

    def seen_by(self, access: Access) -> PluggedSource:
        """Return the same for one caller: what adapters of other platforms bring does not exist for it."""
        return PluggedSource(lambda: access.view(self._snapshot()), self._own, self._indexes)

    def list_services(self) -> Sequence[str]:
        return sorted({*self._own.list_services(), *self._current().services})

    def file_by_name(self, name: str) -> Files | None:
        return self._own.file_by_name(name) or self._closure(name)

    def file_containing_symbol(self, symbol: str) -> Files | None:
        return self._own.file_containing_symbol(symbol) or self._closure(self._current().symbols.get(symbol, ""))

    def file_containing_extension(self, type_name: str, number: int) -> Files | None:
        own = self._own.file_containing_extension(type_name, number)
        return own or self._closure(self._current().extensions.get((type_name, number), ""))

    def extension_numbers(self, type_name: str) -> Sequence[int] | None:
        own = self._own.extension_numbers(type_name)
        index = self._current()
        if own is None and type_name not in index.symbols:
            return None
        return sorted({*(own or ()), *(number for name, number in index.extensions if name == type_name)})

    def _closure(self, name: str) -> Files | None:
        """The file and all it imports; what adapters share with the gateway comes from the gateway."""
        index, found = self._current(), dict[str, bytes]()
        if name not in index.files:
            return None
        waiting = [name]
        while waiting:
            each = waiting.pop(0)
            if each in found:
                continue
            file = index.files.get(each)
            if file is not None:
                found[each] = file.SerializeToString(deterministic=True)
                waiting.extend(file.dependency)
            else:
                found.update({f"{each}#{n}": data for n, data in enumerate(self._own.file_by_name(each) or ())})
        return tuple(dict.fromkeys(found.values()))

    def _current(self) -> _Index:
        snapshot = self._snapshot()
        if snapshot is not self._seen:
            self._seen = snapshot
            self._index = self._indexes.of(tuple(_described(snapshot)))
        return self._index


def _described(snapshot: Snapshot) -> Iterator[Description]:
    """The descriptions of those that may be called, draining ones included; each set of files once."""
    seen = set()
    for platform in snapshot.platforms.values():
        for instance in platform.instances:
            description = instance.description
            if (
                description is not None
                and instance.state != QUARANTINED
                and description.files
                and description.files not in seen
            ):
                seen.add(description.files)
                yield description


def _indexed(descriptions: Iterable[Description], own: DescriptorSource) -> _Index:
    index = _Index()
    for description in descriptions:
        _add(index, description, own)
    return index


def _add(index: _Index, description: Description, own: DescriptorSource) -> None:
    """Add one adapter's files; a rename changes the importing files' content, so it spreads to them by itself."""
    prefix = f"{description.platform}-{hashlib.sha256(b''.join(description.files)).hexdigest()[:8]}"
    names: dict[str, str] = {}
    for data in description.files:
        file = FileProto.FromString(data)
        file.dependency[:] = [names.get(each, each) for each in file.dependency]
        original = file.name
        known = _known(index, own, original)
        if known is not None and not _same(known, file):
            file.name = f"{prefix}/{original}"
            known = None
        names[original] = file.name
        if known is None:
            index.files[file.name] = file
            _add_symbols(index, file, description)


def _known(index: _Index, own: DescriptorSource, name: str) -> FileProto | None:
    files = own.file_by_name(name)
    return FileProto.FromString(files[0]) if files else index.files.get(name)


def _same(one: FileProto, other: FileProto) -> bool:
    """Equal as far as it matters: comments and positions don't."""
    return _bare(one) == _bare(other)


def _bare(file: FileProto) -> bytes:
    copy = FileProto()
    copy.CopyFrom(file)
    copy.ClearField("source_code_info")
    return copy.SerializeToString(deterministic=True)


def _add_symbols(index: _Index, file: FileProto, description: Description) -> None:
    scope = file.package
    for service in file.service:
        name = _join(scope, service.name)
        _define(index, file, [name, *(f"{name}.{method.name}" for method in service.method)])
        if name in description.services and not is_reserved(name):
            index.services.add(name)
    for message in file.message_type:
        _add_message(index, file, scope, message)
    for enum in file.enum_type:
        _add_enum(index, file, scope, enum)
    _add_extensions(index, file, scope, file.extension)


def _add_message(index: _Index, file: FileProto, scope: str, message: descriptor_pb2.DescriptorProto) -> None:
    name = _join(scope, message.name)
    members = [*(each.name for each in message.field), *(each.name for each in message.oneof_decl)]
    _define(index, file, [name, *(f"{name}.{member}" for member in members)])
    for nested in message.nested_type:
        _add_message(index, file, name, nested)
    for enum in message.enum_type:
        _add_enum(index, file, name, enum)
    _add_extensions(index, file, name, message.extension)


def _add_enum(index: _Index, file: FileProto, scope: str, enum: descriptor_pb2.EnumDescriptorProto) -> None:
    # Values stand beside their enum, as in C.
    _define(index, file, [_join(scope, enum.name), *(_join(scope, value.name) for value in enum.value)])


def _add_extensions(
    index: _Index, file: FileProto, scope: str, extensions: Iterable[descriptor_pb2.FieldDescriptorProto]
) -> None:
    for extension in extensions:
        _define(index, file, [_join(scope, extension.name)])
        index.extensions.setdefault((extension.extendee.lstrip("."), extension.number), file.name)


def _define(index: _Index, file: FileProto, symbols: Iterable[str]) -> None:
    """The first adapter that defines a symbol answers for it."""
    for symbol in symbols:
        index.symbols.setdefault(symbol, file.name)


def _join(scope: str, name: str) -> str:
    return f"{scope}.{name}" if scope else name
