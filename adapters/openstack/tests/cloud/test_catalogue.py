"""Where services are, by the catalogue and clouds.yaml, and which microversions they are spoken to in."""

from __future__ import annotations

import pytest

from cloudspan_common.errors import LoginRefused, RateLimited, Unreachable, Unsupported
from cloudspan_kit import ABSENT
from cloudspan_kit.serve.capabilities import Abilities
from cloudspan_openstack.cloud.catalogue import (
    Microversion,
    is_version_document,
    microversions_of,
    version_documents,
    versioned,
)

LOWEST = {"compute": (2, 1), "volume": (3, 0)}
NOT_PUBLISHED = {"error_msg": "The API has not been published in the environment", "error_code": "APIGW.0101"}


@pytest.mark.parametrize(
    ("service", "advertised", "base"),
    [
        ("compute", "http://c:8774/v2.1/", "http://c:8774/v2.1"),
        ("compute", "http://c:8774/v2.1/p1", "http://c:8774/v2.1/p1"),
        ("compute", "http://c/compute", "http://c/compute/v2.1"),
        ("volume", "http://c:8776/v3/p1", "http://c:8776/v3/p1"),
        ("volume", "http://c/volume/v3", "http://c/volume/v3/p1"),
        ("network", "http://c:9696", "http://c:9696/v2.0"),
        ("network", "http://c:9696/v2.0/", "http://c:9696/v2.0"),
        ("image", "http://c:9292", "http://c:9292/v2"),
        ("identity", "http://c:5000/v2.0", "http://c:5000/v3"),
        ("identity", "http://c/identity", "http://c/identity/v3"),
    ],
)
def test_an_advertised_endpoint_becomes_a_base(service, advertised, base):
    """Catalogues spell the same endpoint in many ways."""
    assert versioned(service, advertised, "p1") == base


def test_version_documents_tell_microversions():
    """Nova's and Cinder's; a service without microversions tells none."""
    nova = {"version": {"id": "v2.1", "version": "2.93", "min_version": "2.1"}}
    cinder = {"versions": [{"id": "v3.0", "version": "3.70", "min_version": "3.0"}]}
    old = {"version": {"id": "v2.0", "version": "", "min_version": ""}}
    assert version_documents("http://c:8776/v3/p1") == ("http://c:8776/v3/", "http://c:8776/")
    assert microversions_of("compute", nova) == (Microversion(2, 1), Microversion(2, 93))
    assert microversions_of("volume", cinder) == (Microversion(3, 0), Microversion(3, 70))
    assert microversions_of("compute", old) is None


@pytest.mark.parametrize(
    "document",
    [
        {},
        NOT_PUBLISHED,
        {"versions": None},
        {"version": "2.93"},
        {"versions": {"values": []}},
        {"versions": ["v2.1", None]},
        {"versions": [{"name": "a page of a proxy"}]},
    ],
)
def test_an_answer_in_a_version_documents_place_is_none(document):
    """JSON of a proxy tells no version."""
    assert (is_version_document(document), microversions_of("compute", document)) == (False, None)


@pytest.mark.parametrize(("low", "high"), [("v2.1", "v2.93"), (2.1, 2.93), (None, "2.93"), ("2.1", None), ("", "2.x")])
def test_a_version_that_can_not_be_read_is_not_spoken(low, high):
    """The lowest is, then."""
    assert microversions_of("compute", {"version": {"id": "v2.1", "min_version": low, "version": high}}) is None


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 404, "body": NOT_PUBLISHED},
        {"status": 403, "body": {"error_msg": "Incorrect IAM authentication information", "error_code": "APIGW.0301"}},
        {"status": 401, "body": {"error": {"code": 401, "message": "The request requires authentication."}}},
        {"status": 400, "body": "Bad Request"},
        {"status": 302, "headers": {"Location": "https://portal.example/login"}},
        {"status": 200, "body": "<html>It works!</html>"},
        {"status": 200, "body": "{", "headers": {"Content-Type": "application/json"}},
        {"status": 200, "body": [1, 2]},
        {"status": 200, "body": {"status": "UP"}},
        {"status": 300, "body": {"choices": []}},
        {"status": 500, "body": "<html>no such route</html>"},
    ],
    ids=lambda answer: f"{answer['status']}-{str(answer.get('body', ''))[:12]}",
)
async def test_a_service_without_a_version_document_is_spoken_to_in_its_lowest_version(bench, answer):
    """At the catalogue's URL, after one look for both documents, and the token is good for the calls."""
    for path in ("/compute/(v2.1/?)?", "/volume/(v3/?)?"):
        bench.cloud.alter(path, **answer)
    for _ in range(2):
        assert "servers" in await bench.session.get(bench.call(), "compute", "/servers", dict)
        assert "volumes" in await bench.session.get(bench.call(), "volume", "/volumes", dict)
    spoken = {service: await bench.session.microversion(bench.call(), service) for service in LOWEST}
    assert (spoken, bench.cloud.control.logins()) == (LOWEST, 1)
    assert (bench.cloud.count("GET", "/compute/(v2.1/)?"), bench.cloud.count("GET", "/volume/(v3/)?")) == (2, 2)


