"""What a cluster can do, read off its drivers: the function table that the servicer calls, and what Describe tells.

A method is served when a driver has a function of its name, or serves a kind that has it; anything else is what a
driver declares in `capabilities`. What does not fit together is refused at the start, by name.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudspan.v1 import cluster_pb2
from cloudspan_common import contract
from cloudspan_common.errors import Defect, InvalidRequest, Unsupported, Violation
from cloudspan_kit import drivers as protocols
from cloudspan_kit.cluster import ABSENT, BY_MARKER, UNDECLARED, Capability
from cloudspan_kit.kind import KindDriver
from cloudspan_kit.lists.resources import get_resource, list_resources
from cloudspan_kit.serve.options import options_schema

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message

    from cloudspan_kit.cluster import Call, Cluster
    from cloudspan_kit.kind import Kind, Marked

    Transits = Callable[[Call, Sequence[str]], Awaitable[set[str]]]

AnyDriver = KindDriver[Any, Any]


@dataclass(frozen=True, slots=True)
class MarkedKind:
    """How the marks on one collection are found, and what carries them is removed."""

    find: Callable[[Call, str], Awaitable[Sequence[Marked]]]
    """`async (call, prefix)`: everything whose marker begins with `prefix`; each row's marker is its own."""
    remove: Callable[[Call, str], Awaitable[None]]
    """`async (call, id)`: deletes one; done as well when it is gone."""


