"""The fake Nova: states, shapes by microversion, filters and pages."""

from __future__ import annotations

import pytest


async def test_a_server_is_built_in_steps_by_the_clock(client, cloud):
    """BUILD/scheduling without addresses, then spawning, then ACTIVE with an address."""
    body = {"name": "vm", "flavorRef": "1", "imageRef": await client.image(), "networks": "auto"}
    status, document, headers = await client.nova("POST", "/servers", {"server": body})
    path = f"/servers/{document['server']['id']}"
    seen = []
    for seconds in (0, 0.1, 0.15):
        await cloud.control.advance(seconds)
        shown = (await client.nova("GET", path))[1]["server"]
        seen.append((shown["status"], shown["OS-EXT-STS:task_state"], bool(shown["addresses"])))
    assert (status, headers["Location"]) == (202, f"{cloud.base_url}/compute/v2.1{path}")
    assert seen == [("BUILD", "scheduling", False), ("BUILD", "spawning", False), ("ACTIVE", None, True)]


@pytest.mark.parametrize(
    ("minor", "present", "absent"),
    [
        (1, "progress", "locked"),
        (9, "locked", "description"),
        (19, "description", "tags"),
        (26, "tags", "locked_reason"),
    ],
)
async def test_a_microversion_decides_what_a_server_shows(client, minor, present, absent):
    """Fields appear with the microversion that brought them."""
    path = f"/servers/{await client.boot()}"
    _, document, headers = await client.nova("GET", path, minor=minor)
    assert present in document["server"]
    assert absent not in document["server"]
    assert headers["OpenStack-API-Version"] == f"compute 2.{minor}"


async def test_the_flavor_is_embedded_without_its_id_from_2_47_on(client):
    """Clients that read flavor.id break there."""
    path = f"/servers/{await client.boot()}"
    old, new = [(await client.nova("GET", path, minor=minor))[1]["server"]["flavor"] for minor in (46, 47)]
    assert old["id"] == "1"
    assert (new["original_name"], "id" in new) == ("m1.tiny", False)


async def test_an_unsupported_microversion_is_406_and_a_malformed_one_400(client):
    """The range is told."""
    assert (await client.nova("GET", "/servers", minor=94))[0] == 406
    assert (await client("GET", "/compute/v2.1/servers", version="compute x"))[0] == 400


async def test_tags_at_creation_are_found_again_and_refused_below_2_52(client):
    """The marker of exactly-once creation travels there."""
    server = await client.boot(tags=["op-1"])
    await client.boot(tags=["op-2"])
    found = (await client.nova("GET", "/servers?tags=op-1"))[1]["servers"]
    body = {"name": "x", "flavorRef": "1", "imageRef": await client.image(), "networks": "none", "tags": ["t"]}
    refused = await client.nova("POST", "/servers", {"server": body}, minor=51)
    assert [row["id"] for row in found] == [server]
    assert (refused[0], "('tags' was unexpected)" in refused[1]["badRequest"]["message"]) == (400, True)


async def test_filters_that_a_member_may_not_use_are_ignored_without_a_word(client):
    """`metadata=`, `host=` and `uuid=` give 200 with everything."""
    await client.boot(metadata={"a": "b"})
    await client.boot()
    for query in ('metadata={"a":"b"}', "host=nowhere", "uuid=0"):
        status, document, _ = await client.nova("GET", f"/servers?{query}")
        assert (status, len(document["servers"])) == (200, 2)


async def test_an_unknown_filter_is_ignored_below_2_75_and_refused_from_there_on(client):
    """Schema checks came late."""
    assert (await client.nova("GET", "/servers?foo=1", minor=74))[0] == 200
    assert (await client.nova("GET", "/servers?foo=1", minor=75))[0] == 400