async def test_a_check_says_that_there_is_no_version_document(bench):
    """And passes: the services work."""
    bench.cloud.alter("/compute/(v2.1/?)?", status=404, body=NOT_PUBLISHED)
    stages = {stage.name: stage for stage in await bench.cluster.check(bench.call())}
    assert all(stage.ok for stage in stages.values())
    assert "compute 2.1 (no version document), volume 3.70" in stages["catalogue"].message


def absent(cluster, method: str) -> set[str]:
    described = {capability.method: capability for capability in Abilities(cluster).describe()}
    return {f.path for f in described[f"cloudspan.v1.ServerService/{method}"].fields if f.level == ABSENT}


async def test_capabilities_follow_the_microversion(bench):
    """What only a newer Nova has is lacking once the version is known."""
    bench.cloud.alter("/compute/(v2.1/?)?", status=404, body=NOT_PUBLISHED)
    assert absent(bench.cluster, "GetServer") == set()
    await bench.session.microversion(bench.call(), "compute")
    told = {"locked", "description", "tags", "flavor_snapshot", "server_groups", "locked_reason"}
    assert absent(bench.cluster, "GetServer") == absent(bench.cluster, "ListServers") == told
    assert absent(bench.cluster, "CreateServer") == {"server.description", "server.tags", "server.hostname"}


async def test_a_new_nova_lacks_nothing(bench):
    await bench.session.microversion(bench.call(), "compute")
    assert absent(bench.cluster, "GetServer") == absent(bench.cluster, "CreateServer") == set()


async def test_the_list_of_versions_is_read_where_a_version_has_no_document(bench):
    """A gateway may publish the one and not the other."""
    bench.cloud.alter("/compute/v2.1/", status=403, body=NOT_PUBLISHED)
    assert await bench.session.microversion(bench.call(), "compute") == (2, 93)


@pytest.mark.parametrize(("status", "error"), [(503, Unreachable), (502, Unreachable), (429, RateLimited)])
async def test_a_service_that_can_not_be_asked_now_is_asked_again_later(bench, status, error):
    """It is not taken for an old one."""
    retry = {"Retry-After": "0"} if status == 429 else {}
    away = bench.cloud.alter("/compute/(v2.1/?)?", status=status, headers=retry)
    with pytest.raises(error):
        await bench.session.microversion(bench.call(), "compute")
    away.times = 0
    assert await bench.session.microversion(bench.call(), "compute") == (2, 93)


def entry(kind: str, *endpoints: tuple[str | None, str | None]) -> dict:
    """One service of a catalogue, with a public endpoint for each (region, URL)."""
    rows = [
        {"id": str(i), "interface": "public", "region": region, "region_id": region, "url": url}
        for i, (region, url) in enumerate(endpoints)
    ]
    return {"type": kind, "name": kind, "id": kind, "endpoints": rows}


def advertise(cloud, *entries: dict) -> None:
    cloud.alter("/identity/v3/auth/tokens", method="POST", set={"/token/catalog": list(entries)})


TWO_REGIONS = (
    entry("compute", ("UK1", "@ME@/compute/v2.1"), ("GRA5", "http://127.0.0.1:1/v2.1")),
    entry("network", ("GRA5", "http://127.0.0.1:1"), ("UK1", "@ME@/network")),
    entry("identity", ("UK1", "@ME@/identity")),
)


async def test_one_of_several_regions_has_to_be_named(bench, cluster_of):
    """Or servers would be of one region and networks of another: calls, check and description list the regions."""
    advertise(bench.cloud, *TWO_REGIONS)
    cluster = cluster_of(region_name=None)
    for _ in range(2):
        with pytest.raises(LoginRefused, match=r"GRA5, UK1.*region_name") as refused:
            await cluster.session.get(bench.call(), "compute", "/servers", dict)
        assert refused.value.reason == "REGION_AMBIGUOUS"
    assert "GRA5, UK1" in cluster.describe().message
    assert "GRA5, UK1" in (await cluster.check(bench.call()))[-1].message


async def test_the_region_that_is_named_is_used_for_every_service(bench, cluster_of):
    advertise(bench.cloud, *TWO_REGIONS)
    session = cluster_of(region_name="UK1").session
    assert "servers" in await session.get(bench.call(), "compute", "/servers", dict)
    assert "networks" in await session.get(bench.call(), "network", "/networks", dict)


