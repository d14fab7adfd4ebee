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
from cloudspan_common.errors import InvalidRequest, LoginRefused, Unreachable
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
