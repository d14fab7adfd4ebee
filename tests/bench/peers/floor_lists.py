"""The floor: aiohttp, msgspec and protobuf, the same fields as the adapter returns, and nothing else.

No retries, limits, states, checks or serving: what any Python adapter on these libraries has to spend. Arguments:
clouds.yaml, cloud, the cluster's name, number of gets, file for the last page's bytes.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import yaml
from own_cost import Cost, tell

from cloudspan.v1 import server_pb2

S = server_pb2.Server
PAGE = 1000
STATES = {"ACTIVE": S.STATE_RUNNING, "BUILD": S.STATE_BUILDING, "SHUTOFF": S.STATE_STOPPED, "ERROR": S.STATE_ERROR}


class Image(msgspec.Struct, gc=False):
    id: str


class Flavor(msgspec.Struct, gc=False):
    vcpus: int
    ram: int


class Group(msgspec.Struct, gc=False):
    name: str


class Volume(msgspec.Struct, gc=False):
    id: str
    delete_on_termination: bool


class Row(msgspec.Struct, gc=False):
    id: str
    status: str
    name: str
    tenant_id: str
    metadata: dict[str, str]
    image: Image | str
    flavor: Flavor
    created: datetime
    updated: datetime
    key_name: str | None
    locked: bool
    zone: str = msgspec.field(name="OS-EXT-AZ:availability_zone")
    task: str | None = msgspec.field(name="OS-EXT-STS:task_state")
    volumes: list[Volume] = msgspec.field(name="os-extended-volumes:volumes_attached")
    host: str | None = msgspec.field(name="OS-EXT-SRV-ATTR:host", default=None)
    security_groups: list[Group] = []


class Page(msgspec.Struct):
    servers: list[Row]


class One(msgspec.Struct):
    server: Row


def message(row: Row, ref: str) -> S:
    """Return one row as a message."""
    return S(
        name=f"{ref}/servers/{row.id}",
        display_name=row.name,
        state=STATES.get(row.status, S.STATE_UNKNOWN),
        native_state=row.status,
        project=f"{ref}/projects/{row.tenant_id}",
        labels=row.metadata,
        create_time={"seconds": int(row.created.timestamp())},
        update_time={"seconds": int(row.updated.timestamp())},
        task=row.task or "",
        locked=row.locked,
        vcpus=row.flavor.vcpus,
        memory_mib=row.flavor.ram,
        image=f"{ref}/images/{row.image.id}" if isinstance(row.image, Image) else "",
        zone=f"{ref}/zones/{row.zone}" if row.zone else "",
        host=f"{ref}/hosts/{row.host}" if row.host else "",
        key_pair=f"{ref}/keyPairs/{row.key_name}" if row.key_name else "",
        volume_attachments=[
            {"volume": f"{ref}/volumes/{v.id}", "delete_with_server": v.delete_on_termination} for v in row.volumes
        ],
        security_group_display_names=[group.name for group in row.security_groups],
    )


async def _login(http: aiohttp.ClientSession, entry: dict[str, Any]) -> tuple[str, str]:
    auth = entry["auth"]
    domain = {"domain": {"name": "Default"}}
    who = {"user": {"name": auth["username"], "password": auth["password"], **domain}}
    scope = {"project": {"name": auth["project_name"], **domain}}
    body = {"auth": {"identity": {"methods": ["password"], "password": who}, "scope": scope}}
    async with http.post(f"{auth['auth_url']}/auth/tokens", json=body) as answer:
        catalogue = (await answer.json())["token"]["catalog"]
        nova = next(service for service in catalogue if service["type"] == "compute")
        return answer.headers["X-Subject-Token"], nova["endpoints"][0]["url"]


async def _list(http: aiohttp.ClientSession, base: str, ref: str) -> tuple[int, bytes]:
    decoder, marker, count, data = msgspec.json.Decoder(Page), "", 0, b""
    while True:
        async with http.get(f"{base}/servers/detail?limit={PAGE}{marker}") as answer:
            rows = decoder.decode(await answer.read()).servers
        if not rows:
            return count, data
        servers = [message(row, ref) for row in rows]
        data = server_pb2.ListServersResponse(servers=servers).SerializeToString()
        count += len(rows)
        marker = f"&marker={rows[-1].id}"


async def _get(http: aiohttp.ClientSession, url: str, ref: str) -> bytes:
    async with http.get(url) as answer:
        row = msgspec.json.decode(await answer.read(), type=One).server
    return message(row, ref).SerializeToString()


async def measure(entry: dict[str, Any], ref: str, gets: int) -> bytes:
    """Get one to warm up, then measured; return the last page."""
    async with aiohttp.ClientSession() as http:
        token, base = await _login(http, entry)
        http.headers.update({"X-Auth-Token": token, "OpenStack-API-Version": "compute 2.93"})
        async with http.get(f"{base}/servers?limit=1") as answer:
            one = f"{base}/servers/{(await answer.json())['servers'][0]['id']}"
        await _get(http, one, ref)
        cost = Cost()
        count, data = await _list(http, base, ref)
        listed_s, rest_mb = cost.cpu_s, cost.rest_mb
        cost = Cost()
        for _ in range(gets):
            await _get(http, one, ref)
        tell(servers=count, list_cpu_s=listed_s, rest_mb=rest_mb, get_cpu_s=cost.cpu_s / gets)
        return data


def main() -> None:
    """Keep the last page's bytes, for who wants to compare."""
    file, cloud, ref, gets, out = sys.argv[1:6]
    entry = yaml.safe_load(Path(file).read_text(encoding="utf-8"))["clouds"][cloud]
    Path(out).write_bytes(asyncio.run(measure(entry, ref, int(gets))))


if __name__ == "__main__":
    main()
