"""The fake Neutron, Glance and Cinder."""

from __future__ import annotations

import uuid


async def test_an_overlapping_subnet_is_400_and_names_the_cidr(client):
    """The natural key of exactly-once creation."""
    network = (await client.neutron("POST", "/networks", {"network": {"name": "n"}}))[1]["network"]["id"]
    body = {"subnet": {"network_id": network, "ip_version": 4, "cidr": "10.7.0.0/29"}}
    status, document, _ = await client.neutron("POST", "/subnets", body)
    again = await client.neutron("POST", "/subnets", body)
    assert (status, document["subnet"]["allocation_pools"]) == (201, [{"start": "10.7.0.2", "end": "10.7.0.6"}])
    assert (again[0], again[1]["NeutronError"]["type"]) == (400, "InvalidInput")


async def test_what_is_in_use_is_not_deleted(client):
    """Subnet, network and router name what holds them."""
    network = (await client.neutron("POST", "/networks", {"network": {"name": "n"}}))[1]["network"]["id"]
    body = {"subnet": {"network_id": network, "ip_version": 4, "cidr": "10.7.0.0/29"}}
    subnet = (await client.neutron("POST", "/subnets", body))[1]["subnet"]["id"]
    router = (await client.neutron("POST", "/routers", {"router": {"name": "r"}}))[1]["router"]["id"]
    await client.neutron("PUT", f"/routers/{router}/add_router_interface", {"subnet_id": subnet})
    paths = (f"/networks/{network}", f"/subnets/{subnet}", f"/routers/{router}")
    kinds = [(await client.neutron("DELETE", path))[1]["NeutronError"]["type"] for path in paths]
    assert kinds == ["NetworkInUse", "SubnetInUse", "RouterInUse"]


async def test_a_description_finds_its_row_and_tags_at_creation_are_refused_or_ignored(client):
    """The marker's carrier, and why it is not the tags."""
    network = await client.private()
    refused = await client.neutron("POST", "/networks", {"network": {"name": "n", "tags": ["m"]}})
    body = {"port": {"network_id": network, "description": "marker-1", "tags": ["m"]}}
    port = (await client.neutron("POST", "/ports", body))[1]["port"]
    found = (await client.neutron("GET", "/ports?description=marker-1&fields=id"))[1]["ports"]
    assert (refused[0], port["tags"], found) == (400, [], [{"id": port["id"]}])


async def test_neutron_pages_only_with_a_limit_and_links_both_ways(client, cloud):
    """A marker alone is ignored; a deleted marker is 404."""
    made = sorted(cloud.control.seed(ports=5)["ports"])
    mine = "device_owner=&fields=id"
    everything = (await client.neutron("GET", f"/ports?{mine}&marker={made[1]}"))[1]
    page = (await client.neutron("GET", f"/ports?limit=2&{mine}&marker={made[1]}"))[1]
    back = (await client.neutron("GET", f"/ports?limit=2&{mine}&marker={made[3]}&page_reverse=True"))[1]
    await client.neutron("DELETE", f"/ports/{made[0]}")
    gone = await client.neutron("GET", f"/ports?limit=2&marker={made[0]}")
    assert (len(everything["ports"]), "ports_links" in everything) == (5, False)
    assert [row["id"] for row in page["ports"]] == made[2:4]
    assert [link["rel"] for link in page["ports_links"]] == ["next", "previous"]
    assert [row["id"] for row in back["ports"]] == made[1:3]
    assert (gone[0], gone[1]["NeutronError"]["type"]) == (404, "PortNotFound")


async def test_a_duplicate_rule_is_409_and_names_the_one_there_is(client):
    """So its id can be recovered."""
    group = (await client.neutron("POST", "/security-groups", {"security_group": {"name": "g"}}))[1]["security_group"]
    body = {"security_group_rule": {"security_group_id": group["id"], "direction": "ingress", "protocol": "tcp"}}
    rule = (await client.neutron("POST", "/security-group-rules", body))[1]["security_group_rule"]["id"]
    again = await client.neutron("POST", "/security-group-rules", body)
    assert (again[0], again[1]["NeutronError"]["message"]) == (
        409, f"Security group rule already exists. Rule id is {rule}.",
    )  # fmt: skip


async def test_associating_a_bound_floating_ip_moves_it_without_a_word(client):
    """And the server shows it."""
    first, second = await client.boot("a"), await client.boot("b")
    ports = [
        (await client.neutron("GET", f"/ports?device_id={server}"))[1]["ports"][0]["id"] for server in (first, second)
    ]
    public = (await client.neutron("GET", "/networks?name=public"))[1]["networks"][0]["id"]
    body = {"floatingip": {"floating_network_id": public, "port_id": ports[0]}}
    floating = (await client.neutron("POST", "/floatingips", body))[1]["floatingip"]
    moved = await client.neutron("PUT", f"/floatingips/{floating['id']}", {"floatingip": {"port_id": ports[1]}})
    shown = [
        (await client.nova("GET", f"/servers/{server}/ips"))[1]["addresses"]["private"] for server in (first, second)
    ]
    assert (moved[0], [len(rows) for rows in shown]) == (200, [1, 2])
    assert shown[1][1]["addr"] == floating["floating_ip_address"]


