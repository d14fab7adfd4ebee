"""What callers see when an OpenStack is down, slow, overloaded, lying or shut: through gateway and adapter."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager

import pytest
from tests.harness.certificates import self_signed
from tests.harness.clouds import openstack_entry
from tests.harness.openstack import fake, list_servers, ref, serving

from cloudspan.client import (
    CloudspanError,
    OutOfTime,
    PlatformFault,
    PreconditionFailed,
    QuotaExceeded,
    Unreachable,
)
from cloudspan.v1 import cluster_pb2, common_pb2, network_pb2, server_pb2, volume_pb2
from cloudspan_openstack_fake import Body, Kind

pytestmark = pytest.mark.faults

Status = common_pb2.ClusterStatus
SERVERS = r"^/v2\.1/servers"


@asynccontextmanager
async def _one(tmp_path, **more):
    """One cloud, east, behind a gateway."""
    async with fake(**more) as cloud, serving({"east": openstack_entry(cloud)}, tmp_path) as made:
        yield cloud, made


async def _failure(call):
    with pytest.raises(CloudspanError) as raised:
        await call
    return raised.value


async def test_a_cloud_that_is_down_is_reported_unreachable(tmp_path):
    """The error names the cluster and can be retried; a wildcard list of nothing else fails as well."""
    async with _one(tmp_path) as (cloud, made):
        await list_servers(made)
        await cloud.stop()
        error = await _failure(list_servers(made, timeout=5))
        assert isinstance(error, Unreachable)
        assert error.metadata["cluster"] == "east"
        everywhere = server_pb2.ListServersRequest(parent="platforms/-/clusters/-")
        assert (await _failure(made.client.servers.ListServers(everywhere))).reason == "ALL_UNREACHABLE"


async def test_a_cloud_that_is_down_from_the_start_is_found_once_it_comes(tmp_path):
    """The adapter serves at once, tells why it can't, and logs in by itself later."""
    cloud = fake()
    async with cloud:
        told = openstack_entry(cloud)
    async with serving({"east": told}, tmp_path, logged_in=False) as made:
        assert isinstance(await _failure(list_servers(made, timeout=2)), Unreachable)
        [cluster] = (await made.client.clusters.ListClusters(cluster_pb2.ListClustersRequest())).clusters
        assert cluster.state in (cluster_pb2.Cluster.STATE_UNREACHABLE, cluster_pb2.Cluster.STATE_CONNECTING)
        back = fake(port=int(cloud.base_url.rpartition(":")[2]))
        async with back:
            await made.ready()
            await list_servers(made)


async def test_a_call_to_a_cloud_that_hangs_ends_with_the_callers_deadline(tmp_path):
    """The error comes within the deadline, with our words."""
    async with _one(tmp_path) as (cloud, made):
        await list_servers(made)
        cloud.control.fault(Kind.HANG, service="compute")
        began = time.monotonic()
        error = await _failure(list_servers(made, timeout=0.5))
        assert isinstance(error, OutOfTime)
        assert 0.3 < time.monotonic() - began < 0.6


@pytest.mark.parametrize(
    ("status", "body", "kind", "reason"),
    [
        (500, Body.NATIVE, PlatformFault, "NATIVE_FAULT"),
        (502, Body.HTML, Unreachable, "BAD_GATEWAY"),
        (503, Body.TEXT, Unreachable, "SERVICE_UNAVAILABLE"),
        (503, Body.EMPTY, Unreachable, "SERVICE_UNAVAILABLE"),
        (504, Body.HTML, Unreachable, "GATEWAY_TIMEOUT"),
    ],
)
async def test_errors_of_a_service_and_of_a_proxy_differ(tmp_path, status, body, kind, reason):
    """By status, whatever the body is; the status is in the error."""
    async with _one(tmp_path) as (cloud, made):
        server = f"{ref()}/servers/{cloud.control.seed(servers=1)['servers'][0]}"
        # Get asks once and is asked again three times: fewer failures than open the breaker.
        cloud.control.fault(Kind.SERVER_ERROR, service="compute", path=SERVERS, status=status, body=body)
        error = await _failure(made.client.servers.GetServer(server_pb2.GetServerRequest(name=server), timeout=5))
        assert isinstance(error, kind)
        assert (error.reason, error.metadata["http_status"]) == (reason, str(status))
        assert error.metadata["cluster"] == "east"
        assert "<html" not in error.message


async def test_a_service_that_goes_on_failing_is_left_alone_for_a_while(tmp_path):
    """The breaker opens, says when it will ask again, and asks nobody meanwhile; then all is well again."""
    async with _one(tmp_path) as (cloud, made):
        cloud.control.fault(Kind.SERVER_ERROR, service="compute", path=SERVERS, status=503)
        errors = [await _failure(list_servers(made, timeout=5)) for _ in range(3)]
        assert isinstance(errors[-1], Unreachable)
        assert errors[-1].reason == "BREAKER_OPEN"
        assert 0 < errors[-1].retry_after_s <= 2.2
        cloud.control.clear_requests()
        await asyncio.gather(*(_failure(list_servers(made, timeout=0.2)) for _ in range(20)))
        assert cloud.control.count("compute") <= 1
        cloud.control.clear_faults()
        async with asyncio.timeout(10):
            while not await _is_back(made):  # noqa: ASYNC110 - a breaker has no event
                await asyncio.sleep(0.05)


