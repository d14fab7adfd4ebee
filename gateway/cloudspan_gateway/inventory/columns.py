"""What is kept of a resource beside its payload: the columns and values that filters, search and sums go by.

The store calls `columns_of` for each row that is written, `sql_filter` knows what stands where by `COLUMNS` and
`value_paths`. Everything is read off the descriptors: a new kind needs nothing here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from google.api import resource_pb2

from cloudspan_common import contract, projects
from cloudspan_common.listing.filter_values import is_map, nanos
from cloudspan_common.names import malformed, parse_cluster

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
    from google.protobuf.message import Message

COLUMNS = ("name", "project", "display_name", "state", "zone", "flavor", "create_time")
"""Columns that hold the field of the same name, where a kind has it: texts, but for `create_time` in Unix seconds."""
ADDRESSES = "addresses"
LABELS = "labels"
_OF_LABEL = f"{LABELS}."
TOKENS = "text"
"""The path of what Search finds exactly by name, as the column `search` has it: id, display name, host name."""
SEPARATOR = "\n"

# PostgreSQL's indices refuse entries of more than 2704 bytes, and a character has up to four: one odd resource must not
# keep its whole cluster from being written. One index has a name, a project and a display name.
MAX_TEXT_CHARS = 200
MAX_VALUE_CHARS = 400
MAX_PATH_CHARS = 250
_MAX_DESCRIPTION_CHARS = 2000
NUL_AS = "\x01"
"""What NUL is kept as, which PostgreSQL has not."""
MAX_INTEGER = 2**63 - 1

_MIB = 2**20
SIZES: Mapping[str, Mapping[str, tuple[str, int]]] = {
    "servers": {"vcpus": ("vcpus", 1), "memory_bytes": ("memory_mib", _MIB)},
    "volumes": {"disk_bytes": ("size_bytes", 1)},
    "snapshots": {"disk_bytes": ("volume_size_bytes", 1)},
    "images": {"disk_bytes": ("size_bytes", 1)},
}
"""What is summed up: column -> field and factor. Flavors have vcpus too, but nobody uses those."""
_ADDRESS_FIELDS = frozenset(
    {"ip_address", "mac_address", "fixed_ip_address", "floating_ip_addresses", "gateway_ip", "cidr"}
)
_MAX_NAME_BYTES = 512
_NOBODYS = "platforms/-/clusters/-/projects/-"  # no project has this name

Visit = Callable[[Any, Callable[[tuple[str, str]], None]], None]
"""Hands on (path, value) of what is set in a message."""
Wanted = Callable[["FieldDescriptor", str], bool]
"""Whether a field at that path is wanted."""


@dataclass(frozen=True, slots=True)
class Columns:
    """One resource as the table `resources` has it, and its rows of `resource_values`."""

    fields: Mapping[str, Any]
    """By column; without id, digest, payload and what the store itself says of the row."""
    values: frozenset[tuple[str, str]]
    """(path, value)."""


@functools.cache
def message_of(collection: str) -> type[Message]:
    """Return the message of a collection's resources; raises InvalidRequest for one that the contract has not."""
    return contract.getter(collection).response


@functools.cache
def collections() -> tuple[str, ...]:
    """Return the collections of the contract that are listed, and so can be kept."""
    listed = (method for method in contract.methods().values() if method.kind is contract.Kind.LIST)
    return tuple(plural_of(method.item) for method in listed if method.routed_field)


def plural_of(message: type[Message]) -> str:
    """Return the collection that a message's resources stand in; empty for what is no resource."""
    return str(message.DESCRIPTOR.GetOptions().Extensions[resource_pb2.resource].plural)


@functools.cache
def value_paths(collection: str) -> frozenset[str]:
    """Return the paths of references, whose values are all in `resource_values`; labels are there beside them."""
    return frozenset(_paths(_Node(_descriptor(collection)), _is_reference))


@functools.cache
def address_paths(collection: str) -> frozenset[str]:
    """Return the paths whose values are all in `resource_values` under `ADDRESSES`, together."""
    return frozenset(_paths(_Node(_descriptor(collection)), _is_address))


@functools.cache
def references(collection: str) -> frozenset[str]:
    """Return the collections that a collection's resources refer to."""
    fields = _leaves(_Node(_descriptor(collection)), lambda field, _path: _refers(field))
    return frozenset(contract.collection_of(field) for field, _ in fields) & frozenset(collections())


@functools.cache
def is_shareable(collection: str) -> bool:
    """Whether some of a collection are read whatever the project of who asks."""
    bound = projects.bound(_descriptor(collection), _NOBODYS)
    return not bound.owner or bound.fields > {"name", bound.owner}


@functools.cache
def is_of_projects(collection: str) -> bool:
    """Whether its resources belong to projects."""
    return bool(projects.bound(_descriptor(collection), _NOBODYS).owner)


