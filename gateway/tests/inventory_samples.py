"""Random resources of every kind, and random filters and orders over them, for tests of the inventory.

Few words, so that things meet: some unset, some alike but for their case, some that databases fold, cut or refuse.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor import FieldDescriptor as Fd
from hypothesis import strategies as st

from cloudspan.v1 import inventory_pb2
from cloudspan_common.listing.filter_values import filterable, is_map, is_time
from cloudspan_gateway.inventory.columns import message_of

if TYPE_CHECKING:
    from collections.abc import Iterator

CLUSTERS = ["platforms/openstack/clusters/east", "platforms/openstack/clusters/east-2", "platforms/zstack/clusters/a"]
PROJECTS = [f"{cluster}/projects/{project}" for cluster in CLUSTERS for project in ("p1", "p2")]
KINDS = ("servers", "volumes", "images", "networks", "ports", "routers", "flavors", "quotas", "projects", "snapshots")
STORED = inventory_pb2.StoredResource.DESCRIPTOR

# What case folding alone makes alike, also with what is ASCII; what is cut; what SQL or PostgreSQL treats apart.
_FOLDED = ["stra\xdfe", "STRASSE", "\u017ftrasse", "\u212aey", "key", "\u0130", "\ufb01", "fi", "\xe9", "e\u0301"]
_LONG = ["x" * 199 + "y", "x" * 200, "x" * 201, "x" * 399, "x" * 400, "x" * 401]
_ODD = ["a\0b", "a\x01b", "a%b", "a_b", "a\\b", '"', "'", "*", "\n", "-", "=", "a b", "a  b ", "\U0001f600", "\uffff"]
_USUAL = ["", "web", "Web-1", "WEB-1", "web-10", "\u6d4b\u8bd5", "team", "team=db", "10.0.0.5", "fa:16:3E:00:00:01"]
_WORDS = [*_FOLDED, *_LONG, *_ODD, *_USUAL]
_REFERENCES = ["", "web", f"{CLUSTERS[0]}/x/1", f"{CLUSTERS[0]}/x/2", f"{CLUSTERS[2]}/X/1"]
_NUMBERS = [0, 0, 1, 4, 8, 8192, -1, 2**31 - 1, -(2**31)]
_BIG = [2**43, 2**62, 2**63 - 1, -(2**63)]
_SECONDS = [0, 1, 1_700_000_000, 1_700_000_000, -1, 253_402_300_799]
_NANOS = [0, 0, 1, 100, 500_000_000, 999_999_999]
_TIMES = ["1970-01-01T00:00:00Z", *(f"2023-11-14T22:13:20{part}Z" for part in ("", ".0000001", ".000000001"))]
_KEYS = ["team", "app.kubernetes.io/name", "", "Team", "a b", "k" * 260, "k" * 261, "a\0b", "*"]

texts = st.one_of(
    *[st.sampled_from(["web", "Web-1", "stra\xdfe", "team"])] * 2, st.sampled_from(_WORDS), st.text(max_size=4)
)
keys = st.sampled_from(_KEYS)


@st.composite
def resources(draw: Any, kinds: tuple[str, ...] = KINDS) -> Any:
    """A resource of one of the kinds, with any of its fields set."""
    collection = draw(st.sampled_from(kinds))
    cluster = draw(st.sampled_from(CLUSTERS))
    resource = message_of(collection)()
    _fill(draw, resource, depth=0)
    number = draw(st.sampled_from(["p1", "p2"])) if collection in ("projects", "quotas") else draw(st.integers(0, 99))
    resource.name = f"{cluster}/{collection}/{number}"
    if "project" in resource.DESCRIPTOR.fields_by_name:
        resource.project = draw(st.sampled_from(["", *PROJECTS]))
    if collection == "quotas":
        resource.project = f"{cluster}/projects/{number}"
    for name in ("observe_time", "native"):
        resource.ClearField(name)
    return resource


def _fill(draw: Any, message: Any, depth: int) -> None:
    for field in message.DESCRIPTOR.fields:
        if field.type == Fd.TYPE_BYTES or not draw(st.booleans()):
            continue
        for _ in range(draw(st.integers(1, 2)) if field.is_repeated else 1):
            _set(draw, message, field, depth)


def _set(draw: Any, message: Any, field: Fd, depth: int) -> None:
    if is_map(field):
        if field.message_type.fields_by_name["value"].cpp_type == Fd.CPPTYPE_STRING:
            getattr(message, field.name)[draw(keys)] = draw(texts)
    elif is_time(field):
        time = getattr(message, field.name)
        time.seconds, time.nanos = draw(st.sampled_from(_SECONDS)), draw(st.sampled_from(_NANOS))
    elif field.message_type is not None:
        if field.message_type.full_name.startswith("cloudspan.") and depth < 3:
            target = getattr(message, field.name)
            inner = target.add() if field.is_repeated else target
            inner.SetInParent()
            _fill(draw, inner, depth + 1)
    elif field.is_repeated:
        getattr(message, field.name).append(draw(_values(field)))
    else:
        setattr(message, field.name, draw(_values(field)))


def _values(field: Fd) -> st.SearchStrategy[Any]:
    if field.cpp_type == Fd.CPPTYPE_STRING:
        is_reference = "/" in str(field.GetOptions())
        return st.sampled_from(_REFERENCES) if is_reference else texts
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values]) | st.just(99)
    if field.cpp_type == Fd.CPPTYPE_BOOL:
        return st.booleans()
    wide = field.cpp_type == Fd.CPPTYPE_INT64
    return st.sampled_from(_NUMBERS + _BIG if wide else _NUMBERS)


# ---------------------------------------------------------------------- filters


def filters(descriptor: Descriptor) -> st.SearchStrategy[str]:
    """Texts of filters over a message, most of them of what is kept in columns."""
    return st.recursive(
        _comparisons(descriptor),
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from([" AND ", " OR "]), inner).map("".join).map("({})".format),
            inner.map("NOT {}".format),
        ),
        max_leaves=4,
    )


def _comparisons(descriptor: Descriptor) -> st.SearchStrategy[str]:
    paths = list(_paths(descriptor))
    kept = [path for path in paths if path[0] in _KEPT]
    return st.sampled_from(kept + kept + paths).flatmap(lambda path: _comparison(*path))


_KEPT = {
    *("name", "collection", "cluster", "project", "display_name", "state", "zone", "flavor", "create_time", "labels"),
    *("image", "security_groups", "vcpus", "memory_mib", "memory_bytes", "size_bytes", "volume_size_bytes"),
    *("disk_bytes", "addresses", "observe_time"),
}


def _paths(
    descriptor: Descriptor, prefix: str = "", depth: int = 0, many: bool = False
) -> Iterator[tuple[str, Fd, bool]]:
    for field in filterable(descriptor).values():
        path = f"{prefix}{field.name}"
        yield path, field, many
        inner = field.message_type
        if inner is not None and not is_map(field) and not is_time(field) and depth < 2:
            yield from _paths(inner, f"{path}.", depth + 1, many or field.is_repeated)


def _comparison(path: str, field: Fd, many: bool) -> st.SearchStrategy[str]:
    presence = st.just(f"{path}:*")
    if is_map(field):
        key = keys.map(_quoted)
        entry = st.tuples(key, st.sampled_from(["=", "!=", ":", "<", ">="]), literals)
        return st.one_of(presence, key.map(f"{path}:{{}}".format), entry.map(lambda e: f"{path}.{e[0]} {e[1]} {e[2]}"))
    if field.message_type is not None and not is_time(field):
        return presence
    ordered = field.cpp_type not in (Fd.CPPTYPE_BOOL, Fd.CPPTYPE_ENUM)
    signs = [":"] if many or field.is_repeated else ["=", "!=", ":", *(["<", "<=", ">", ">="] if ordered else [])]
    found = st.tuples(st.sampled_from(signs), _literal(path, field)).map(lambda pair: f"{path} {pair[0]} {pair[1]}")
    return st.one_of(found, found, found, presence)


def _quoted(text: str) -> str:
    return '"' + "".join(f"\\{sign}" if sign in '\\"*' else sign for sign in text) + '"'


_SHAPES = ['"{}"', '"{}"', '"{}*"', '"*{}"', '"*{}*"']
literals = st.builds(lambda shape, text: shape.format(_quoted(text)[1:-1]), st.sampled_from(_SHAPES), texts)


def _literal(path: str, field: Fd) -> st.SearchStrategy[str]:
    if path in ("project", "cluster"):
        return st.sampled_from(PROJECTS + CLUSTERS).map(_quoted)
    if path in ("name", "collection"):
        names = [f"{cluster}/{kind}/1" for cluster in CLUSTERS for kind in KINDS]
        return st.sampled_from([*names, *KINDS, *KINDS]).map(_quoted)
    if is_time(field):
        return st.sampled_from(_TIMES)
    return _plain_literal(field)


def _plain_literal(field: Fd) -> st.SearchStrategy[str]:
    if field.cpp_type == Fd.CPPTYPE_STRING:
        return literals | st.sampled_from(_REFERENCES).map(_quoted) | st.sampled_from(["RUNNING", "ACTIVE"])
    if field.enum_type is not None:
        return st.sampled_from([value.name for value in field.enum_type.values])
    if field.cpp_type == Fd.CPPTYPE_BOOL:
        return st.sampled_from(["true", "false"])
    return st.sampled_from([str(number) for number in _NUMBERS + _BIG])
