"""An administrator's credential reaches every project of a real cloud; a pool with one project shows that one alone."""

from __future__ import annotations

import asyncio
import re
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.e2e.conftest import ready
from tests.e2e.sites import PREFIX, write_clouds
from tests.escapes.world import bootstrap_token
from tests.harness.mutations import stub
from tests.harness.processes import openstack, world

from cloudspan.client import AsyncClient, CloudspanError, NotFound
from cloudspan.v1 import (
    inventory_pb2,
    network_pb2,
    policy_pb2,
    security_group_pb2,
    session_pb2,
    tenant_pb2,
    user_pb2,
    volume_pb2,
)
from cloudspan.v1.common_pb2 import ClusterStatus
from cloudspan.v1.inventory_pb2 import SyncState
from cloudspan_common import projects
from cloudspan_common.contract import Kind, getter, methods

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from openstack.connection import Connection
    from tests.e2e.sites import Site

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

PASSWORD = "correct horse battery staple"
CANARY = f"{PREFIX}canary-of-the-other"
LISTS = {m.name: m for m in methods().values() if m.kind is Kind.LIST and m.routed_field}


@dataclass
class Place:
    """A cloud with two projects, an adapter with its administrator's credential, and a caller of one project."""

    ref: str
    project: str
    """The caller's."""
    hidden: dict[str, str]
    """The platform's ids of the other project's resources, by collection."""
    client: AsyncClient
    """The caller, who may do everything in a pool with `project` alone."""

    async def ended(self, rpc: str, **fields: Any) -> tuple[str, ...]:
        """Return how a call that must fail has failed, in words without the id that it is about."""
        request = next(m for m in methods().values() if m.name == rpc).request(**fields)
        with pytest.raises(CloudspanError) as failed:
            await stub(self.client, rpc)(request)
        text = re.sub(r"request id \S+", "", f"{failed.value} {failed.value.resource}")
        return type(failed.value).__name__, failed.value.reason, text.replace(fields["name"].rpartition("/")[2], "ID")


@contextmanager
def _made(sdk: Connection, name: str) -> Iterator[dict[str, str]]:
    """Some of what a project has, made with its own credential."""
    made: list[tuple[Any, Any]] = []
    try:
        volume = sdk.block_storage.create_volume(name=name, size=1)
        made.append((sdk.block_storage.delete_volume, volume))
        network = sdk.network.create_network(name=name)
        made.append((sdk.network.delete_network, network))
        group = sdk.network.create_security_group(name=name)
        made.append((sdk.network.delete_security_group, group))
        port = sdk.network.create_port(name=name, network_id=network.id)
        made.append((sdk.network.delete_port, port))
        sdk.block_storage.wait_for_status(volume, "available", wait=60)
        yield {"volumes": volume.id, "networks": network.id, "securityGroups": group.id, "ports": port.id}
    finally:
        for delete, row in reversed(made):
            delete(row)


async def _caller(root: AsyncClient, ref: str, project: str) -> str:
    """Make a tenant whose one pool has one project of the cluster, and a user in it; return the user's token."""
    await root.tenants.CreateTenant(tenant_pb2.CreateTenantRequest(tenant_id="acme", tenant=tenant_pb2.Tenant()))
    pool = tenant_pb2.Pool(clusters=[tenant_pb2.PoolCluster(cluster=ref, project_id=project)])
    await root.tenants.CreatePool(tenant_pb2.CreatePoolRequest(parent="tenants/acme", pool_id="prod", pool=pool))
    user = user_pb2.User(tenant="tenants/acme")
    await root.users.CreateUser(user_pb2.CreateUserRequest(user_id="alice", user=user, password=PASSWORD))
    binding = policy_pb2.Binding(member="users/alice", role="roles/admin")
    await root.policies.CreateBinding(policy_pb2.CreateBindingRequest(parent="tenants/acme", binding=binding))
    session = await root.sessions.CreateSession(session_pb2.CreateSessionRequest(user="alice", password=PASSWORD))
    return session.token


@pytest.fixture
async def place(clusters: list[Site], tmp_path: Any) -> AsyncIterator[Place]:
    site = clusters[0]
    tag = f"{site.name}-admin"
    file = write_clouds(tmp_path / "clouds.yaml", {tag: site.entry(tag)})
    ref = f"platforms/openstack/clusters/{tag}"
    with (
        site.connect() as own,
        site.connect(site.small) as other,
        _made(own, f"{PREFIX}mine"),
        _made(other, CANARY) as hidden,
        world(tmp_path, "--auth", "sessions", "--inventory-fastest", "3", inventory=True) as running,
    ):
        running.adapter(*openstack(file, [tag]))
        async with AsyncClient(running.address, retries=False) as anybody:
            first = user_pb2.BootstrapAdministratorRequest(user_id="root", password=PASSWORD)
            first.token = bootstrap_token(tmp_path / "gateway.log")
            await anybody.users.BootstrapAdministrator(first)
            login = session_pb2.CreateSessionRequest(user="root", password=PASSWORD)
            token = (await anybody.sessions.CreateSession(login)).token
        async with AsyncClient(running.address, retries=False, token=token) as root:
            token = await _caller(root, ref, own.current_project_id)
        async with AsyncClient(running.address, retries=False, token=token) as client:
            await ready(client, tag)
            yield Place(ref, own.current_project_id, hidden, client)