def columns_of(collection: str, resource: Any) -> Columns:
    """Return what is kept of a resource of that collection.

    Raises:
        InvalidRequest: Its name is none.
    """
    reader = _reader(collection)
    fields = reader.fields(resource)
    values = reader.values(resource)
    fields["shared"] = reader.is_shared(resource)
    fields["search"] = _search(resource, fields, values)
    return Columns(fields, frozenset(values))


def described(collection: str, resource: Any) -> Mapping[str, Any]:
    """Return the fields of StoredResource that have columns, not cut, and the addresses in order."""
    reader = _reader(collection)
    fields = reader.fields(resource, str)
    del fields["create_time"]
    found: list[tuple[str, str]] = []
    reader.addresses(resource, found.append)
    fields[ADDRESSES] = sorted({value for _, value in found if value})
    return fields


def search_text(text: str) -> str:
    """Return a text as the column `search` has it."""
    folded = text.casefold()
    if " " not in folded and folded.isprintable():  # as most are: no white space at all
        return folded
    return " ".join(folded.split())


def kept_text(text: str, chars: int = MAX_TEXT_CHARS) -> str:
    """Return a text as columns and values have it; in the same order as before, or the same as its neighbours."""
    if len(text) > chars:
        text = text[:chars]
    return text.replace("\0", NUL_AS) if "\0" in text else text


def kept_integer(number: int) -> int:
    """Return a number as columns have it."""
    return max(-MAX_INTEGER, min(number, MAX_INTEGER))


def label_path(key: str) -> str:
    """Return the path of a label's value."""
    return kept_text(f"{_OF_LABEL}{key}", MAX_PATH_CHARS)


@functools.cache
def enum_names(enum: EnumDescriptor) -> Mapping[int, str]:
    """Return what an enum's column holds, by number: the name without prefix, nothing for 0."""
    prefix = f"{contract.snake_case(enum.name).upper()}_"
    names = {value.number: value.name.removeprefix(prefix) for value in reversed(enum.values)}
    return {**names, 0: ""}