async def test_services_in_different_regions_are_several_regions(bench, cluster_of):
    """Though none of them has a choice."""
    one, other = entry("compute", ("UK1", "@ME@/compute")), entry("network", ("GRA5", "@ME@/network"))
    advertise(bench.cloud, one, other)
    with pytest.raises(LoginRefused, match="GRA5, UK1"):
        await cluster_of(region_name=None).session.scope(bench.call())


@pytest.mark.parametrize("others", [("RegionTwo", "object-store"), ("global", "identity"), ("RegionTwo", "volumev2")])
async def test_the_only_region_of_the_services_in_use_need_not_be_named(bench, cluster_of, others):
    """What is not used, and Keystone, don't count."""
    region, kind = others
    compute = entry("compute", ("RegionOne", "@ME@/compute/v2.1"))
    advertise(bench.cloud, compute, entry(kind, (region, "http://127.0.0.1:1/")))
    cluster = cluster_of(region_name=None)
    assert "servers" in await cluster.session.get(bench.call(), "compute", "/servers", dict)
    assert cluster.describe().region == "RegionOne"


@pytest.mark.parametrize("region", [None, ""])
async def test_a_service_without_a_region_serves_all_of_them(bench, cluster_of, region):
    """Keystone usually, and any other; an endpoint of the region itself goes before."""
    compute = entry("compute", (region, "http://127.0.0.1:1/v2.1"), ("UK1", "@ME@/compute/v2.1"))
    services = compute, entry("network", (region, "@ME@/network")), entry("identity", (region, "@ME@/identity"))
    advertise(bench.cloud, *services)
    for settings in ({"region_name": "UK1"}, {"region_name": None}):
        session = cluster_of(**settings).session
        assert "servers" in await session.get(bench.call(), "compute", "/servers", dict)
        assert "networks" in await session.get(bench.call(), "network", "/networks", dict)
        assert "project" in await session.get(bench.call(), "identity", f"/projects/{session.project_id}", dict)


async def test_keystone_is_where_the_login_was_when_the_region_has_none(bench, cluster_of):
    """It gave the token, whatever its catalogue says of itself."""
    advertise(bench.cloud, entry("identity", ("RegionTwo", "http://127.0.0.1:1/v3")))
    session = cluster_of(region_name="RegionOne").session
    await session.scope(bench.call())
    assert "project" in await session.get(bench.call(), "identity", f"/projects/{session.project_id}", dict)


@pytest.mark.parametrize("url", [None, "", "None", "cinder:8776", "http://", "http://[/v3", 5])
async def test_a_service_without_a_url_is_absent_and_the_others_work(bench, url):
    """In the check as well as for its calls."""
    bench.cloud.alter(
        "/identity/v3/auth/tokens",
        method="POST",
        set={"/token/catalog/2/endpoints/*/url": url},
    )
    with pytest.raises(Unsupported, match="no volume service in region RegionOne") as absent:
        await bench.session.get(bench.call(), "volume", "/volumes", dict)
    assert absent.value.reason == "NO_SUCH_SERVICE"
    assert "servers" in await bench.session.get(bench.call(), "compute", "/servers", dict)
    stages = {stage.name: stage for stage in await bench.cluster.check(bench.call())}
    assert all(stage.ok for stage in stages.values())
    assert "not there: volume" in stages["catalogue"].message


@pytest.mark.parametrize(
    "catalog",
    [None, [None, "x"], [{"type": "compute", "endpoints": None}], [{"endpoints": [None]}], [{"type": 5}], {}],
)
async def test_an_odd_catalogue_costs_its_own_entries(bench, catalog):
    """The login is good; what can't be read is not there."""
    bench.cloud.alter("/identity/v3/auth/tokens", method="POST", set={"/token/catalog": catalog})
    assert set((await bench.session.scope(bench.call())).endpoints) == {"identity"}


async def test_a_region_that_does_not_exist_is_named_with_those_that_do(bench, cluster_of):
    with pytest.raises(Unsupported, match="RegionOen; its regions are RegionOne"):
        await cluster_of(region_name="RegionOen").session.get(bench.call(), "compute", "/servers", dict)


@pytest.mark.parametrize(
    ("interface", "chosen"),
    [
        (["internal", "public"], "internal"),
        (["admin", "public"], "public"),
        (["publicURL"], "public"),
        ("internalURL", "internal"),
        (None, "public"),
    ],
)
async def test_the_first_interface_of_the_list_that_the_catalogue_has_is_used(bench, cluster_of, interface, chosen):
    """Service by service; one alone, its old name, and the usual one."""
    bench.cloud.alter(
        "/identity/v3/auth/tokens",
        method="POST",
        set={
            "/token/catalog/4/endpoints": [
                {"interface": name, "region": "RegionOne", "region_id": "RegionOne", "url": f"@ME@/{name}/v2.1"}
                for name in ("public", "internal")
            ]
        },
    )
    scope = await cluster_of(interface=interface).session.scope(bench.call())
    assert scope.base("compute") == f"{bench.cloud.base_url}/{chosen}/v2.1"
