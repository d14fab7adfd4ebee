"""What a cluster can do, read off its areas: the function table that the servicer calls, and what Describe tells.

A method is served when an area has a function of its name; anything else is what the area declares in
`capabilities`. Spec: design, section 3 (What one platform has and another has not).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudspan.v1 import cluster_pb2
from cloudspan_common import contract
from cloudspan_common.errors import Defect, Unsupported, Violation
from cloudspan_kit.driver import ABSENT, Capability
from cloudspan_kit.serve.options import options_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from google.protobuf.message import Message

    from cloudspan_kit.driver import Cluster, MarkedKind, Transits


class Abilities:
    """The functions of one cluster by method, and what is said of each."""

    def __init__(self, cluster: Cluster) -> None:
        self._functions: dict[str, Callable[..., Any]] = {}
        self._capabilities: dict[str, Capability] = {}
        self.transits: dict[str, Transits] = {}
        """What tells of a collection's resources in transit."""
        self.marked: dict[str, MarkedKind] = {}
        """What finds a collection's marked resources."""
        names = {method.python_name: method.full_name for method in contract.methods().values()}
        for area in cluster.areas:
            for name, capability in area.capabilities.items():
                if name not in names:
                    raise Defect(
                        f"{type(area).__name__}.capabilities names {name!r}, which is no method of the contract"
                    )
                self._capabilities[names[name]] = capability
            for name, full_name in names.items():
                function = getattr(area, name, None)
                if function is None:
                    continue
                if full_name in self._functions:
                    raise Defect(f"two areas of {cluster.ref} have {name}; a function may stand in one only")
                self._functions[full_name] = function
            self.transits |= getattr(area, "transits", {})
            self.marked |= getattr(area, "marked", {})
        self._ref = str(cluster.ref)

    def __repr__(self) -> str:
        return f"<Abilities {self._ref}: {len(self._functions)} of {len(contract.methods())} methods>"

    def function(self, method: contract.Method) -> Callable[..., Any]:
        """Return the function that serves `method`.

        Raises:
            Unsupported: No area has one, or its capability says ABSENT; with the reason declared.
        """
        function = self._functions.get(method.full_name)
        capability = self.capability(method)
        if function is None or capability.level == ABSENT:
            reason = f": {capability.reason}" if capability.reason else ""
            text = f"{self._ref} has no {method.full_name}{reason}; GetCluster lists what it has"
            raise Unsupported(text, reason="METHOD_ABSENT", metadata={"method": method.full_name})
        return function

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
            told = "; ".join(f"{path} ({declared[path][1]})" for path in absent)
            text = f"{self._ref} does not serve {told}; leave out what it does not"
            violations = [Violation(path, declared[path][1]) for path in absent]
            raise Unsupported(text, reason="FIELD_ABSENT", violations=violations, metadata={"method": method.full_name})

    def describe(self) -> list[cluster_pb2.MethodCapability]:
        """Return what Describe tells: the methods served, and those declared absent with a reason."""
        told = [m for m in contract.methods() if m in self._functions or m in self._capabilities]
        return [_described(m, self._capabilities.get(m, _NATIVE), served=m in self._functions) for m in told]


_NATIVE = Capability()


def _is_set(message: Message, path: str) -> bool:
    """Whether the field of a path is set, in any part of the lists on the way."""
    head, _, rest = path.partition(".")
    present = {field.name: value for field, value in message.ListFields()}
    if head not in present or not rest:
        return head in present
    parts = present[head] if message.DESCRIPTOR.fields_by_name[head].is_repeated else [present[head]]
    return any(_is_set(part, rest) for part in parts)


def _described(full_name: str, capability: Capability, *, served: bool) -> cluster_pb2.MethodCapability:
    described = cluster_pb2.MethodCapability(
        method=full_name,
        level=capability.level if served else ABSENT,
        reason=capability.reason,
        create_safety=capability.create_safety,
        sortable_fields=capability.sortable,
        fields=_fields(capability.fields),
    )
    if capability.options is not None:
        described.options_schema.CopyFrom(options_schema(capability.options))
    return described


def _fields(fields: Mapping[str, tuple[cluster_pb2.MethodCapability.Level, str]]) -> list[Any]:
    return [
        cluster_pb2.MethodCapability.Field(path=path, level=level, reason=reason)
        for path, (level, reason) in fields.items()
    ]
