"""Where a create's marker can travel on a real OpenStack, and what else our creates and removals rest on.

RequestInfo of the cloud by openstacksdk's bare session, past our adapter. What surprised is in docs/real-clouds.md.
"""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from tests.e2e.conftest import fresh

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

MARK = "cloudspan:with-server"
VERSIONS = {"compute": "compute 2.93", "block_storage": "volume 3.70", "network": ""}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB e2e"


class Site:
    """Bare calls to one cloud, and what is to be deleted again."""

    def __init__(self, sdk) -> None:
        self.sdk = sdk
        self.made = []

    def ask(self, service, method, path, json=None, **params):
        """Return status and body."""
        headers = {"OpenStack-API-Version": VERSIONS[service]} if VERSIONS[service] else {}
        proxy = getattr(self.sdk, service)
        answer = getattr(proxy, method.lower())(path, json=json, params=params, headers=headers)
        is_json = answer.content and "json" in answer.headers.get("content-type", "")
        return answer.status_code, answer.json() if is_json else answer.text

    def make(self, service, many, body):
        """Create, to be deleted at the end; return the row."""
        [one] = body
        status, answer = self.ask(service, "POST", f"/{many}", body)
        assert status in (201, 202), answer
        self.made.append((service, f"/{many}/{answer[one]['id']}"))
        return answer[one]

    def network(self, method, path, json=None, **params):
        return self.ask("network", method, path, json, **params)

    def until(self, service, path, good):
        """Ask again and again, as long as the test may last."""
        while True:
            status, answer = self.ask(service, "GET", path)
            if good(status, answer):
                return answer
            time.sleep(0.05)


@contextmanager
def _at(clusters):
    with clusters[0].connect() as sdk:
        site = Site(sdk)
        try:
            yield site
        finally:
            for service, path in reversed(site.made):
                site.ask(service, "DELETE", path)
                if service == "compute":
                    site.until(service, path, lambda status, _answer: status == 404)


@pytest.fixture
def site(clusters):
    """The first of the clusters."""
    with _at(clusters) as site:
        yield site


def _marker(step):
    return f"cs-e2e-{uuid.uuid4().hex}-{step}"


def _bodies(site):
    """A new network, and what of each other kind is made in or beside it."""
    external = site.sdk.network.find_network("public").id
    network = site.make("network", "networks", {"network": {"name": fresh("net")}})["id"]
    subnet = {"network_id": network, "cidr": "10.88.0.0/24", "ip_version": 4, "name": fresh("sub")}
    return {
        "network": {"name": fresh("net")},
        "subnet": subnet,
        "port": {"network_id": network, "name": fresh("port")},
        "router": {"name": fresh("router")},
        "floatingip": {"floating_network_id": external},
    }


KINDS = ("network", "subnet", "port", "router", "floatingip")


@pytest.mark.parametrize("kind", KINDS)
def test_neutrons_description_carries_a_marker_and_hands_it_to_a_tag(site, kind):
    """Found by it at once, and no other one is; then by the tag, while the description is the caller's again."""
    marker, body = _marker(kind), _bodies(site)[kind]
    row = site.make("network", f"{kind}s", {kind: body | {"description": marker}})
    _, found = site.network("GET", f"/{kind}s", description=marker)
    assert [(one["id"], one["description"]) for one in found[f"{kind}s"]] == [(row["id"], marker)]
    _, found = site.network("GET", f"/{kind}s", description=f"{marker}x")
    assert found[f"{kind}s"] == []
    status, _ = site.network("PUT", f"/{kind}s/{row['id']}/tags", {"tags": [marker, "a=b", MARK]})
    assert status == 200
    status, changed = site.network("PUT", f"/{kind}s/{row['id']}", {kind: {"description": "mine"}})
    assert (status, changed[kind]["description"]) == (200, "mine")
    for tags in (marker, f"{marker},{MARK}"):
        _, found = site.network("GET", f"/{kind}s", tags=tags)
        assert [(one["id"], marker in one["tags"]) for one in found[f"{kind}s"]] == [(row["id"], True)]
    _takes_no_tags_at_create(site, kind, body)


def _takes_no_tags_at_create(site, kind, body):
    """See that they are refused, or dropped without a word by a port."""
    status, answer = site.network("POST", f"/{kind}s", {kind: body | {"tags": [_marker(kind)]}})
    if kind != "port":
        assert (status, "'tags' not allowed in POST" in answer["NeutronError"]["message"]) == (400, True)
        return
    site.made.append(("network", f"/ports/{answer['port']['id']}"))
    _, answer = site.network("GET", f"/ports/{answer['port']['id']}")
    assert (status, answer["port"]["tags"]) == (201, [])


