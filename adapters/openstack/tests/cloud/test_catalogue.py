"""Where services are, by the catalogue and clouds.yaml, and which microversions they are spoken to in."""

from __future__ import annotations

import pytest

from cloudspan_common.errors import RateLimited, Unreachable
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