async def _is_back(made):
    try:
        await list_servers(made)
    except Unreachable:
        return False
    return True


@pytest.mark.parametrize(
    ("fault", "more"),
    [
        (Kind.CLOSE, {}),
        (Kind.CUT_BODY, {}),
        (Kind.SERVER_ERROR, {"status": 503}),
        (Kind.SERVER_ERROR, {"status": 502, "body": Body.HTML}),
        (Kind.RATE_LIMIT, {"retry_after": "0"}),
        (Kind.LOST_REPLY, {}),
    ],
)
async def test_a_read_that_fails_once_is_read_again(tmp_path, fault, more):
    """The caller notices nothing."""
    async with _one(tmp_path) as (cloud, made):
        cloud.control.seed(servers=3)
        met = cloud.control.fault(fault, service="compute", path=SERVERS, count=1, **more)
        answer = await list_servers(made)
        assert (len(answer.servers), met.hits) == (3, 1)


async def test_too_many_requests_are_reported_with_the_time_to_wait(tmp_path):
    """A Retry-After beyond the deadline is not waited for, and nobody else asks before it is over."""
    async with _one(tmp_path) as (cloud, made):
        await list_servers(made)
        cloud.control.fault(Kind.RATE_LIMIT, service="compute", path=SERVERS, retry_after="30")
        cloud.control.clear_requests()
        errors = await asyncio.gather(*(_failure(list_servers(made, timeout=2)) for _ in range(20)))
        assert {(error.code, error.reason) for error in errors} == {(QuotaExceeded.default_code, "RATE_LIMITED")}
        assert all(20 < error.retry_after_s <= 31 for error in errors)
        assert cloud.control.count("compute", path=SERVERS) <= 20
        cloud.control.clear_requests()
        await _failure(list_servers(made, timeout=2))
        assert cloud.control.count("compute", path=SERVERS) == 0


@pytest.mark.parametrize(("fault", "reason"), [(Kind.HTML_200, "NOT_JSON"), (Kind.TRUNCATED_JSON, "TRUNCATED_JSON")])
async def test_an_answer_that_is_not_json_is_a_fault_of_the_platform(tmp_path, fault, reason):
    """A proxy's login page with status 200, or half a document, is never an empty list."""
    async with _one(tmp_path) as (cloud, made):
        cloud.control.seed(servers=3)
        cloud.control.fault(fault, service="compute", path=SERVERS)
        error = await _failure(list_servers(made, timeout=5))
        assert isinstance(error, PlatformFault)
        assert error.reason == reason


async def test_a_wrong_password_is_tried_once_however_many_call(tmp_path):
    """Fifty callers at once and fifty after them: one login, so that no account is locked."""
    async with fake() as cloud:
        entries = {"east": openstack_entry(cloud, password="wrong")}
        async with serving(entries, tmp_path, logged_in=False) as made:
            for _ in range(2):
                errors = await asyncio.gather(*(_failure(list_servers(made, timeout=5)) for _ in range(50)))
                assert {(error.code, error.reason) for error in errors} == {
                    (PreconditionFailed.default_code, "CLUSTER_LOGIN_REFUSED")
                }
            assert cloud.control.logins() == 1
            assert made.clusters["east"].describe().state == cluster_pb2.Cluster.STATE_LOGIN_REFUSED


async def test_an_untrusted_certificate_is_named_and_gets_no_password(tmp_path):
    """Before a byte is sent."""
    _, context = self_signed(tmp_path)
    heard = []

    async def hear(reader, writer):
        heard.append(await reader.read())
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    cloud = fake()
    entries = {"east": openstack_entry(cloud, auth_url=f"https://127.0.0.1:{port}/identity/v3")}
    async with server, serving(entries, tmp_path, logged_in=False) as made:
        error = await _failure(list_servers(made, timeout=5))
        assert isinstance(error, Unreachable)
        assert error.reason == "TLS_CERTIFICATE"
        assert "cacert" in error.message
        assert not any(heard)


@pytest.mark.parametrize("fault", [Kind.HANG, Kind.CLOSE, Kind.SERVER_ERROR, Kind.RATE_LIMIT])
async def test_one_failing_cloud_slows_no_call_to_another_in_the_same_adapter(tmp_path, fault):
    """A hundred calls wait for the ill one while the other answers."""
    async with fake("east") as east, fake("west") as west:
        entries = {"east": openstack_entry(east), "west": openstack_entry(west)}
        async with serving(entries, tmp_path) as made:
            await list_servers(made, "west")
            east.control.fault(fault, service="compute")
            doomed = [asyncio.create_task(_failure(list_servers(made, timeout=8))) for _ in range(100)]
            await asyncio.sleep(0.05)
            beside_s = await _slowest_s(made)
            for task in doomed:
                task.cancel()
            await asyncio.gather(*doomed, return_exceptions=True)
            assert beside_s < 4, "a queue behind the ill cloud would take its callers' eight seconds"
            answer = await made.client.servers.ListServers(
                server_pb2.ListServersRequest(parent="platforms/-/clusters/-"), timeout=2
            )
            assert list(answer.unreachable) == [ref("east")]


