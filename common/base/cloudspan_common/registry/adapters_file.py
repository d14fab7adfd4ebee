"""The adapters file: what its text says, and the same text with one entry more or less.

`static` reads and writes it; operators edit it by hand, so comments and everything untouched stay as they are.

    adapters:
      - {platform: memory, address: "127.0.0.1:7080"}
    services:  # that log in by a handshake; none if left out
      - {name: billing, address: "127.0.0.1:7090"}
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import yaml

from cloudspan_common.errors import InvalidRequest
from cloudspan_common.registry.base import Instance, View, view_of
from cloudspan_common.registry.services import ServiceAddress, is_service_name

if TYPE_CHECKING:
    from collections.abc import Iterable

_ROOT, _SERVICES = "adapters", "services"
_NEEDED = {"platform", "address"}
_MAX_CHARS = 1 << 20
_KEYS = _NEEDED | {"id", "draining", "contract", "build"}
_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_REASON = "MALFORMED_ADAPTERS_FILE"
_SERVICE_FORM = "{name: billing, address: 127.0.0.1:7090}"
_FORM = "adapters: [{platform: memory, address: 127.0.0.1:7080}]"


@dataclass(frozen=True, slots=True)
class AdaptersFile:
    """A text that is well formed, or blank."""

    text: str
    instances: View = ()
    lines: tuple[range, ...] = ()
    """The lines of each instance's entry, from 0; none unless every entry has lines of its own."""
    indent: str = ""
    services: tuple[tuple[str, ServiceAddress], ...] = ()
    """Services that log in by a handshake, by name; a name may have several addresses."""
    blank: bool = False
    """Nothing but white space and comments."""

    def without(self, doomed: Iterable[Instance]) -> str:
        """Return the text without these entries."""
        doomed = set(doomed)
        rest = [one for one in self.instances if one not in doomed]
        if not rest or not self.lines:
            return self._anew(rest)
        dropped = {n for one, lines in zip(self.instances, self.lines, strict=True) if one in doomed for n in lines}
        return "".join(line for n, line in enumerate(self.text.splitlines(keepends=True)) if n not in dropped)

    def with_entry(self, instance: Instance) -> str:
        """Return the text with `instance` in place of what has its id or its address.

        An address belongs to one living process: what else claims it has died without a word.
        """
        same = [o for o in self.instances if o.instance_id == instance.instance_id or o.address == instance.address]
        rest = [one for one in self.instances if one not in same]
        if not rest or not self.lines:
            return self._anew([*rest, instance])
        trimmed = parse(self.without(same))
        lines = trimmed.text.splitlines()
        lines.insert(max(entry.stop for entry in trimmed.lines), self.indent + _entry(instance))
        return "\n".join(lines) + "\n"

    def _anew(self, instances: Iterable[Instance]) -> str:
        """Return a text that keeps only the comments above the first line that is none."""
        head: list[str] = []
        for line in self.text.splitlines():
            if line.strip() and not line.startswith("#"):
                break
            head.append(line)
        entries = [f"  {_entry(instance)}" for instance in instances]
        services = [f"  {_service_entry(name, service)}" for name, service in self.services]
        lines = [f"{_ROOT}:", *entries] if entries else [f"{_ROOT}: []"]
        return "\n".join([*head, *lines, *([f"{_SERVICES}:", *services] if services else ())]) + "\n"


def parse(text: str) -> AdaptersFile:
    """Return what `text` says.

    Raises:
        InvalidRequest: `line N: what was found, what is expected`; the caller adds the file's name.
    """
    if len(text) > _MAX_CHARS:
        raise _broken(0, f"and the rest have {len(text)} characters", f"at most {_MAX_CHARS}")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _broken(mark.line if mark else 0, f"is not YAML ({error.problem or error.context})", _FORM) from error
    except yaml.YAMLError as error:
        raise _broken(0, f"is not YAML ({error})", _FORM) from error
    except RecursionError as error:
        raise _broken(0, "is nested too deeply", _FORM) from error
    if root is None:
        return AdaptersFile(text, blank=True)
    by_id: dict[str, tuple[Instance, yaml.Node]] = {}
    adapters, services = _lists_of(root)
    for node in adapters:
        instance = _instance_of(node)
        if instance.instance_id in by_id:
            first = by_id[instance.instance_id][1].start_mark.line + 1
            raise _broken(node.start_mark.line, f"repeats the id {instance.instance_id!r} of line {first}", "one each")
        by_id[instance.instance_id] = instance, node
    view = view_of(instance for instance, _ in by_id.values())
    found = _with_lines(text, view, [by_id[one.instance_id][1] for one in view])
    return replace(found, services=tuple(_service_of(node) for node in services))


def _with_lines(text: str, view: View, nodes: list[yaml.Node]) -> AdaptersFile:
    text_lines = text.splitlines()
    lines = tuple(_lines_of(node, text_lines) for node in nodes)
    dashed = all(text_lines[entry.start].lstrip().startswith("-") for entry in lines)
    if not lines or not dashed or len({entry.start for entry in lines}) < len(lines):
        return AdaptersFile(text, view)
    first_line = text_lines[lines[0].start]
    return AdaptersFile(text, view, lines, first_line[: len(first_line) - len(first_line.lstrip())])