async def test_a_caller_with_one_project_meets_nothing_of_another(place: Place) -> None:
    """Lists, whatever their filter; gets and deletes, in the words of what does not exist; and creates are refused."""
    shown = 0
    for rpc, method in LISTS.items():
        bound = projects.bound(method.item.DESCRIPTOR, f"{place.ref}/projects/{place.project}")
        widening = ["project:*"] if "project" in method.item.DESCRIPTOR.fields_by_name else []
        for text in ["", *widening]:
            listing = place.client.each(stub(place.client, rpc), method.request(parent=place.ref, filter=text))
            rows = [row async for row in listing]
            shown += len(rows)
            assert [row.name for row in rows if not bound.sees(row) or CANARY in str(row)] == [], rpc
    assert shown > 20
    for collection, native_id in place.hidden.items():
        get, missing = getter(collection).name, str(uuid.uuid4())
        for rpc in (get, get.replace("Get", "Delete")):
            if not any(method.name == rpc for method in methods().values()):
                continue
            hidden = await place.ended(rpc, name=f"{place.ref}/{collection}/{native_id}")
            assert hidden == await place.ended(rpc, name=f"{place.ref}/{collection}/{missing}")
            assert hidden[0] == NotFound.__name__
    create = volume_pb2.CreateVolumeRequest(parent=place.ref, volume=volume_pb2.Volume(display_name=f"{PREFIX}no"))
    create.volume.size_bytes = 2**30
    with pytest.raises(CloudspanError) as refused:
        await (await place.client.volumes.CreateVolume(create)).result(60)
    assert refused.value.reason == "OTHER_PROJECT_OF_POOL"


async def test_a_caller_with_one_project_is_answered_from_the_inventory(place: Place) -> None:
    """As from the cloud, though its project is not what the cluster's credentials list; and nothing of another's."""
    async with asyncio.timeout(120):
        while True:  # the gateway looks at pools every few seconds
            asked = inventory_pb2.SyncNowRequest(parent=place.ref)
            states = (await place.client.inventory.SyncNow(asked, timeout=60)).states
            if all(state.reason != "OTHER_PROJECT_OF_POOL" for state in states):
                break
            await asyncio.sleep(1.0)
    assert {state.project.rpartition("/")[2] for state in states} == {"", place.project}
    assert {state.completeness for state in states} <= {
        SyncState.COMPLETENESS_COMPLETE,
        SyncState.COMPLETENESS_UNSUPPORTED,
    }
    stored, mine = 0, set()
    for rpc, method in LISTS.items():
        if "max_staleness" not in method.request.DESCRIPTOR.fields_by_name:
            continue
        found = {}
        for source in ("live", "stored"):
            request = method.request(parent=place.ref)
            if source == "stored":
                request.max_staleness.FromSeconds(3600)
            listing = place.client.each(stub(place.client, rpc), request)
            found[source] = sorted([row.name async for row in listing])
        assert found["live"] == found["stored"], rpc
        assert {status.source for status in listing.cluster_status} <= {ClusterStatus.SOURCE_INVENTORY}, rpc
        stored += len(found["stored"])
        mine |= {name for name in found["stored"] if "/volumes/" in name or "/ports/" in name}
    assert stored > 20
    assert mine
    searched = await place.client.inventory.Search(inventory_pb2.SearchRequest(text=PREFIX))
    found = {row.collection for row in searched.resources if row.display_name == f"{PREFIX}mine"}
    assert found >= {"volumes", "networks", "securityGroups", "ports"}
    assert CANARY not in str(searched)


async def test_what_the_project_has_is_changed_as_ever(place: Place) -> None:
    """By an administrator's credential, in the project that the pool names."""
    networks = place.client.each(
        place.client.networks.ListNetworks,
        network_pb2.ListNetworksRequest(parent=place.ref, filter=f'display_name = "{PREFIX}mine"'),
    )
    assert len([network async for network in networks]) == 1
    listing = place.client.each(
        place.client.security_groups.ListSecurityGroups,
        security_group_pb2.ListSecurityGroupsRequest(parent=place.ref, filter=f'display_name = "{PREFIX}mine"'),
    )
    [group] = [group async for group in listing]
    update = security_group_pb2.UpdateSecurityGroupRequest(security_group=group)
    update.security_group.description = "changed by one of the project"
    update.update_mask.paths.append("description")
    changed = await (await place.client.security_groups.UpdateSecurityGroup(update)).result(60)
    assert changed.description == "changed by one of the project"