class Abilities:
    """The functions of one cluster by method, and what is said of each."""

    def __init__(self, cluster: Cluster) -> None:
        self._ref, self._cluster = str(cluster.ref), cluster
        self.cloud: object = cluster.cloud
        """What the sources of its kinds work with."""
        self._functions: dict[str, Callable[..., Any]] = {}
        self._capabilities: dict[str, Capability] = {}
        self.transits: dict[str, Transits] = {}
        """What tells of a collection's resources in transit."""
        self.marked: dict[str, MarkedKind] = {}
        """What finds a collection's marked resources."""
        self._drivers = [driver for driver in cluster.drivers if isinstance(driver, KindDriver)]
        for driver in cluster.drivers:
            self._add_driver(driver)

    def __repr__(self) -> str:
        return f"<Abilities {self._ref}: {len(self._functions)} of {len(contract.methods())} methods>"

    def _add_driver(self, driver: Any) -> None:
        own = list(_own_functions(driver))
        for name in own:
            self._serve(name, getattr(driver, name))
        if isinstance(driver, KindDriver):
            self._add_kind(driver, own)
        self._declare(driver)

    def _add_kind(self, driver: AnyDriver, own: Sequence[str]) -> None:
        get, lists = _check_kind(driver, own)
        kind = driver.kind
        if get not in own:
            self._serve(get, lambda call, _request: get_resource(driver, call))
        if lists not in own:
            self._serve(lists, functools.partial(list_resources, driver))
        self._say(lists, Capability(sortable=tuple(kind.sort)))
        if (create := f"create_{contract.snake_case(kind.message.DESCRIPTOR.name)}") in own:
            self._say(create, Capability(create_safety=kind.safety))
        if kind.settled is not None:
            self.transits[kind.collection] = lambda call, ids: kind.source.in_transit(call, kind, ids)
        if kind.marker is not None:
            self.marked[kind.collection] = _marked(driver)

    def _serve(self, name: str, function: Callable[..., Any]) -> None:
        full_name = _methods()[name]
        if full_name in self._functions:
            raise Defect(f"two drivers of {self._ref} have {name}; a function may stand in one only")
        self._functions[full_name] = function

    def _declare(self, driver: Any) -> None:
        for name, capability in driver.capabilities.items():
            if name not in _methods():
                who = type(driver).__name__
                raise Defect(f"{who}.capabilities names {name!r}, which is not a method of the contract; {_like(name)}")
            self._say(name, capability)

    def _say(self, name: str, capability: Capability) -> None:
        """Add what a driver says to what its kind says of the same method."""
        before = self._capabilities.get(_methods()[name], _NATIVE)
        self._capabilities[_methods()[name]] = Capability(
            level=capability.level,
            reason=capability.reason or before.reason,
            create_safety=capability.create_safety or before.create_safety,
            options=capability.options or before.options,
            sortable=capability.sortable or before.sortable,
            fields={**before.fields, **capability.fields},
        )

    def function(self, method: contract.Method) -> Callable[..., Any]:
        """Return the function that serves `method`.

        Raises:
            Unsupported: No driver has one, or its capability says ABSENT; with the reason declared.
        """
        function = self._functions.get(method.full_name)
        capability = self.capability(method)
        if function is None or capability.level == ABSENT:
            reason = f": {capability.reason}" if capability.reason else ""
            text = f"{self._ref} has no {method.full_name}{reason}; GetCluster lists what it has"
            raise Unsupported(text, reason="METHOD_ABSENT", metadata={"method": method.full_name})
        return function

    def has(self, method: contract.Method) -> bool:
        """Whether `function` would return one."""
        return method.full_name in self._functions and self.capability(method).level != ABSENT

    async def own_project(self, call: Call) -> str:
        """Return the id of the project that the cluster's credentials create in."""
        return await self._cluster.project(call)

    def named(self, name: str) -> Callable[..., Any]:
        """Return the function of that name: `list_volumes`.

        Raises:
            AttributeError: The cluster serves none.
        """
        try:
            return self._functions[_methods()[name]]
        except KeyError:
            raise AttributeError(f"{self._ref} has no {name}") from None

    def capability(self, method: contract.Method) -> Capability:
        """Return what is said of `method`; NATIVE where nothing is."""
        return self._capabilities.get(method.full_name, _NATIVE)

    def check_fields(self, method: contract.Method, request: Message) -> None:
        """Refuse a request with a field that this cluster does not serve.

        Raises:
            Unsupported: With each such field, and the reason declared.
        """
        declared = self.capability(method).fields
        absent = [path for path, (level, _) in declared.items() if level == ABSENT and _is_set(request, path)]
        if absent:
            shown = "; ".join(f"{path} ({declared[path][1]})" for path in absent)
            text = f"{self._ref} does not serve {shown}; leave out what it does not"
            violations = [Violation(path, declared[path][1]) for path in absent]
            raise Unsupported(text, reason="FIELD_ABSENT", violations=violations, metadata={"method": method.full_name})

    def describe(self) -> list[cluster_pb2.MethodCapability]:
        """Return what Describe tells: the methods served, those declared absent, and the fields lacking as of now."""
        known = [m for m in contract.methods() if m in self._functions or m in self._capabilities]
        lacking = self._lacking()
        return [
            _described(m, self._capabilities.get(m, _NATIVE), lacking.get(m, {}), served=m in self._functions)
            for m in known
        ]

    def _lacking(self) -> dict[str, Mapping[str, tuple[cluster_pb2.MethodCapability.Level, str]]]:
        """The fields of each method that its drivers' clouds turned out not to have."""
        return {
            _methods()[name]: {path: (ABSENT, reason) for path, reason in fields.items()}
            for driver in self._drivers
            for name, fields in driver.lacking(self.cloud).items()
        }


_NATIVE = Capability()


@functools.cache
def _methods() -> Mapping[str, str]:
    """Full names of the contract's methods by what a driver calls them."""
    return {method.python_name: method.full_name for method in contract.methods().values()}


# ---------------------------------------------------------------------- what fits together


def _own_functions(driver: Any) -> Iterator[str]:
    """Yield the contract's functions that a driver has, not those that it only inherits from its protocol.

    Raises:
        Defect: It has a public function that is not a method of the contract: a misspelt one would be served by nobody.
    """
    for name in dir(type(driver)):
        function = inspect.getattr_static(type(driver), name)
        if name.startswith("_") or not inspect.isfunction(function) or _is_inherited(type(driver), name):
            continue
        if name in _methods():
            yield name
        elif inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            text = f"{type(driver).__name__}.{name} is not a method of the contract; {_like(name)}"
            raise Defect(f"{text}; begin the names of its own functions with an underscore")