async def test_pages_are_chained_and_a_full_last_page_has_a_next_link_to_an_empty_one(client, cloud):
    """Nova counts the page, not what is left."""
    made = cloud.control.seed(servers=4)["servers"]
    seen, path = [], f"{cloud.base_url}/compute/v2.1/servers?limit=2"
    pages = 0
    while path:
        _, document, _ = await client("GET", path, version="compute 2.93")
        seen += [row["id"] for row in document["servers"]]
        pages += 1
        path = next((link["href"] for link in document.get("servers_links", ())), "")
    assert (seen, pages) == (made[::-1], 3)


async def test_a_page_larger_than_max_limit_is_cut_without_a_word(client, cloud):
    """1 000 rows come of the 2 000 asked for."""
    cloud.control.seed(servers=1200)
    _, document, _ = await client.nova("GET", "/servers?limit=2000")
    assert (len(document["servers"]), len(document["servers_links"])) == (1000, 1)


async def test_a_deleted_marker_still_marks_its_place(client, cloud):
    """200 and the rest, where the other services refuse."""
    oldest, middle, newest = cloud.control.seed(servers=3)["servers"]
    await client.nova("DELETE", f"/servers/{middle}")
    await cloud.control.advance(1)
    status, document, _ = await client.nova("GET", f"/servers?marker={middle}")
    assert (status, [row["id"] for row in document["servers"]]) == (200, [oldest])
    assert (await client.nova("GET", "/servers?marker=never"))[0] == 400
    assert newest


async def test_stop_start_and_reboot_follow_nova_rules_of_state(client, cloud):
    """A second stop meets the task, a soft reboot the stopped state."""
    path = f"/servers/{await client.boot()}/action"
    steps = [({"os-start": None}, 409), ({"os-stop": None}, 202), ({"os-stop": None}, 409)]
    answers = [(await client.nova("POST", path, body))[0] for body, _ in steps]
    await cloud.control.advance(1)
    soft = await client.nova("POST", path, {"reboot": {"type": "SOFT"}})
    hard = await client.nova("POST", path, {"reboot": {"type": "HARD"}})
    assert answers == [status for _, status in steps]
    assert (soft[0], soft[1]["conflictingRequest"]["message"].endswith("vm_state stopped"), hard[0]) == (409, True, 202)


async def test_a_deletion_is_seen_as_a_task_first_and_by_changes_since_afterwards(client, cloud):
    """The second delete is 204 too."""
    server = await client.boot()
    statuses = [(await client.nova("DELETE", f"/servers/{server}"))[0] for _ in range(2)]
    task = (await client.nova("GET", f"/servers/{server}"))[1]["server"]["OS-EXT-STS:task_state"]
    await cloud.control.advance(1)
    gone = await client.nova("GET", f"/servers/{server}")
    changed = (await client.nova("GET", "/servers/detail?changes-since=2020-01-01T00:00:00Z"))[1]["servers"]
    assert (statuses, task, gone[0]) == ([204, 204], "deleting", 404)
    assert [(row["id"], row["status"]) for row in changed] == [(server, "DELETED")]


async def test_the_loser_of_a_race_for_one_port_takes_it_from_the_winner(client, cloud):
    """The loser is in ERROR with a fault, the port free again."""
    network = await client.private()
    port = (await client.neutron("POST", "/ports", {"port": {"network_id": network}}))[1]["port"]["id"]
    body = {"name": "vm", "flavorRef": "1", "imageRef": await client.image(), "networks": [{"port": port}]}
    made = [(await client.nova("POST", "/servers", {"server": body}))[1]["server"]["id"] for _ in range(2)]
    await cloud.control.advance(1)
    shown = [(await client.nova("GET", f"/servers/{server}"))[1]["server"] for server in made]
    assert [row["status"] for row in shown] == ["ACTIVE", "ERROR"]
    assert "Failed to allocate the network(s)" in shown[1]["fault"]["message"]
    assert (await client.neutron("GET", f"/ports/{port}"))[1]["port"]["device_id"] == ""