def test_a_servers_tag_and_a_volumes_metadata_carry_a_marker(site):
    """From the create on, and no other marker finds them."""
    marker = _marker("volume")
    volume = site.make("block_storage", "volumes", {"volume": _volume() | {"metadata": {"cloudspan-marker": marker}}})
    for asked, found in ((marker, [volume["id"]]), (f"{marker}x", [])):
        query = {"metadata": repr({"cloudspan-marker": asked})}
        _, answer = site.ask("block_storage", "GET", "/volumes/detail", **query)
        assert [row["id"] for row in answer["volumes"] if row["metadata"]["cloudspan-marker"] == asked] == found
        assert len(answer["volumes"]) == len(found)
    marker = _marker("server")
    server = site.make("compute", "servers", {"server": _server(site) | {"tags": [marker]}})
    for asked, found in ((marker, [server["id"]]), (f"{marker[:-1]}x", [])):
        _, answer = site.ask("compute", "GET", "/servers/detail", tags=asked)
        assert [row["id"] for row in answer["servers"] if asked in row["tags"]] == found
        assert len(answer["servers"]) == len(found)
    site.until(
        "block_storage",
        f"/volumes/{volume['id']}",
        _is_available,
    )


def _is_available(status, answer):
    return status == 200 and answer["volume"]["status"] == "available"


def _volume():
    return {"size": 1, "name": fresh("volume")}


def _server(site, **more):
    network, image = site.sdk.network.find_network("private").id, site.sdk.image.find_image("cirros").id
    return {"name": fresh("server"), "flavorRef": "1", "imageRef": image, "networks": [{"uuid": network}]} | more


def test_a_key_pairs_name_is_its_marker(site):
    """The second import under a name is a conflict, with the same key as with another."""
    name = fresh("key")
    body = {"keypair": {"name": name, "public_key": KEY, "type": "ssh"}}
    status, _ = site.ask("compute", "POST", "/os-keypairs", body)
    try:
        again, _ = site.ask("compute", "POST", "/os-keypairs", body)
        assert (status, again) == (201, 409)
    finally:
        site.ask("compute", "DELETE", f"/os-keypairs/{name}")


def test_an_address_has_one_floating_ip_and_a_floating_ip_one_address(site):
    """A second one is refused; a change of the description leaves it bound; its port's end leaves it, unbound."""
    bodies = _bodies(site)
    external = bodies["floatingip"]["floating_network_id"]
    subnet = site.make("network", "subnets", {"subnet": bodies["subnet"]})["id"]
    gateway = {"name": fresh("router"), "external_gateway_info": {"network_id": external}}
    router = site.make("network", "routers", {"router": gateway})["id"]
    port = site.make("network", "ports", {"port": bodies["port"]})["id"]
    wanted = bodies["floatingip"] | {"port_id": port}
    status, answer = site.network("POST", "/floatingips", {"floatingip": wanted})
    assert (status, "is not reachable from subnet" in answer["NeutronError"]["message"]) == (404, True)
    assert site.network("PUT", f"/routers/{router}/add_router_interface", {"subnet_id": subnet})[0] == 200
    floating = _one_of_eight(site, wanted)
    assert (floating["port_id"], floating["router_id"]) == (port, router)
    status, answer = site.network("POST", "/floatingips", {"floatingip": wanted})
    assert (status, answer["NeutronError"]["type"]) == (409, "FloatingIPPortAlreadyAssociated")
    _, answer = site.network("PUT", f"/floatingips/{floating['id']}", {"floatingip": {"description": "x"}})
    assert answer["floatingip"]["port_id"] == port
    status, answer = site.network("PUT", f"/routers/{router}/remove_router_interface", {"subnet_id": subnet})
    assert (status, answer["NeutronError"]["type"]) == (409, "RouterInterfaceInUseByFloatingIP")
    site.network("DELETE", f"/ports/{port}")
    _, answer = site.network("GET", f"/floatingips/{floating['id']}")
    assert answer["floatingip"]["port_id"] is None
    assert site.network("PUT", f"/routers/{router}/remove_router_interface", {"subnet_id": subnet})[0] == 200


def _one_of_eight(site, wanted):
    """Send a create eight times at once; return the one that is there afterwards."""
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(site.network, "POST", "/floatingips", {"floatingip": wanted}) for _ in range(8)]
    answers = [one.result() for one in sent]
    made = [answer["floatingip"] for status, answer in answers if status == 201]
    site.made += [("network", f"/floatingips/{row['id']}") for row in made]
    assert sorted(status for status, _ in answers) == [201] + [409] * 7
    return made[0]


