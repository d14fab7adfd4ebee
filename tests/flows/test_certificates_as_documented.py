"""The operator's document on certificates is followed: the commands as they stand, with other folders and ports."""

from __future__ import annotations

import re
import shlex

from tests.flows.conftest import program
from tests.flows.demo import ROOT

from cloudspan.client import AsyncClient, Unreachable
from cloudspan.v1 import platform_pb2
from cloudspan_common.trial_certificates import main as make_certificates

OPERATING = (ROOT / "docs" / "operating.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()


def _commands(place):
    section = OPERATING.partition("\n## Certificates\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"^```sh\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    return [shlex.split(line.replace(".state/", f"{place}/")) for line in block.splitlines()]


def _module(words, *more):
    """The arguments of a script, as a module's."""
    name = words[0].rpartition("/")[2].replace("-", "_")
    return ("-m", name, *words[1:], *more)


async def test_the_commands_of_the_document_bring_up_a_pair_that_trusts_each_other(tmp_path, until, unused_tcp_port):
    """Certificates as `make certs` makes them, then both processes."""
    certs, gateway, memory = _commands(tmp_path)
    assert certs == ["make", "certs"]
    identities = re.search(r"^IDENTITIES := (.*)$", MAKEFILE, re.MULTILINE)[1].split()
    make_certificates([str(tmp_path / "certs"), *identities])
    address = f"127.0.0.1:{unused_tcp_port}"
    ours = (
        "--listen",
        address,
        "--metrics",
        "",
        "--drain",
        "0",
        "--database",
        "memory:",
        "--registry",
        f"static:{tmp_path}/registry.yaml",
    )
    async with (
        program(*_module(gateway, *ours)),
        program(*_module(memory, "--drain", "0")),
        AsyncClient(address, retries=False) as cloud,
    ):

        async def ready():
            try:
                told = await cloud.platforms.ListPlatforms(platform_pb2.ListPlatformsRequest(), timeout=1)
            except Unreachable:
                return False
            return [platform.name for platform in told.platforms if platform.state == platform.STATE_READY]

        assert await until(ready, limit_s=30) == ["platforms/memory"]
