"""What is kept of a resource beside its payload: the columns and values that filters, search and sums go by.

The store calls `columns_of` for each row that is written, `sql_filter` knows what stands where by `COLUMNS` and
`value_paths`. Everything is read off the descriptors: a new kind needs nothing here.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from google.api import resource_pb2

from cloudspan_common import contract, projects
from cloudspan_common.names import parse_cluster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from google.protobuf.descriptor import Descriptor, FieldDescriptor
    from google.protobuf.message import Message

COLUMNS = ("name", "project", "display_name", "state", "zone", "flavor", "create_time")
"""Columns that hold the field of the same name, where a kind has it: texts, but for `create_time` in Unix seconds."""
ADDRESSES = "addresses"
LABELS = "labels"
SEPARATOR = "\n"

_MIB = 2**20
_SIZES: Mapping[str, Mapping[str, tuple[str, int]]] = {
    "servers": {"vcpus": ("vcpus", 1), "memory_bytes": ("memory_mib", _MIB)},
    "volumes": {"disk_bytes": ("size_bytes", 1)},
    "snapshots": {"disk_bytes": ("volume_size_bytes", 1)},
    "images": {"disk_bytes": ("size_bytes", 1)},
}
"""What is summed up: column -> field and factor. Flavors have vcpus too, but nobody uses those."""
_ADDRESS_FIELDS = frozenset(
    {"ip_address", "mac_address", "fixed_ip_address", "floating_ip_addresses", "gateway_ip", "cidr"}
)
_SEARCHED = frozenset({"hostname", "dns_name", "description"})
_NOBODYS = "-"  # no project has this id


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
    return tuple(_plural(method.item) for method in listed if method.routed_field)


def _plural(message: type[Message]) -> str:
    return str(message.DESCRIPTOR.GetOptions().Extensions[resource_pb2.resource].plural)


@functools.cache
def value_paths(collection: str) -> frozenset[str]:
    """Return the paths whose values are all in `resource_values`; entries of `labels` are there beside them."""
    return frozenset({ADDRESSES, *(path for path, _ in _references(message_of(collection).DESCRIPTOR))})  # type: ignore[arg-type]


def columns_of(collection: str, resource: Any) -> Columns:
    """Return what is kept of a resource of that collection."""
    reader = _reader(collection)
    ref = parse_cluster(resource.name)
    values = frozenset(reader.values(resource))
    fields: dict[str, Any] = {
        "name": resource.name,
        "collection": collection,
        "cluster": str(ref),
        "shared": reader.is_shared(str(ref), resource),
        "vcpus": None,
        "memory_bytes": None,
        "disk_bytes": None,
    }
    for column, read in reader.texts.items():
        fields[column] = read(resource)
    fields["create_time"] = _seconds(resource) if reader.has_create_time else None
    for column, (field, factor) in reader.sizes.items():
        if not reader.has_presence[field] or resource.HasField(field):
            fields[column] = getattr(resource, field) * factor
    fields["search"] = reader.search(resource, fields, values)
    return Columns(fields, values)


def search_text(text: str) -> str:
    """Return a text as the column `search` has it."""
    return " ".join(text.casefold().split())


def labels_json(labels: Mapping[str, str]) -> str:
    """Return labels as JSON with sorted keys."""
    return json.dumps(dict(labels), sort_keys=True, ensure_ascii=False)


class _Reader:
    """What is read of one collection's messages, found once."""

    def __init__(self, collection: str) -> None:
        self._descriptor = cast("Descriptor", message_of(collection).DESCRIPTOR)
        fields = self._descriptor.fields_by_name
        self.texts: dict[str, Callable[[Any], str]] = {
            column: _text(fields.get(column), column)
            for column in ("project", "display_name", "state", "zone", "flavor")
        }
        if collection == "projects":
            self.texts["project"] = _get("name")  # it is its own
        if collection == "quotas":
            self.texts["project"] = lambda quota: quota.name.replace("/quotas/", "/projects/")
        self.has_create_time = "create_time" in fields
        self.has_labels = LABELS in fields
        self.sizes = _SIZES.get(collection, {})
        self.has_presence = {field: fields[field].has_presence for field, _ in self.sizes.values()}
        self._references = _references(self._descriptor)
        self._addresses = list(_paths(self._descriptor, _is_address))
        self._searched = [name for name in _SEARCHED if name in fields]

    def is_shared(self, cluster: str, resource: Any) -> bool:
        """Whether it is read whatever the project of who asks."""
        return projects.bound(self._descriptor, f"{cluster}/projects/{_NOBODYS}").sees(resource)

    def values(self, resource: Any) -> Iterator[tuple[str, str]]:
        if self.has_labels:
            for key, value in resource.labels.items():
                yield f"{LABELS}.{key}", value
        for path, steps in self._references:
            for value in _walk(resource, steps):
                yield path, value
        for _, steps in self._addresses:
            for value in _walk(resource, steps):
                yield ADDRESSES, value

    def search(self, resource: Any, fields: Mapping[str, Any], values: frozenset[tuple[str, str]]) -> str:
        texts = {resource.name.rpartition("/")[2], fields["display_name"]}
        texts.update(getattr(resource, name) for name in self._searched)
        for path, value in values:
            if path == ADDRESSES:
                texts.add(value)
            elif path.startswith(f"{LABELS}."):
                texts.add(f"{path[len(LABELS) + 1 :]}={value}")
        kept = sorted({search_text(text) for text in texts} - {""})
        return SEPARATOR + SEPARATOR.join(kept) + SEPARATOR