def _is_inherited(driver: type, name: str) -> bool:
    owner = next(base for base in driver.__mro__ if name in vars(base))
    return owner.__module__.startswith(protocols.__name__) or issubclass(KindDriver, owner) or hasattr(KindDriver, name)


def _like(name: str) -> str:
    close = difflib.get_close_matches(name, _methods(), n=2)
    return (
        f"did you mean {' or '.join(close)}?" if close else "the protocols in cloudspan_kit.drivers say which there are"
    )


def _check_kind(driver: AnyDriver, own: Sequence[str]) -> tuple[str, str]:
    """Return what get and list of the driver's kind are called.

    Raises:
        Defect: The kind lacks something that its functions need, or names what its message does not have.
    """
    who, kind = type(driver).__name__, getattr(driver, "kind", None)
    if kind is None:
        raise Defect(f"{who} has no `kind`")
    get, lists = _reads_of(kind, who)
    cls = type(driver)
    if cls.message is KindDriver.message and cls.messages is KindDriver.messages and get not in own:
        raise Defect(f"{who} overrides neither `message` nor `messages`: its rows can't become messages")
    descriptor: Descriptor = kind.message.DESCRIPTOR
    for table in ("push", "sort"):
        for path in getattr(kind, table):
            if path.partition(".")[0] not in descriptor.fields_by_name:
                raise Defect(f"{table} of {kind!r} names {path!r}, which {descriptor.name} does not have")
    create = f"create_{contract.snake_case(descriptor.name)}"
    if create in own and kind.safety == UNDECLARED:
        raise Defect(f"{who} has {create} and its kind no `safety`: say BY_KEY, BY_MARKER or UNSAFE")
    if kind.safety == BY_MARKER and kind.marker is None:
        raise Defect(f"{kind!r} is created BY_MARKER and has no `marker` to find it by")
    return get, lists


def _reads_of(kind: Kind[Any, Any, Any], who: str) -> tuple[str, str]:
    try:
        getter = contract.getter(kind.collection)
    except InvalidRequest as error:
        raise Defect(f"the kind of {who} is of {kind.collection!r}: {error.message}") from error
    if getter.response is not kind.message:
        found, expected = kind.message.DESCRIPTOR.name, getter.response.DESCRIPTOR.name
        raise Defect(f"the kind of {who} has the message {found}; a resource of {kind.collection} is a {expected}")
    return getter.python_name, contract.lister(kind.collection).python_name


def _marked(driver: AnyDriver) -> MarkedKind:
    kind = driver.kind

    async def find(call: Call, prefix: str) -> Sequence[Marked]:
        return () if kind.marker is None else await kind.marker.find(call, kind, prefix)

    async def remove(call: Call, native_id: str) -> None:
        await driver.refuse_users(call, native_id)
        await kind.source.discard(call, kind, native_id)

    return MarkedKind(find, remove)


# ---------------------------------------------------------------------- what is described


def _is_set(message: Message, path: str) -> bool:
    """Whether the field of a path is set, in any part of the lists on the way."""
    head, _, rest = path.partition(".")
    present = {field.name: value for field, value in message.ListFields()}
    if head not in present or not rest:
        return head in present
    parts = present[head] if message.DESCRIPTOR.fields_by_name[head].is_repeated else [present[head]]
    return any(_is_set(part, rest) for part in parts)


def _described(
    full_name: str,
    capability: Capability,
    lacking: Mapping[str, tuple[cluster_pb2.MethodCapability.Level, str]],
    *,
    served: bool,
) -> cluster_pb2.MethodCapability:
    described = cluster_pb2.MethodCapability(
        method=full_name,
        level=capability.level if served else ABSENT,
        reason=capability.reason,
        create_safety=capability.create_safety,
        sortable_fields=capability.sortable,
        fields=_fields({**capability.fields, **lacking}),
    )
    if capability.options is not None:
        described.options_schema.CopyFrom(options_schema(capability.options))
    return described


def _fields(fields: Mapping[str, tuple[cluster_pb2.MethodCapability.Level, str]]) -> list[Any]:
    return [
        cluster_pb2.MethodCapability.Field(path=path, level=level, reason=reason)
        for path, (level, reason) in fields.items()
    ]
