"""The calls that `cloudspan up` prints for trying out, as data, and in the forms of two command-line tools."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class SampleCall:
    """One call that works as it stands."""

    title: str
    method: str
    request: Mapping[str, Any]
    headers: tuple[str, ...] = ()

    @property
    def json(self) -> str:
        return json.dumps(self.request, separators=(",", ":"))

    def grpcurl(self, address: str) -> str:
        """Return it for grpcurl."""
        headers = (word for header in self.headers for word in ("-H", header))
        data = ("-d", self.json) if self.request else ()
        return shlex.join(("grpcurl", "-plaintext", *headers, *data, address, self.method))

    def buf_curl(self, address: str) -> str:
        """Return it for buf, which the development environment holds."""
        headers = (word for header in self.headers for word in ("-H", header))
        data = ("-d", self.json) if self.request else ()
        options = ("--http2-prior-knowledge", "--protocol", "grpc")
        return shlex.join((as_typed("buf"), "curl", *options, *headers, *data, f"http://{address}/{self.method}"))


@dataclass(frozen=True, slots=True)
class Ingredients:
    """Names of what a new server can be made of."""

    cluster: str
    flavor: str
    image: str
    network: str


def sample_calls(parts: Ingredients, token: str = "") -> Iterator[SampleCall]:
    """Return the five calls; the create is made of `parts`, and all bring the token where there is one."""
    headers = (f"authorization: Bearer {token}",) if token else ()
    for call in _sample_calls(parts):
        yield replace(call, headers=(*headers, *call.headers))


def _sample_calls(parts: Ingredients) -> tuple[SampleCall, ...]:
    server = {"display_name": "hello", "flavor": parts.flavor, "image": parts.image}
    interfaces = {"network_interfaces": [{"network": parts.network}]}
    return (
        SampleCall("List the platforms", "cloudspan.v1.PlatformService/ListPlatforms", {}),
        SampleCall(
            "List the running servers of all clusters",
            "cloudspan.v1.ServerService/ListServers",
            # No read_mask here: grpcurl and buf write a FieldMask in different ways.
            {"parent": "platforms/-/clusters/-", "filter": "state = RUNNING"},
        ),
        SampleCall(
            "Create a server, and wait for it",
            "cloudspan.v1.ServerService/CreateServer",
            {"parent": parts.cluster, "server": {**server, **interfaces}},
            ("x-wait: 30s",),
        ),
        SampleCall(
            "List the newest operations",
            "google.longrunning.Operations/ListOperations",
            {"name": "operations", "page_size": 5},
        ),
        SampleCall("Check a cluster's health", "cloudspan.v1.ClusterService/CheckCluster", {"name": parts.cluster}),
    )


def as_typed(program: str) -> str:
    """Return a program of this environment as one would type it here."""
    beside = Path(sys.executable).with_name(program)
    if not beside.exists():
        return program
    here = Path.cwd()
    return str(beside.relative_to(here)) if beside.is_relative_to(here) else str(beside)