async def test_a_network_over_the_quota_is_409(client, cloud):
    """The third status for the same thing."""
    cloud.control.set_quota("network", network=1)
    status, document, _ = await client.neutron("POST", "/networks", {"network": {"name": "n"}})
    assert (status, document["NeutronError"]["type"]) == (409, "OverQuota")


async def test_an_image_id_is_chosen_once_and_never_again(client):
    """409 in HTML, also after the image is deleted."""
    body = {"id": str(uuid.uuid4()), "name": "i", "disk_format": "raw", "container_format": "bare"}
    statuses = [(await client.glance("POST", "/images", body))[0] for _ in range(2)]
    await client.glance("DELETE", f"/images/{body['id']}")
    status, page, headers = await client.glance("POST", "/images", body)
    assert (statuses, status, headers["Content-Type"]) == ([201, 409], 409, "text/html; charset=UTF-8")
    assert f"Image ID {body['id']} already exists!" in page


async def test_images_page_by_relative_links_of_25(client, cloud):
    """A deleted marker is 400."""
    cloud.control.seed(images=30)
    first = (await client.glance("GET", "/images"))[1]
    rest = (await client("GET", f"/image{first['next']}"))[1]
    assert (len(first["images"]), len(rest["images"]), "next" in rest) == (25, 7, False)
    assert (await client.glance("GET", "/images?marker=never"))[0] == 400


async def test_a_volume_lives_from_creating_to_gone(client, cloud):
    """With a snapshot it is not deletable."""
    status, document, _ = await client.cinder("POST", "/volumes", {"volume": {"size": 1, "metadata": {"op": "1"}}})
    path = f"/volumes/{document['volume']['id']}"
    await cloud.control.advance(1)
    found = (await client.cinder("GET", '/volumes?metadata={"op":"1"}'))[1]["volumes"]
    snapshot = await client.cinder("POST", "/snapshots", {"snapshot": {"volume_id": document["volume"]["id"]}})
    await cloud.control.advance(1)
    refused = await client.cinder("DELETE", path)
    await client.cinder("DELETE", f"/snapshots/{snapshot[1]['snapshot']['id']}")
    await cloud.control.advance(1)
    deleted, during = await client.cinder("DELETE", path), await client.cinder("GET", path)
    await cloud.control.advance(1)
    assert (status, document["volume"]["status"], len(found), refused[0]) == (202, "creating", 1, 400)
    assert (deleted[0], during[1]["volume"]["status"]) == (202, "deleting")
    assert (await client.cinder("GET", path))[0] == 404


async def test_a_volume_over_the_quota_is_413_with_retry_after_0(client, cloud):
    """Not to be retried, whatever the header says."""
    cloud.control.set_quota("volume", volumes=0)
    status, document, headers = await client.cinder("POST", "/volumes", {"volume": {"size": 1}})
    assert (status, headers["Retry-After"], "volumes allowed (0)" in document["overLimit"]["message"]) == (
        413,
        "0",
        True,
    )


async def test_snapshot_metadata_filters_nothing_below_3_22(client, cloud):
    """200 with everything."""
    volume = (await client.cinder("POST", "/volumes", {"volume": {"size": 1}}))[1]["volume"]["id"]
    await cloud.control.advance(1)
    await client.cinder("POST", "/snapshots", {"snapshot": {"volume_id": volume, "metadata": {"q": "1"}}})
    counts = [
        len((await client.cinder("GET", '/snapshots?metadata={"q":"2"}', minor=m))[1]["snapshots"]) for m in (21, 22)
    ]
    assert counts == [1, 0]


async def test_a_volume_path_works_with_and_without_the_project(client, cloud):
    """Another project in it is 404 in HTML."""
    projects = {project.name: project.id for project in cloud.store.projects.values()}
    assert (await client.cinder("GET", f"/{projects['demo']}/volumes"))[0] == 200
    status, _, headers = await client.cinder("GET", f"/{projects['demo2']}/volumes")
    assert (status, headers["Content-Type"]) == (404, "text/html; charset=UTF-8")


async def test_a_deleted_group_takes_the_rules_that_name_it_along(client):
    async def group(name):
        return (await client.neutron("POST", "/security-groups", {"security_group": {"name": name}}))[1][
            "security_group"
        ]

    web, db = await group("web"), await group("db")
    rule = {"security_group_id": db["id"], "direction": "ingress", "remote_group_id": web["id"]}
    made = (await client.neutron("POST", "/security-group-rules", {"security_group_rule": rule}))[1][
        "security_group_rule"
    ]
    assert (await client.neutron("DELETE", f"/security-groups/{web['id']}"))[0] == 204
    assert (await client.neutron("GET", f"/security-group-rules/{made['id']}"))[0] == 404
    shown = (await client.neutron("GET", f"/security-groups/{db['id']}"))[1]["security_group"]
    assert made["id"] not in [one["id"] for one in shown["security_group_rules"]]


async def test_a_network_asks_for_a_default_with_null(client):
    asked = {"network": {"name": "n", "mtu": None, "port_security_enabled": False}}
    made = (await client.neutron("POST", "/networks", asked))[1]["network"]
    assert (made["mtu"], made["port_security_enabled"], made["status"], made["subnets"]) == (1450, False, "ACTIVE", [])
