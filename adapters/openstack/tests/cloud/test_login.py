"""Reading clouds.yaml, logging in, and what the check of a cluster says when something on the way is wrong."""

from __future__ import annotations

import asyncio
import socket
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cloudspan.v1 import cluster_pb2
from cloudspan_common.errors import Forbidden, InvalidRequest, LoginRefused, PlatformFault, RateLimited, Unreachable
from cloudspan_openstack.cloud.clouds import read_cloud

REF_TEXT = "platforms/openstack/clusters/east"


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


async def test_a_wrong_password_is_refused_and_not_tried_again(bench, cluster_of):
    """Accounts lock after a handful of wrong logins."""
    cluster = cluster_of(auth={"password": "wrong"})
    for _ in range(3):
        with pytest.raises(LoginRefused):
            await cluster.session.scope(bench.call())
    assert bench.cloud.control.logins() == 1
    told = cluster.describe()
    assert (told.state, told.token.failures) == (cluster_pb2.Cluster.STATE_LOGIN_REFUSED, 1)
    assert "wrong" not in str(told)


def keystone_says(status: int, title: str, message: str) -> dict:
    return {"status": status, "body": {"error": {"code": status, "title": title, "message": message}}}


SCOPED = "Error during application credential authentication: Application credentials cannot request a scope."
NO_PROJECT = {
    "token": {
        "methods": ["password"],
        "user": {"id": "u", "name": "admin", "domain": {"id": "default", "name": "Default"}},
        "system": {"all": True},
        "roles": [{"id": "r", "name": "admin"}],
        "expires_at": "2130-01-01T00:00:00.000000Z",
        "issued_at": "2026-11-28T05:00:00.000000Z",
        "catalog": [],
    }
}


@pytest.mark.parametrize(
    ("answer", "told", "reason"),
    [
        (keystone_says(401, "Unauthorized", SCOPED), SCOPED, "CLUSTER_LOGIN_REFUSED"),
        (keystone_says(401, "Unauthorized", "The account is locked"), "account is locked", "CLUSTER_LOGIN_REFUSED"),
        (keystone_says(404, "Not Found", "Could not find project: x."), "find project: x", "CLUSTER_LOGIN_REFUSED"),
        (keystone_says(404, "Not Found", "Could not find Application Credential: y."), "y", "CLUSTER_LOGIN_REFUSED"),
        (keystone_says(400, "Bad Request", "Expecting to find domain in project."), "domain", "CLUSTER_LOGIN_REFUSED"),
        (keystone_says(403, "Forbidden", "User is disabled here"), "disabled here", "FORBIDDEN"),
        (
            {"status": 201, "headers": {"X-Subject-Token": "t1"}, "body": NO_PROJECT},
            "the login has no project",
            "NO_PROJECT_SCOPE",
        ),
    ],
)
async def test_a_refused_login_tells_the_clouds_reason_everywhere(bench, answer, told, reason):
    """To the first call and to those that are spared a login, in the check and in the description."""
    login = bench.cloud.alter("/identity/v3/auth/tokens", method="POST", **answer)
    for _ in range(2):
        with pytest.raises((LoginRefused, Forbidden), match=told) as refused:
            await bench.session.get(bench.call(), "compute", "/servers", dict)
        assert refused.value.reason == reason
    last, shown = (await bench.cluster.check(bench.call()))[-1], bench.cluster.describe()
    assert (last.name, last.reason, told in last.message) == ("login", reason, True)
    assert (shown.state, told in shown.message) == (cluster_pb2.Cluster.STATE_LOGIN_REFUSED, True)
    assert told in shown.token.last_error
    assert login.hits == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"status": 404, "body": "<html>Not Found</html>"}, "PLATFORM_FAULT"),
        ({"status": 404, "body": {"error_msg": "not published", "error_code": "APIGW.0101"}}, "PLATFORM_FAULT"),
        ({"status": 200, "body": "<html>It works!</html>"}, "BAD_LOGIN"),
        ({"status": 201, "body": NO_PROJECT}, "BAD_LOGIN"),
        ({"status": 201, "body": [], "headers": {"X-Subject-Token": "t1"}}, "BAD_LOGIN"),
        ({"status": 201, "body": {"token": None}, "headers": {"X-Subject-Token": "t1"}}, "BAD_LOGIN"),
        ({"status": 201, "body": {"token": {}}, "headers": {"X-Subject-Token": "t1"}}, "BAD_LOGIN"),
        ({"status": 503, "body": "<html>busy</html>"}, "UNREACHABLE"),
    ],
)
async def test_a_login_that_something_else_answers_is_not_taken_for_a_refusal(bench, answer, reason):
    """The credentials may be good: it is tried again soon."""
    bench.cloud.alter("/identity/v3/auth/tokens", method="POST", **answer)
    with pytest.raises((PlatformFault, Unreachable)) as caught:
        await bench.session.scope(bench.call())
    assert (caught.value.reason, bench.cluster.describe().state) == (reason, cluster_pb2.Cluster.STATE_UNREACHABLE)


@pytest.mark.parametrize(("status", "error"), [(503, Unreachable), (429, RateLimited)])
async def test_a_keystone_that_asks_for_a_pause_gets_it(bench, status, error):
    """Nobody logs in before, and callers are told when."""
    login = bench.cloud.alter("/identity/v3/auth/tokens", method="POST", status=status, headers={"Retry-After": "90"})
    for _ in range(2):
        with pytest.raises(error) as caught:
            await bench.session.scope(bench.call())
        assert caught.value.retry_after_s == pytest.approx(90, abs=5)
    assert login.hits == 1