def _lists_of(root: yaml.Node) -> tuple[list[yaml.Node], list[yaml.Node]]:
    """Return the entries of adapters and of services."""
    if not isinstance(root, yaml.MappingNode):
        raise _broken(root.start_mark.line, "is not a mapping", _FORM)
    found: dict[str, list[yaml.Node]] = {_ROOT: [], _SERVICES: []}
    for key, value in root.value:
        if key.value not in found:
            text = f"nothing but `{_ROOT}:` and `{_SERVICES}:`"
            raise _broken(key.start_mark.line, f"has the key {key.value!r}", text)
        found[key.value].append(value)
    if len(found[_ROOT]) != 1 or len(found[_SERVICES]) > 1:
        text = f"has {len(found[_ROOT])} lists of adapters and {len(found[_SERVICES])} of services"
        raise _broken(root.start_mark.line, text, f"one, such as {_FORM}")
    (adapters,) = found[_ROOT]
    if not isinstance(adapters, yaml.SequenceNode):
        raise _broken(adapters.start_mark.line, "holds no list of adapters", f"{_FORM}, or `{_ROOT}: []` for none")
    for services in found[_SERVICES]:
        if not isinstance(services, yaml.SequenceNode):
            raise _broken(services.start_mark.line, "holds no list of services", f"[{_SERVICE_FORM}]")
    return list(adapters.value), [node for services in found[_SERVICES] for node in services.value]


def _service_of(node: yaml.Node) -> tuple[str, ServiceAddress]:
    if not isinstance(node, yaml.MappingNode):
        raise _broken(node.start_mark.line, "is not a service", _SERVICE_FORM)
    fields = {str(key.value): _text(value) for key, value in node.value}
    if not {"name", "address"} <= fields.keys() <= {"name", "address", "identity"}:
        raise _broken(node.start_mark.line, f"has the keys {sorted(fields)}", _SERVICE_FORM)
    name = fields["name"]
    if not is_service_name(name):
        raise _broken(node.start_mark.line, f"has the name {name!r}", "a lower-case letter, then letters, digits and -")
    try:
        return name, ServiceAddress(fields["address"], fields.get("identity", name))
    except InvalidRequest as error:
        raise _broken(node.start_mark.line, error.message, "") from error


def _instance_of(node: yaml.Node) -> Instance:
    if not isinstance(node, yaml.MappingNode):
        raise _broken(node.start_mark.line, "is not an adapter", "{platform: TAG, address: HOST:PORT}")
    fields = {str(key.value): value for key, value in node.value}
    if unknown := fields.keys() - _KEYS:
        raise _broken(node.start_mark.line, f"has the keys {sorted(unknown)}", f"only {sorted(_KEYS)}")
    if missing := _NEEDED - fields.keys():
        raise _broken(node.start_mark.line, f"lacks {sorted(missing)}", "{platform: TAG, address: HOST:PORT}")
    platform, address = _text(fields["platform"]), _text(fields["address"])
    try:
        return Instance(
            instance_id=_text(fields["id"]) if "id" in fields else f"{platform}@{address}",
            platform=platform,
            address=address,
            contract=_contract(fields["contract"]) if "contract" in fields else (1, 1),
            build=_text(fields["build"]) if "build" in fields else "",
            draining=_truth(fields["draining"]) if "draining" in fields else False,
        )
    except InvalidRequest as error:
        if error.reason == _REASON:
            raise
        raise _broken(node.start_mark.line, error.message, "") from error


def _text(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        return str(node.value)
    raise _broken(node.start_mark.line, "has a list or mapping as a value", "one word")


def _truth(node: yaml.Node) -> bool:
    word = _text(node)
    if word.lower() not in _TRUTH:
        raise _broken(node.start_mark.line, f"says draining: {word}", "true or false")
    return _TRUTH[word.lower()]


def _contract(node: yaml.Node) -> tuple[int, int]:
    numbers = [_text(one) for one in node.value] if isinstance(node, yaml.SequenceNode) else []
    if len(numbers) != 2 or not all(number.isdecimal() for number in numbers):
        raise _broken(node.start_mark.line, "has a malformed contract", "[lowest, highest], such as [1, 1]")
    return int(numbers[0]), int(numbers[1])


def _lines_of(node: yaml.Node, text_lines: list[str]) -> range:
    """From the line of the entry's dash to that of its last value; a block mapping's own end mark lies further on."""
    start = node.start_mark.line
    while start > 0 and not text_lines[start].lstrip().startswith("-"):
        start -= 1
    if isinstance(node, yaml.MappingNode) and not node.flow_style:
        last = max(value.end_mark.line - (value.end_mark.column == 0) for _, value in node.value)
    else:
        last = node.end_mark.line
    return range(start, last + 1)


def _entry(instance: Instance) -> str:
    """Return one line of YAML; JSON's quoting is YAML's too."""
    fields = {"platform": instance.platform, "address": instance.address, "id": instance.instance_id}
    words = [f"{key}: {json.dumps(value)}" for key, value in fields.items()]
    if instance.contract != (1, 1):
        words.append(f"contract: {list(instance.contract)}")
    if instance.build:
        words.append(f"build: {json.dumps(instance.build)}")
    if instance.draining:
        words.append("draining: true")
    return f"- {{{', '.join(words)}}}"


def _service_entry(name: str, service: ServiceAddress) -> str:
    fields = {"name": name, "address": service.address, "identity": service.identity}
    return f"- {{{', '.join(f'{key}: {json.dumps(value)}' for key, value in fields.items())}}}"


def _broken(line: int, found: str, expected: str) -> InvalidRequest:
    expectation = f"; expected {expected}" if expected else ""
    return InvalidRequest(f"line {line + 1}: {found}{expectation}", reason=_REASON)
