"""Writes `cloudspan_kit/drivers`: for each service of the contract a protocol of what a driver implements.

`make proto` runs it after the protos are generated; `make check` runs it again and compares.
"""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from google.protobuf import empty_pb2

from cloudspan_common import contract

_GENERATED = "Generated from the protos by `make proto`; not to be edited."
HEADER = f'"""{{text}}\n\n{_GENERATED}\n"""\n\nfrom __future__ import annotations\n\n'


def main(folder: Path) -> None:
    """Write all protocols into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.py"):
        old.unlink()
    services: dict[str, list[contract.Method]] = defaultdict(list)
    for method in contract.methods().values():
        if method.routed_field and method.service != "cloudspan.v1.ClusterService":
            services[method.service].append(method)
    names = {}
    for service, methods in services.items():
        name = service.rpartition(".")[2].removesuffix("Service")
        names[contract.snake_case(name)] = f"{name}Driver"
        _write(folder / f"{contract.snake_case(name)}.py", _module(service, f"{name}Driver", methods))
    lines = [f"from cloudspan_kit.drivers.{module} import {name}" for module, name in sorted(names.items())]
    exported = ", ".join(f'"{name}"' for name in sorted(names.values()))
    text = HEADER.format(text="What drivers implement, a protocol for each service of the contract.")
    _write(folder / "__init__.py", f"{text}{chr(10).join(lines)}\n\n__all__ = [{exported}]\n")


def _module(service: str, name: str, methods: list[contract.Method]) -> str:
    short = service.rpartition(".")[2]
    messages: dict[str, set[str]] = defaultdict(set)

    def word(message: type) -> str:
        if message is empty_pb2.Empty:
            return "None"
        messages[message.__module__].add(message.__name__)
        return message.__name__

    functions = [_function(method, word) for method in methods]
    kit = {"Call"} if any(m.kind is not contract.Kind.MUTATION for m in methods) else set()
    kinds = {"Page", "Query"} if any(m.kind is contract.Kind.LIST for m in methods) else set()
    runs = {"Operation"} if any(m.kind is contract.Kind.MUTATION for m in methods) else set()
    streams = {"AsyncIterator"} if any(m.client_streaming or m.server_streaming for m in methods) else set()
    blocks = [
        _imports({"collections.abc": streams}),
        _imports(messages),
        _imports({"cloudspan_kit.cluster": kit, "cloudspan_kit.kind": kinds, "cloudspan_kit.operation": runs}),
    ]
    typed = "\n".join(f"    {line}" if line else "" for line in "\n\n".join(filter(None, blocks)).splitlines())
    return (
        HEADER.format(text=f"{short}, as a driver implements it.")
        + "from typing import TYPE_CHECKING, Protocol\n\nfrom cloudspan_kit.cluster import Driver, not_driven\n\n"
        + f'if TYPE_CHECKING:\n{typed}\n\n\nclass {name}(Driver, Protocol):\n    """Functions of {short}; '
        + 'those that a driver leaves out are not served."""\n\n'
        + "\n".join(functions)
    )


def _function(method: contract.Method, word) -> str:  # noqa: ANN001 - of a type to its name
    if method.kind is contract.Kind.LIST:
        request, result = "query: Query", f"Page[{word(method.item)}]"
    elif method.client_streaming:
        request, result = f"requests: AsyncIterator[{word(method.request)}]", word(method.result)
    else:
        request, result = f"request: {word(method.request)}", word(method.result)
    context = "op: Operation" if method.kind is contract.Kind.MUTATION else "call: Call"
    kind = "def" if method.server_streaming else "async def"
    result = f"AsyncIterator[{result}]" if method.server_streaming else result
    return (
        f"    {kind} {method.python_name}(self, {context}, {request}) -> {result}:\n"
        f'        raise not_driven("{method.python_name}")\n'
    )


def _imports(names: dict[str, set[str]]) -> str:
    return "\n".join(f"from {module} import {', '.join(sorted(n))}" for module, n in sorted(names.items()) if n)


def _write(path: Path, text: str) -> None:
    ruff = [sys.executable, "-m", "ruff"]
    for command in (["check", "--fix-only", "--quiet", "--select", "I,RUF022,F401"], ["format", "--quiet"]):
        done = subprocess.run(  # noqa: S603 - our own formatter
            [*ruff, *command, "--config", "pyproject.toml", "--stdin-filename", "drivers.py", "-"],
            input=text, capture_output=True, text=True, check=True,
        )  # fmt: skip
        text = done.stdout
    path.write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