async def test_with_a_cell_down_only_the_bare_list_shows_unknown_rows(client, cloud):
    """With limit=, tags= or below 2.69 the servers are simply missing."""
    cloud.control.seed(servers=2)
    cloud.control.set_cell_down(True)
    bare = (await client.nova("GET", "/servers/detail", minor=69))[1]["servers"]
    assert [sorted(row) for row in bare] == [["created", "id", "links", "status", "tenant_id"]] * 2
    for path, minor in (("/servers/detail?limit=5", 93), ("/servers/detail?tags=a", 93), ("/servers/detail", 68)):
        assert (await client.nova("GET", path, minor=minor))[1] == {"servers": []}


async def test_a_server_over_the_quota_is_403_as_a_policy_is(client, cloud):
    """Only the text tells them apart."""
    cloud.control.set_quota("compute", instances=0)
    body = {"name": "vm", "flavorRef": "1", "imageRef": await client.image(), "networks": "none"}
    quota = await client.nova("POST", "/servers", {"server": body})
    policy = await client.nova("GET", "/servers?all_tenants=1")
    assert (quota[0], quota[1]["forbidden"]["message"]) == (
        403, "Quota exceeded for instances: Requested 1, but already used 0 of 0 instances",
    )  # fmt: skip
    assert (policy[0], policy[1]["forbidden"]["message"][:21]) == (403, "Policy doesn't allow ")


async def test_a_server_from_an_image_to_a_volume_has_no_image_and_takes_the_volume_along(client, cloud):
    """delete_on_termination deletes it with the server."""
    image = await client.image()
    disk = {"boot_index": 0, "uuid": image, "source_type": "image", "destination_type": "volume", "volume_size": 1}
    server = await client.boot(imageRef="", block_device_mapping_v2=[disk | {"delete_on_termination": True}])
    shown = (await client.nova("GET", f"/servers/{server}"))[1]["server"]
    (volume,) = (row["id"] for row in shown["os-extended-volumes:volumes_attached"])
    in_use = (await client.cinder("GET", f"/volumes/{volume}"))[1]["volume"]
    await client.nova("DELETE", f"/servers/{server}")
    await cloud.control.advance(1)
    await cloud.control.advance(1)
    assert (shown["image"], in_use["status"], in_use["bootable"]) == ("", "in-use", "true")
    assert (await client.cinder("GET", f"/volumes/{volume}"))[0] == 404


async def test_attaching_a_volume_twice_is_400_and_a_port_twice_409(client, cloud):
    """The same mistake, two statuses."""
    server = await client.boot()
    volume = (await client.cinder("POST", "/volumes", {"volume": {"size": 1}}))[1]["volume"]["id"]
    await cloud.control.advance(1)
    port = (await client.neutron("POST", "/ports", {"port": {"network_id": await client.private()}}))[1]["port"]["id"]
    attach = ("POST", f"/servers/{server}/os-volume_attachments", {"volumeAttachment": {"volumeId": volume}})
    plug = ("POST", f"/servers/{server}/os-interface", {"interfaceAttachment": {"port_id": port}})
    first, reserved = (await client.nova(*attach))[0], (await client.cinder("GET", f"/volumes/{volume}"))[1]
    await cloud.control.advance(1)
    assert (first, reserved["volume"]["status"], (await client.nova(*attach))[0]) == (200, "reserved", 400)
    assert [(await client.nova(*plug))[0] for _ in range(2)] == [200, 409]


async def test_key_pairs_are_generated_below_2_92_only_and_belong_to_the_user(client):
    """Another project's scope of the same user sees them."""
    made = await client.nova("POST", "/os-keypairs", {"keypair": {"name": "k"}}, minor=91)
    refused = await client.nova("POST", "/os-keypairs", {"keypair": {"name": "k2"}}, minor=92)
    await client.login(project={"name": "demo2"})
    assert (made[0], "PRIVATE KEY" in made[1]["keypair"]["private_key"], refused[0]) == (201, True, 400)
    assert (await client.nova("GET", "/os-keypairs/k"))[0] == 200


async def test_another_project_does_not_find_a_living_server(client):
    """404 counts only under the right scope."""
    server = await client.boot()
    await client.login("demo2")
    assert (await client.nova("GET", f"/servers/{server}"))[0] == 404