def test_a_router_interface_is_refused_twice_and_missed_once_gone(site):
    """400 for the second one, 404 for taking away what is not there; router and subnet wait for it."""
    bodies = _bodies(site)
    subnet = site.make("network", "subnets", {"subnet": bodies["subnet"]})["id"]
    router = site.make("network", "routers", {"router": bodies["router"]})["id"]
    add, remove = (f"/routers/{router}/{verb}_router_interface" for verb in ("add", "remove"))
    assert site.network("PUT", add, {"subnet_id": subnet})[0] == 200
    status, answer = site.network("PUT", add, {"subnet_id": subnet})
    assert (status, "already has a port on subnet" in answer["NeutronError"]["message"]) == (400, True)
    _, answer = site.network("GET", "/ports", device_id=router, fixed_ips=f"subnet_id={subnet}")
    assert [row["device_owner"] for row in answer["ports"]] == ["network:router_interface"]
    assert site.network("DELETE", f"/routers/{router}")[0] == 409
    assert site.network("DELETE", f"/subnets/{subnet}")[0] == 409
    assert [site.network("PUT", remove, {"subnet_id": subnet})[0] for _ in range(2)] == [200, 404]


def test_a_port_with_two_addresses_gets_no_floating_ip_unless_it_is_said_for_which(site):
    """400; with `fixed_ip_address` it does."""
    bodies = _bodies(site)
    network = site.sdk.network.find_network("private")
    fixed = [{"subnet_id": network.subnet_ids[0]}] * 2
    port = site.make(
        "network", "ports", {"port": {"network_id": network.id, "name": fresh("port"), "fixed_ips": fixed}}
    )
    wanted = bodies["floatingip"] | {"port_id": port["id"]}
    status, answer = site.network("POST", "/floatingips", {"floatingip": wanted})
    assert (status, "has multiple fixed IPv4 addresses" in answer["NeutronError"]["message"]) == (400, True)
    chosen = port["fixed_ips"][1]["ip_address"]
    made = site.make("network", "floatingips", {"floatingip": wanted | {"fixed_ip_address": chosen}})
    assert made["fixed_ip_address"] == chosen


def test_a_given_port_is_let_go_by_a_deleted_server_and_keeps_its_tags(site):
    """And its floating IP: found by the server's id before, and by nothing that leads there afterwards."""
    network = site.sdk.network.find_network("private").id
    port = site.make("network", "ports", {"port": {"network_id": network, "name": fresh("port")}})["id"]
    site.network("PUT", f"/ports/{port}/tags", {"tags": [MARK]})
    server = site.make("compute", "servers", {"server": _server(site, networks=[{"port": port}])})["id"]
    site.until("compute", f"/servers/{server}", lambda _, row: row["server"]["status"] == "ACTIVE")
    _, found = site.network("GET", "/ports", device_id=server, tags=MARK)
    assert [row["id"] for row in found["ports"]] == [port]
    external = site.sdk.network.find_network("public").id
    wanted = {"floating_network_id": external, "port_id": port}
    floating = site.make("network", "floatingips", {"floatingip": wanted})["id"]
    site.ask("compute", "DELETE", f"/servers/{server}")
    site.until("compute", f"/servers/{server}", lambda status, _row: status == 404)
    _, answer = site.network("GET", f"/ports/{port}")
    assert (answer["port"]["device_id"], answer["port"]["tags"]) == ("", [MARK])
    _, answer = site.network("GET", f"/floatingips/{floating}")
    assert answer["floatingip"]["port_id"] == port


def test_a_volume_beside_an_image_needs_the_image_as_a_device_too(site):
    """400 without; with it the volume is attached, and goes with the server as asked."""
    volume = site.make("block_storage", "volumes", {"volume": _volume()})["id"]
    site.until(
        "block_storage",
        f"/volumes/{volume}",
        _is_available,
    )
    data = {"boot_index": -1, "uuid": volume, "source_type": "volume", "destination_type": "volume"}
    data["delete_on_termination"] = True
    body = _server(site)
    status, answer = site.ask("compute", "POST", "/servers", {"server": body | {"block_device_mapping_v2": [data]}})
    assert (status, "Boot sequence" in answer["badRequest"]["message"]) == (400, True)
    root = {"boot_index": 0, "uuid": body["imageRef"], "source_type": "image", "destination_type": "local"}
    server = site.make("compute", "servers", {"server": body | {"block_device_mapping_v2": [root, data]}})["id"]
    row = site.until("compute", f"/servers/{server}", lambda _, row: row["server"]["status"] == "ACTIVE")["server"]
    assert [one["id"] for one in row["os-extended-volumes:volumes_attached"]] == [volume]
    site.ask("compute", "DELETE", f"/servers/{server}")
    site.until("block_storage", f"/volumes/{volume}", lambda status, _row: status == 404)