async def test_a_redirected_login_sends_no_password_there(bench, cloud):
    """And says where it would have gone."""
    elsewhere = cloud.alter("/elsewhere/v3/auth/tokens", status=200, body={})
    cloud.alter("/identity/v3/auth/tokens", status=308, headers={"Location": "@ME@/elsewhere/v3/auth/tokens"})
    with pytest.raises(PlatformFault, match=f"redirected to {cloud.base_url}/elsewhere.*auth_url") as caught:
        await bench.session.scope(bench.call())
    assert (caught.value.reason, elsewhere.hits) == ("REDIRECTED", 0)


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 404, "body": "<html>Not Found</html>"},
        {"status": 403, "body": {"error_msg": "Incorrect IAM authentication information"}},
        {"status": 200, "body": "<html>It works!</html>"},
        {"status": 301, "headers": {"Location": "@ME@/elsewhere"}},
    ],
)
@pytest.mark.parametrize("path", ["/identity", "/identity/", "/identity/v3"])
async def test_a_keystone_without_a_version_document_is_logged_in_to_at_auth_url(bench, cluster_of, answer, path):
    """Its v3 is spoken to, whether auth_url says so or not."""
    bench.cloud.alter("/identity/?(v3/?)?", **answer)
    scope = await cluster_of(auth={"auth_url": bench.cloud.base_url + path}).session.scope(bench.call())
    assert scope.project_name == "demo"


async def test_an_application_credential_logs_in(bench, cluster_of):
    """Any v3 plugin of keystoneauth does."""
    scope = await cluster_of("fake-app").session.scope(bench.call())
    assert scope.project_name == "demo"


async def test_what_the_login_told_is_described(bench):
    """From memory, without asking the cloud."""
    connecting = bench.cluster.describe().state
    scope = await bench.session.scope(bench.call())
    told = bench.cluster.describe()
    assert (connecting, told.state) == (cluster_pb2.Cluster.STATE_CONNECTING, cluster_pb2.Cluster.STATE_READY)
    assert (told.project, told.token.logins) == (f"{REF_TEXT}/projects/{scope.project_id}", 1)


async def test_an_endpoint_override_replaces_the_catalogue(bench, cluster_of):
    """As clouds.yaml says it for other tools."""
    cluster = cluster_of(compute_endpoint_override=f"http://127.0.0.1:{closed_port()}/v2.1")
    with pytest.raises(Unreachable) as caught:
        await cluster.session.get(bench.call(), "compute", "/flavors", dict, microversion="2.1")
    assert caught.value.reason == "CONNECTION_REFUSED"


def test_a_cloud_that_is_not_there_is_named(clouds_yaml, tmp_path):
    """With the place to look at."""
    with pytest.raises(InvalidRequest, match="'nowhere'"):
        read_cloud("nowhere", clouds_yaml)
    with pytest.raises(InvalidRequest, match="no such file"):
        read_cloud("fake", tmp_path / "none.yaml")


async def test_two_credentials_have_two_revisions_and_one_digest(bench, cluster_of):
    """A rotated password is another token, not another cluster."""
    changed = cluster_of(auth={"password": "next"})
    assert bench.cluster.digest == changed.digest
    assert bench.cluster._cloud.revision != changed._cloud.revision


async def test_a_healthy_cluster_passes_every_stage(bench):
    """And says what it found."""
    stages = await bench.cluster.check(bench.call())
    assert [(stage.name, stage.ok) for stage in stages] == [
        (name, True) for name in ("dns", "connect", "login", "catalogue", "permissions", "clock")
    ]
    assert "roles member" in stages[2].message


async def test_a_check_ends_at_the_stage_that_fails(bench, cluster_of):
    """Refused connection, unknown host, wrong password, each at its own stage."""
    found = []
    for auth in (
        {"auth_url": f"http://127.0.0.1:{closed_port()}/identity/v3"},
        {"auth_url": "http://no-such-host.invalid/v3"},
        {"auth_url": bench.cloud.auth_url, "password": "wrong"},
    ):
        last = (await cluster_of(auth=auth).check(bench.call()))[-1]
        found.append((last.name, last.ok, last.reason))
    assert found == [
        ("connect", False, "CONNECTION_REFUSED"),
        ("dns", False, "DNS_FAILED"),
        ("login", False, "CLUSTER_LOGIN_REFUSED"),
    ]


async def test_a_service_that_refuses_shows_at_permissions(bench):
    """The others are tried too."""
    bench.cloud.control.fault("server_error", service="volume", status=500)
    last = (await bench.cluster.check(bench.call()))[-1]
    assert (last.name, last.ok) == ("catalogue", False) or (last.name, last.ok) == ("permissions", False)
    assert "volume" in last.message


@pytest.fixture
async def tls_port(tmp_path):
    """A server with a certificate that nobody signed but itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(hours=1), now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)

    async def answer(reader, writer):
        await reader.read(1)
        writer.close()

    server = await asyncio.start_server(answer, "localhost", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def test_an_untrusted_certificate_says_so_and_what_to_do(bench, cluster_of, tls_port, tmp_path):
    """At login and in the check; with the CA file in clouds.yaml the TLS stage passes."""
    auth = {"auth_url": f"https://localhost:{tls_port}/v3"}
    cluster = cluster_of(auth=auth)
    with pytest.raises(Unreachable, match="set cacert") as caught:
        await cluster.session.scope(bench.call())
    stages = await cluster.check(bench.call())
    assert (caught.value.reason, stages[-1].name, stages[-1].ok) == ("TLS_CERTIFICATE", "tls", False)
    trusting = await cluster_of(auth=auth, cacert=str(tmp_path / "ca.pem")).check(bench.call())
    assert [(stage.name, stage.ok) for stage in trusting][:3] == [("dns", True), ("connect", True), ("tls", True)]
