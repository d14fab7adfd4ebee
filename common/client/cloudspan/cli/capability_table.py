"""What each platform can do now, read from its running clusters: a Markdown table, and its place in a document."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cloudspan.v1 import cluster_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from cloudspan.v1.cluster_pb2 import Cluster, MethodCapability

BEGIN = "<!-- capabilities: written by `cloudspan capabilities --write README.md` -->"
END = "<!-- end of capabilities -->"
_EMULATED = cluster_pb2.MethodCapability.LEVEL_EMULATED
_ABSENT = cluster_pb2.MethodCapability.LEVEL_ABSENT
_SAFETY = {
    cluster_pb2.MethodCapability.CREATE_SAFETY_NATIVE: " (key)",
    cluster_pb2.MethodCapability.CREATE_SAFETY_MARKER: " (marker)",
    cluster_pb2.MethodCapability.CREATE_SAFETY_NONE: " (unsafe)",
}
_Found = dict[str, dict[str, "MethodCapability"]]


def markdown(clusters: Iterable[Cluster]) -> str:
    """Return a table with a row for each service and a column for each platform.

    A method is in the table when at least one cluster of the platform has it; a star marks what is emulated. Behind a
    create stands what keeps it from leaving two.
    """
    found = _by_platform(clusters)
    services = sorted({method.partition("/")[0] for methods in found.values() for method in methods})
    platforms = sorted(found)
    head = [_row("service", platforms), _row("---", ["---"] * len(platforms))]
    rows = [_row(_short(service), [_cell(service, found[platform]) for platform in platforms]) for service in services]
    return "\n".join([*head, *rows, *_notes(found)])


def write(document: Path, table: str) -> bool:
    """Put `table` between the markers of `document`; return whether that changed anything.

    Raises:
        click.ClickException: It has no such markers.
    """
    text = document.read_text(encoding="utf-8")
    head, begin, rest = text.partition(BEGIN)
    _, end, foot = rest.partition(END)
    if not begin or not end:
        raise click.ClickException(f"{document} has no line {BEGIN} with a line {END} below it")
    changed = f"{head}{BEGIN}\n\n{table}\n\n{END}{foot}"
    document.write_text(changed, encoding="utf-8")
    return changed != text


def _by_platform(clusters: Iterable[Cluster]) -> _Found:
    """The best that any cluster of a platform says of each method."""
    found: _Found = {}
    for cluster in clusters:
        methods = found.setdefault(cluster.name.split("/")[1], {})
        for capability in cluster.capabilities:
            known = methods.get(capability.method)
            if capability.level != _ABSENT and (known is None or capability.level < known.level):
                methods[capability.method] = capability
    return found


def _cell(service: str, methods: Mapping[str, MethodCapability]) -> str:
    words = [_word(service, found) for name, found in methods.items() if name.startswith(f"{service}/")]
    return ", ".join(words) or "-"


def _word(service: str, capability: MethodCapability) -> str:
    star = "\\*" if capability.level == _EMULATED else ""
    safety = _SAFETY.get(capability.create_safety, "")
    return f"{_verb(service, capability.method)}{star}{safety}"


def _notes(found: _Found) -> list[str]:
    notes = [
        f"- {platform}, {capability.method.rpartition('/')[2]}: {capability.reason}"
        for platform, methods in sorted(found.items())
        for capability in methods.values()
        if capability.level == _EMULATED
    ]
    return ["", "\\* made of several calls of the platform:", "", *notes] if notes else []


def _short(service: str) -> str:
    return service.rpartition(".")[2]


def _verb(service: str, method: str) -> str:
    """`cloudspan.v1.ServerService`, `.../ListServers` -> `List`; `AttachVolume` stays."""
    noun, name = _short(service).removesuffix("Service"), method.partition("/")[2]
    return name.removesuffix("s").removesuffix(noun) if name.removesuffix("s").endswith(noun) else name


def _row(first: str, rest: Iterable[str]) -> str:
    return f"| {' | '.join([first, *rest])} |"