async def _slowest_s(made, calls=20):
    took = []
    for _ in range(calls):
        began = time.perf_counter()
        await list_servers(made, "west", timeout=5)
        took.append(time.perf_counter() - began)
    return max(took)


@pytest.mark.parametrize("scope", ["this", "all"])
async def test_a_revoked_token_under_fifty_callers_costs_one_login_and_no_call(tmp_path, scope):
    """Revoked alone, or with every token of its second, which kills the next one too if it comes too soon."""
    async with _one(tmp_path) as (cloud, made):
        cloud.control.seed(servers=5)
        await list_servers(made)
        before = cloud.control.logins()
        cloud.control.fault(Kind.REVOKED_TOKEN, service="compute", count=1, scope=scope)
        answers = await asyncio.gather(*(list_servers(made, timeout=10) for _ in range(50)))
        assert {len(answer.servers) for answer in answers} == {5}
        assert cloud.control.logins() - before <= (1 if scope == "this" else 2)


# ---------------------------------------------------------------------- pages that lie

LISTED = {
    "servers": ("servers", "ListServers", server_pb2.ListServersRequest, "compute", SERVERS),
    "networks": ("networks", "ListNetworks", network_pb2.ListNetworksRequest, "network", r"^/v2\.0/networks"),
    "volumes": ("volumes", "ListVolumes", volume_pb2.ListVolumesRequest, "volume", "/volumes/detail"),
}


async def _everything(made, kind, page_size):
    """List to the end; return the ids and whether every page claimed to be complete."""
    stub, method, request, _, _ = LISTED[kind]
    listing = made.client.each(getattr(getattr(made.client, stub), method), request(parent=ref(), page_size=page_size))
    ids = [item.name.rpartition("/")[2] async for item in listing]
    return ids, all(status.state == Status.STATE_OK for status in listing.cluster_status)


@pytest.mark.parametrize("kind", LISTED)
@pytest.mark.parametrize("fault", [Kind.HALF_PAGE, Kind.MISSING_NEXT])
async def test_a_page_without_its_next_link_does_not_end_a_listing_in_silence(tmp_path, kind, fault):
    """Everything is there, or the answer says that it may not be."""
    async with _one(tmp_path) as (cloud, made):
        _, _, _, service, path = LISTED[kind]
        seeded = cloud.control.seed(**{kind: 60})[kind]
        met = cloud.control.fault(fault, service=service, path=path, skip=1, count=1)
        ids, complete = await _everything(made, kind, 20)
        assert met.hits == 1
        assert set(seeded) <= set(ids) or not complete
        assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("kind", LISTED)
async def test_a_page_that_links_to_itself_ends_in_an_error_and_not_in_a_loop(tmp_path, kind):
    """Or in the whole list: our own markers do not follow the link."""
    async with _one(tmp_path) as (cloud, made):
        _, _, _, service, path = LISTED[kind]
        seeded = cloud.control.seed(**{kind: 60})[kind]
        cloud.control.fault(Kind.REPEATED_MARKER, service=service, path=path)
        async with asyncio.timeout(10):
            ids, _ = await _everything(made, kind, 20)
        assert set(seeded) <= set(ids)
        assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("kind", LISTED)
async def test_a_deleted_marker_neither_loses_nor_repeats_what_is_left(tmp_path, kind):
    """The row at the end of the first page goes before the second is asked for."""
    async with _one(tmp_path) as (cloud, made):
        seeded = cloud.control.seed(**{kind: 30})[kind]
        stub, method, kind_of_request, _, _ = LISTED[kind]
        list_page = getattr(getattr(made.client, stub), method)
        request = kind_of_request(parent=ref(), page_size=10)
        first = await list_page(request)
        names = [item.name.rpartition("/")[2] for item in getattr(first, stub)]
        _forget(cloud, kind, names[-1])
        request.page_token = first.next_page_token
        rest, again = [], True
        while again:
            answer = await list_page(request)
            rest += [item.name.rpartition("/")[2] for item in getattr(answer, stub)]
            request.page_token, again = answer.next_page_token, bool(answer.next_page_token)
        assert set(seeded) - {names[-1]} <= {*names, *rest}
        assert len(set(names + rest)) == len(names + rest)


def _forget(cloud, kind, row_id):
    """Remove a row behind everybody's back, as another tool's delete does."""
    row = getattr(cloud.store, kind).remove(row_id)
    if kind == "servers":
        cloud.store.dead_servers[row_id] = row