class _Reader:
    """What is read of one collection's messages, found once."""

    def __init__(self, collection: str) -> None:
        self._collection = collection
        descriptor = _descriptor(collection)
        fields, node = descriptor.fields_by_name, _Node(descriptor)
        self._texts = [
            (column, _text(fields[column]))
            for column in ("display_name", "project", "state", "zone", "flavor")
            if column in fields and not fields[column].is_repeated
        ]
        self._has_create_time = "create_time" in fields
        self._has_labels = LABELS in fields
        self._names = [name for name in ("display_name", "hostname", "dns_name") if name in fields]
        self._sizes = [
            (column, name, factor, fields[name].has_presence)
            for column, (name, factor) in SIZES.get(collection, {}).items()
        ]
        self._found = (
            _visit(node, lambda field, path: _is_address(field, path) or _is_reference(field, path)) or _nothing
        )
        self.addresses = _visit(node, _is_address) or _nothing
        self.is_shared = projects.bound(descriptor, _NOBODYS).sees
        """Whether it is read whatever the project of who asks."""

    def fields(self, resource: Any, kept: Callable[[str], str] = kept_text) -> dict[str, Any]:
        name = resource.name
        fields = {**_EMPTY, "name": name, "collection": self._collection, "cluster": _cluster(name)}
        for column, read in self._texts:
            fields[column] = kept(read(resource))
        if self._collection in projects.OF_PROJECTS:
            fields["project"] = kept(name.replace("/quotas/", "/projects/"))  # a project is its own
        if self._has_create_time and resource.HasField("create_time"):
            fields["create_time"] = nanos(resource.create_time) / 1e9
        for column, field, factor, has_presence in self._sizes:
            if not has_presence or resource.HasField(field):
                fields[column] = kept_integer(getattr(resource, field) * factor)
        return fields

    def values(self, resource: Any) -> set[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        self._found(resource, found.append)
        values = {
            (path, value if len(value) < MAX_VALUE_CHARS and "\0" not in value else kept_text(value, MAX_VALUE_CHARS))
            for path, value in found
            if value or path != ADDRESSES
        }
        if self._has_labels:
            values.update(map(_label, resource.labels.items()))
        names = {resource.name.rpartition("/")[2], *(getattr(resource, name) for name in self._names)}
        values.update([(TOKENS, token) for name in names if (token := search_token(name))])
        return values


_EMPTY: Mapping[str, Any] = {
    **dict.fromkeys(("project", "display_name", "state", "zone", "flavor"), ""),
    **dict.fromkeys(("create_time", "vcpus", "memory_bytes", "disk_bytes")),
}


def search_token(text: str) -> str:
    """Return a text as it stands under `TOKENS`."""
    return kept_text(search_text(text), MAX_VALUE_CHARS)


@functools.lru_cache(maxsize=16_384)  # most resources have the labels of others
def _label(entry: tuple[str, str]) -> tuple[str, str]:
    key, value = entry
    return label_path(key), kept_text(value, MAX_VALUE_CHARS)


@functools.lru_cache(maxsize=16_384)
def _searched_label(path: str, value: str) -> str:
    return search_text(f"{path.removeprefix(_OF_LABEL)}={value}")


def _search(resource: Any, fields: Mapping[str, Any], values: set[tuple[str, str]]) -> str:
    description = getattr(resource, "description", "")[:_MAX_DESCRIPTION_CHARS]
    texts = {search_text(description), search_text(fields["display_name"])}
    for path, value in values:
        if path == TOKENS:
            texts.add(value)
        elif path == ADDRESSES:
            texts.add(search_text(value))
        elif path.startswith(_OF_LABEL):
            texts.add(_searched_label(path, value))
    texts.discard("")
    return (SEPARATOR + SEPARATOR.join(sorted(texts)) + SEPARATOR).replace("\0", NUL_AS)


@functools.cache
def _reader(collection: str) -> _Reader:
    return _Reader(collection)


def _descriptor(collection: str) -> Descriptor:
    return cast("Descriptor", message_of(collection).DESCRIPTOR)


def _cluster(name: str) -> str:
    if len(name.encode()) > _MAX_NAME_BYTES or "\0" in name:
        raise malformed(name, "name", "platforms/{platform}/clusters/{cluster}/{collection}/{id}")
    return _checked_cluster("/".join(name.split("/", 4)[:4]))


@functools.lru_cache(maxsize=4096)
def _checked_cluster(name: str) -> str:
    return str(parse_cluster(name))


def _text(field: FieldDescriptor) -> Callable[[Any], str]:
    """Return what reads a field as text: an enum by name without its prefix."""
    name = field.name
    if field.enum_type is None:
        return lambda resource: getattr(resource, name)
    names = enum_names(field.enum_type)
    return lambda resource: names.get(number := getattr(resource, name)) or (str(number) if number else "")


def _is_reference(field: FieldDescriptor, path: str) -> bool:
    """Whether it names another resource, and has no column of its own."""
    return _refers(field) and path not in COLUMNS


def _refers(field: FieldDescriptor) -> bool:
    return bool(field.GetOptions().Extensions[resource_pb2.resource_reference].type)


def _is_address(field: FieldDescriptor, _path: str) -> bool:
    return field.name in _ADDRESS_FIELDS and field.type == field.TYPE_STRING


@dataclass(frozen=True, slots=True)
class _Node:
    """A message of the contract within a resource: the way to it, and those that it is in."""

    descriptor: Descriptor
    prefix: str = ""
    around: tuple[Descriptor, ...] = ()

    def leaves(self, wanted: Wanted) -> list[tuple[FieldDescriptor, str]]:
        """Return the wanted fields that are no messages, with their paths."""
        plain = [(field, f"{self.prefix}{field.name}") for field in self.descriptor.fields if not field.message_type]
        return [(field, path) for field, path in plain if wanted(field, path)]

    def inner(self) -> list[tuple[FieldDescriptor, _Node]]:
        """Return the fields that are messages of the contract; a message in itself is left out."""
        around = (*self.around, self.descriptor)
        return [
            (field, _Node(field.message_type, f"{self.prefix}{field.name}.", around))
            for field in self.descriptor.fields
            if field.message_type is not None and not is_map(field)
            if field.message_type.full_name.startswith(f"{contract.PACKAGE}.") and field.message_type not in around
        ]


def _paths(node: _Node, wanted: Wanted) -> list[str]:
    """Return the paths of the wanted fields at any depth."""
    return [path for _, path in _leaves(node, wanted)]


def _leaves(node: _Node, wanted: Wanted) -> list[tuple[FieldDescriptor, str]]:
    below = [leaf for _, inner in node.inner() for leaf in _leaves(inner, wanted)]
    return node.leaves(wanted) + below


def _visit(node: _Node, wanted: Wanted) -> Visit | None:
    """Return what looks at the wanted fields of a message, at any depth; each message on the way is met once."""
    kept = [(field, ADDRESSES if _is_address(field, path) else path) for field, path in node.leaves(wanted)]
    single = [(field.name, path) for field, path in kept if not field.is_repeated]
    listed = [(field.name, path) for field, path in kept if field.is_repeated]
    below = [
        (field.name, bool(field.is_repeated), visit)
        for field, inner in node.inner()
        if (visit := _visit(inner, wanted)) is not None
    ]

    def visits(message: Any, add: Callable[[tuple[str, str]], None]) -> None:
        for name, path in single:
            if value := getattr(message, name):
                add((path, value))
        for name, path in listed:
            for value in getattr(message, name):
                add((path, value))
        for name, is_repeated, visit in below:
            if is_repeated:
                for one in getattr(message, name):
                    visit(one, add)
            elif message.HasField(name):
                visit(getattr(message, name), add)

    return visits if single or listed or below else None


def _nothing(_message: Any, _add: Callable[[tuple[str, str]], None]) -> None:
    pass