@functools.cache
def _reader(collection: str) -> _Reader:
    return _Reader(collection)


def _get(name: str) -> Callable[[Any], str]:
    return lambda resource: str(getattr(resource, name))


def _text(field: FieldDescriptor | None, name: str) -> Callable[[Any], str]:
    """Return what reads a field as text: an enum by name without its prefix; empty where the kind has none."""
    if field is None or field.is_repeated:
        return lambda _resource: ""
    if field.enum_type is None:
        return _get(name)
    prefix = f"{contract.snake_case(field.enum_type.name).upper()}_"
    names = {value.number: value.name.removeprefix(prefix) for value in field.enum_type.values}
    return lambda resource: "" if not (number := getattr(resource, name)) else names.get(number, str(number))


def _seconds(resource: Any) -> float | None:
    if not resource.HasField("create_time"):
        return None
    return float(resource.create_time.seconds + resource.create_time.nanos / 1e9)


def _references(descriptor: Descriptor) -> Sequence[tuple[str, tuple[FieldDescriptor, ...]]]:
    """Return the fields that name other resources, but for those with a column of their own."""
    return [(path, steps) for path, steps in _paths(descriptor, _is_reference) if path not in COLUMNS]


def _is_reference(field: FieldDescriptor) -> bool:
    return bool(field.GetOptions().Extensions[resource_pb2.resource_reference].type)


def _is_address(field: FieldDescriptor) -> bool:
    return field.name in _ADDRESS_FIELDS and field.type == field.TYPE_STRING


def _paths(
    descriptor: Descriptor, wanted: Callable[[FieldDescriptor], bool], steps: tuple[FieldDescriptor, ...] = ()
) -> Iterator[tuple[str, tuple[FieldDescriptor, ...]]]:
    """Yield the fields of messages of the contract that are wanted, at any depth."""
    for field in descriptor.fields:
        way = (*steps, field)
        inner = field.message_type
        if inner is None:
            if wanted(field):
                yield ".".join(step.name for step in way), way
        elif _is_ours(inner) and inner not in [step.message_type for step in steps]:
            yield from _paths(inner, wanted, way)


def _is_ours(message: Descriptor) -> bool:
    return message.full_name.startswith(f"{contract.PACKAGE}.") and not message.GetOptions().map_entry


def _walk(message: Any, steps: Sequence[FieldDescriptor]) -> Iterator[str]:
    """Yield the texts that are set at the end of a way, through lists and messages."""
    step, *rest = steps
    if step.message_type is not None and not step.is_repeated and not message.HasField(step.name):
        return
    found = getattr(message, step.name)
    for one in found if step.is_repeated else (found,):
        if rest:
            yield from _walk(one, rest)
        elif one:
            yield one
