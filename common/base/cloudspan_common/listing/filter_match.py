"""Filters applied to messages: a parsed filter becomes one predicate, compiled once for a whole listing.

The kit's lists and the gateway's list of operations call `predicate`. 10 000 servers take 1 to 9 ms.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from cloudspan_common.listing.filter_ast import And, Comparison, Not, Operator, Or
from cloudspan_common.listing.filter_values import EnumValue, Pattern, Time, Value, nanos

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.descriptor import FieldDescriptor

    from cloudspan_common.listing.filter_ast import Filter, Node, Path

Test = Callable[[Any], bool]

# The wanted value comes first, bound by `partial`: that has no Python frame, as a lambda would. So < is "wanted >".
_SWAPPED: Mapping[Operator, Callable[[Any, Any], bool]] = {
    Operator.LESS: operator.gt,
    Operator.AT_MOST: operator.ge,
    Operator.GREATER: operator.lt,
    Operator.AT_LEAST: operator.le,
}


def predicate(wanted: Filter) -> Test:
    """Return what says of a message whether `wanted` matches it."""
    return _always if wanted.root is None else _compiled(wanted.root)


def _always(_: object) -> bool:
    return True


def _compiled(node: Node) -> Test:
    match node:
        case And():
            return _joined([_compiled(part) for part in node.nodes], _both)
        case Or():
            return _joined([_compiled(part) for part in node.nodes], _either)
        case Not():
            test = _compiled(node.node)
            return lambda message: not test(message)
        case Comparison():
            return _comparison(node)


def _joined(tests: Sequence[Test], join: Callable[[Test, Test], Test]) -> Test:
    """Join tests two by two: half the time of `all` over a generator, and as shallow as a tree."""
    if len(tests) == 1:
        return tests[0]
    middle = len(tests) // 2
    return join(_joined(tests[:middle], join), _joined(tests[middle:], join))


def _both(first: Test, second: Test) -> Test:
    return lambda message: first(message) and second(message)


def _either(first: Test, second: Test) -> Test:
    return lambda message: first(message) or second(message)


def _comparison(node: Comparison) -> Test:
    path = node.path
    if node.operator is Operator.HAS_KEY:
        return _reaching(path, _always, str(node.value))
    if node.operator is Operator.IS_SET:
        is_plain = path.key is None and not path.field.is_repeated and not path.field.has_presence
        return _reaching(path, bool if is_plain else _always, path.key)
    return _reaching(path, _value_test(node.operator, node.value), path.key)


def _reaching(path: Path, test: Test, key: str | None) -> Test:
    """Return the predicate over a whole resource that applies `test` to what `path` names."""
    test = _into(path.field, key, test)
    for step in reversed(path.steps):
        test = _into(step, None, test)
    return test


def _into(step: FieldDescriptor, key: str | None, test: Test) -> Test:
    """Turn a test of a field's value into a test of the message around it."""
    get, name = operator.attrgetter(step.name), step.name
    if key is not None:
        return lambda message: key in (entries := get(message)) and test(entries[key])
    if step.is_repeated:
        return lambda message: any(map(test, get(message)))
    if step.has_presence:
        return lambda message: message.HasField(name) and test(get(message))
    return lambda message: test(get(message))


def _value_test(op: Operator, value: Value) -> Test:
    if op is Operator.CONTAINS:
        return _contains(value)
    match value:
        case Pattern():
            return _open_ended(value, value.core)
        case EnumValue():
            return functools.partial(operator.eq, value.number)
        case Time():
            compare = functools.partial(_SWAPPED.get(op, operator.eq), value.nanos)
            return lambda time: compare(nanos(time))
        case _:
            return functools.partial(_SWAPPED.get(op, operator.eq), value)


def _contains(value: Value) -> Test:
    """Test whether text contains the value whatever the case; with a wildcard, whether it starts or ends so."""
    if isinstance(value, Pattern):
        anchored = _open_ended(value, value.core.casefold())
        return lambda text: anchored(text.casefold())
    core = str(value).casefold()
    return lambda text: core in text.casefold()


def _open_ended(pattern: Pattern, core: str) -> Test:
    if pattern.starts_open and pattern.ends_open:
        return lambda text: core in text
    if pattern.starts_open:
        return lambda text: bool(text.endswith(core))
    return lambda text: bool(text.startswith(core))
