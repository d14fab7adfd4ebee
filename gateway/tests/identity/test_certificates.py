"""Callers by their client certificates, over real TLS."""

from __future__ import annotations

import datetime as dt

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from gateway.tests.accesses import Known
from gateway.tests.callers import refused
from gateway.tests.calls import call

from cloudspan.v1 import platform_pb2, platform_pb2_grpc
from cloudspan_common import grpcs
from cloudspan_common.errors import Unauthenticated
from cloudspan_common.testing import FakeClock
from cloudspan_common.trial_certificates import Authority
from cloudspan_gateway.access.principal import Method
from cloudspan_gateway.identity.certificates import CertificateAuthenticator, read_certificate

CODE = grpc.StatusCode
PATH = "/cloudspan.v1.PlatformService/ListPlatforms"
NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def pem(*alternatives: x509.GeneralName, common_name: str = "ci.example") -> bytes:
    """A certificate that says what a test wants; nobody checks who signed it here."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, NOW, NOW + dt.timedelta(days=1))
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def names(*alternatives: x509.GeneralName) -> tuple[str, ...]:
    return read_certificate(pem(*alternatives)).names


def test_only_dns_names_are_identities_in_lower_case_and_each_once():
    """No common name, address, e-mail or URI; `localhost` says where a process runs and not who it is."""
    uri, mail = x509.UniformResourceIdentifier("spiffe://ci.example"), x509.RFC822Name("root@ci.example")
    dns = [x509.DNSName(name) for name in ("CI.example", "localhost", "ci.example", "build_1.example")]
    assert names(uri, mail, *dns) == ("ci.example", "build_1.example")
    assert names(uri, mail) == names() == ()


@pytest.mark.parametrize(
    "odd",
    ["*", "*.example", "", ".", "a..b", "a b", "a/b", "a\x00.example", "-a", "a-", "certificates/ci", "a" * 254, "a\n"],
)
def test_a_name_that_could_mean_several_callers_is_none(odd):
    """A wildcard, or what would be read as something else where names are compared."""
    assert names(x509.DNSName(odd), x509.DNSName("ci.example")) == ("ci.example",)


def test_a_certificate_is_read_once_for_all_calls_of_its_connections():
    """By its bytes."""
    read_certificate.cache_clear()
    shown = pem(x509.DNSName("ci.example"))
    assert read_certificate(shown) is read_certificate(bytes(shown))
    assert read_certificate.cache_info().misses == 1


async def test_a_certificate_is_a_principal_until_it_expires():
    """Its connection may live longer."""
    clock = FakeClock(now=NOW.timestamp())
    shown = read_certificate(pem(x509.DNSName("ci.example"), x509.DNSName("build.example")))
    asking = call(PATH)
    asking.certificate = lambda: shown
    found = await CertificateAuthenticator(clock).authenticate(asking)
    assert found.members == ("certificates/ci.example", "certificates/build.example")
    assert (found.method, found.credential) == (Method.METHOD_CERTIFICATE, f"certificate/{shown.fingerprint}")
    assert found.expire_time == NOW.timestamp() + 86_400
    await clock.advance(86_400)
    with pytest.raises(Unauthenticated, match="expired since its connection was opened"):
        await CertificateAuthenticator(clock).authenticate(asking)


@pytest.fixture
def tls(tmp_path):
    """The files of a gateway that asks for certificates, and of whom a test names."""
    authority = Authority.new()
    authority.write(tmp_path)

    def of(identity, authority=authority, **options):
        authority.issue(identity, tmp_path, **options)
        return grpcs.Tls(tmp_path / f"{identity}.pem", tmp_path / f"{identity}.key", tmp_path / "authority.pem")

    return of


def mutual(tls) -> dict[str, object]:
    own = tls("gateway.cloudspan")
    files = {"tls_certificate": own.certificate, "tls_key": own.key, "tls_authority": own.authority}
    return {**files, "tls_listen": "mutual", "auth": ("mtls",)}


def list_platforms(channel, *metadata):
    stub = platform_pb2_grpc.PlatformServiceStub(channel)
    return stub.ListPlatforms(platform_pb2.ListPlatformsRequest(), metadata=metadata)


async def test_a_caller_is_who_its_certificate_names(deployment, tls):
    """The rest is what its roles allow."""
    deployment.access_of, deployment.tls = Known(**{"ci.example": "openstack"}), tls("ci.example")
    async with deployment.opened(**mutual(tls)):
        await list_platforms(deployment.channel, ("x-tenant", "acme"))
        ((principal, tenant),) = deployment.access_of.asked
        assert (principal.subject, tenant) == ("certificates/ci.example", "acme")
        other = grpcs.new_channel(f"127.0.0.1:{deployment.gateway.server.port}", tls("other.example"))
        async with other:
            error = await refused(list_platforms(other))
    assert error.code() is CODE.PERMISSION_DENIED


async def test_a_bad_token_is_an_error_whatever_the_certificate_says(deployment, tls):
    """Who sends a credential means that one."""
    deployment.access_of, deployment.tls = Known(**{"ci.example": "openstack"}), tls("ci.example")
    async with deployment.opened(**mutual(tls)):
        for bad in (("authorization", "Bearer forged"), ("x-auth-session", "forged"), ("authorization", "")):
            error = await refused(list_platforms(deployment.channel, bad))
            assert error.code() is CODE.UNAUTHENTICATED
        assert deployment.access_of.asked == []


async def test_a_common_name_is_no_identity(deployment, tls):
    """RFC 9525, section 2."""
    deployment.access_of, deployment.tls = Known(**{"ci.example": "openstack"}), tls("ci.example", names=False)
    async with deployment.opened(**mutual(tls)):
        error = await refused(list_platforms(deployment.channel))
    assert error.code() is CODE.UNAUTHENTICATED
    assert "no DNS name among its subject alternative names" in error.details()


async def test_a_certificate_of_another_authority_does_not_connect(deployment, tls):
    """Whatever it names."""
    deployment.access_of = Known(**{"ci.example": "openstack"})
    deployment.tls = tls("ci.example", Authority.new("somebody else"))
    async with deployment.opened(**mutual(tls)):
        error = await refused(list_platforms(deployment.channel))
    assert error.code() is CODE.UNAVAILABLE
    assert deployment.access_of.asked == []
