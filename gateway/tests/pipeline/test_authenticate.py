"""Who asks: which credential decides, what a caller without one may do, and that none ever leaves the gateway."""

from __future__ import annotations

import grpc
import pytest
from gateway.tests.accesses import Known, Tokens
from gateway.tests.callers import get_server, refused
from gateway.tests.calls import call
from gateway.tests.hand_made_adapter import GET_SERVER, TOOLS, Say
from structlog.testing import capture_logs

from cloudspan.v1 import session_pb2, session_pb2_grpc
from cloudspan_common.errors import Unauthenticated
from cloudspan_gateway.access.access import NOTHING, OpenAccess
from cloudspan_gateway.access.principal import ANONYMOUS
from cloudspan_gateway.call import Certificate
from cloudspan_gateway.identity.certificates import CertificateAuthenticator
from cloudspan_gateway.pipeline.authenticate import Authenticate

CODE = grpc.StatusCode
CREATE_SESSION = "/cloudspan.v1.SessionService/CreateSession"
CI = Certificate(("ci.example",), "f" * 64)
CANARY = "canary-7f3a"


async def passed(stage, path=GET_SERVER, *metadata, certificate=None):
    """The call as the stages behind this one see it."""
    asking = call(path, metadata=metadata)
    asking.certificate = lambda: certificate
    seen = []

    async def proceed(inner):
        seen.append(inner)

    await stage(asking, proceed)
    return seen[0]


def stage(**users):
    return Authenticate((CertificateAuthenticator(), Tokens(**users)), Known(alice="openstack", **{"ci.example": ""}))


async def test_an_open_gateway_asks_nobody_and_believes_the_tenant():
    """Whatever the metadata is."""
    seen = await passed(Authenticate(), GET_SERVER, ("authorization", "nonsense"), ("x-tenant", "t" * 99))
    assert seen.principal is ANONYMOUS
    assert isinstance(seen.access, OpenAccess)
    assert seen.access.tenant == "t" * 64


async def test_a_token_wins_over_the_certificate_and_a_bad_one_is_never_forgiven():
    """Who sends one means that one."""
    good, bad = ("x-auth-session", "s_good"), ("authorization", "Bearer s_bad")
    found = await passed(stage(s_good="alice"), GET_SERVER, good, certificate=CI)
    assert found.principal.subject == "users/alice"
    for metadata in (bad, ("authorization", "Bearer other"), ("authorization", ""), ("x-auth-session", "")):
        with pytest.raises(Unauthenticated):
            await passed(stage(s_good="alice"), GET_SERVER, metadata, certificate=CI)
    assert (await passed(stage(), certificate=CI)).principal.subject == "certificates/ci.example"


async def test_a_tenant_reaches_policy_uncut():
    """Cut to the longest that there can be, it would be the name of another one."""
    authenticate = stage(s_good="alice")
    await passed(authenticate, GET_SERVER, ("x-auth-session", "s_good"), ("x-tenant", "t" * 99))
    assert authenticate._access_of.asked[0][1] == "t" * 99


async def test_a_call_without_a_credential_learns_which_kinds_there_are():
    """In words, and for programs."""
    with pytest.raises(Unauthenticated) as refused:
        await passed(stage())
    assert "needs a credential and the call has none; this gateway takes: sessions, mtls." in refused.value.message
    assert refused.value.metadata == {"accepts": "sessions, mtls"}
    with pytest.raises(Unauthenticated, match="the token in metadata authorization is of another kind"):
        await passed(stage(), GET_SERVER, ("authorization", "Bearer eyJ.eyJ.sig"))


async def test_a_login_needs_no_credential_and_sees_nothing():
    """A bad one that a client still sends does not keep it from logging in."""
    tokens = Tokens()
    seen = await passed(Authenticate((tokens,), Known()), CREATE_SESSION, ("authorization", "Bearer s_old"))
    assert (seen.principal, seen.access, tokens.asked) == (ANONYMOUS, NOTHING, 0)


@pytest.mark.parametrize(
    "path", ["/cloudspan.v1.SessionService/createsession", f"{CREATE_SESSION}/", f"/{CREATE_SESSION}"]
)
async def test_a_path_that_is_almost_the_login_is_not_the_login(path):
    """Nothing is normalised."""
    with pytest.raises(Unauthenticated):
        await passed(stage(), path)


async def test_health_and_reflection_are_answered_to_anybody_who_then_sees_nothing():
    """To whom a bad credential is an error all the same."""
    for path in ("/grpc.health.v1.Health/Check", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"):
        assert (await passed(stage(), path)).access is NOTHING
        with pytest.raises(Unauthenticated):
            await passed(stage(), path, ("x-auth-session", "s_bad"))
    for path in (
        "/grpc.channelz.v1.Channelz/GetServers",
        "/grpc.reflection.v2.ServerReflection/Ask",
        "/grpc.health.v1.HealthX/C",
    ):
        with pytest.raises(Unauthenticated):
            await passed(stage(), path)


@pytest.fixture
async def adapter(deployment):
    """One adapter, behind a gateway that will know alice."""
    deployment.access_of = Known(alice="openstack")
    return await deployment.plug_in()


@pytest.fixture
def known_to_gateway(monkeypatch):
    """Gateways of this test know one user, by a token with a canary in it."""
    tokens = Tokens(**{f"s_{CANARY}": "alice"})
    monkeypatch.setattr("cloudspan_gateway.app.Gateway._authenticators", lambda _self: (tokens,))
    return tokens


CREDENTIALS = (
    ("authorization", f"Bearer s_{CANARY}"),
    ("cookie", f"session={CANARY}"),
    ("proxy-authorization", f"Basic {CANARY}"),
    ("authorization-bin", CANARY.encode()),
    ("x-auth-token", CANARY),
)


async def test_no_credential_reaches_an_adapter(deployment, adapter, known_to_gateway):
    """Not with a call of the contract, nor with one of the adapter's own services, in any of their shapes."""
    async with deployment.opened(auth=("sessions",)):
        await get_server(deployment.channel, metadata=CREDENTIALS)
        tags = (*CREDENTIALS, ("x-platform", "openstack"), ("x-cluster", "east"))
        echo = deployment.channel.unary_unary(f"/{TOOLS}/Echo", Say.SerializeToString, Say.FromString)
        await echo(Say(value="hello"), metadata=tags)
        count = deployment.channel.unary_stream(f"/{TOOLS}/Count", Say.SerializeToString, Say.FromString)
        assert [said.value async for said in count(Say(value="2"), metadata=tags)] == ["0", "1"]
    received = [metadata for path, metadata, _ in adapter.calls if "Describe" not in path]
    assert len(received) == 3
    assert [metadata for metadata in received if CANARY in str(metadata)] == []
    assert {"authorization", "cookie", "x-auth-session"} & {key for metadata in received for key in metadata} == set()


async def test_no_credential_reaches_a_log_or_a_message(deployment, adapter, known_to_gateway):
    """Good or bad, whole or malformed."""
    bad = (
        ("authorization", f"Bearer {CANARY}"),
        ("authorization", f"Basic {CANARY}"),
        ("x-auth-session", f"s_x{CANARY}"),
    )
    with capture_logs() as logged:
        async with deployment.opened(auth=("sessions",)):
            await get_server(deployment.channel, metadata=CREDENTIALS)
            errors = [await refused(get_server(deployment.channel, metadata=(each,))) for each in bad]
    assert {error.code() for error in errors} == {CODE.UNAUTHENTICATED}
    assert CANARY not in str(logged)
    assert [error for error in errors if CANARY in f"{error.details()}{error.trailing_metadata()}"] == []
    assert len(adapter.calls) == 1


async def test_two_credentials_in_one_call_are_refused_over_grpc_too(deployment, adapter, known_to_gateway):
    """A good one beside a bad one, in either order; nothing on the way makes one of them."""
    good, bad = CREDENTIALS[0], ("authorization", "Bearer s_other")
    async with deployment.opened(auth=("sessions",)):
        for metadata in ((good, bad), (bad, good), (good, good), (good, ("x-auth-session", "s_other"))):
            error = await refused(get_server(deployment.channel, metadata=metadata))
            assert error.code() is CODE.UNAUTHENTICATED
    assert adapter.calls == []


async def test_a_login_reaches_the_gateway_without_a_credential(deployment, known_to_gateway, told):
    """A gateway without sessions says so; it does not ask for a credential."""
    deployment.access_of = Known()
    async with deployment.opened(auth=("sessions",)):
        stub = session_pb2_grpc.SessionServiceStub(deployment.channel)
        error = await refused(stub.CreateSession(session_pb2.CreateSessionRequest()))
    assert error.code() is not CODE.UNAUTHENTICATED or told(error).reason != "UNAUTHENTICATED"


async def test_the_error_says_for_programs_how_to_log_in(deployment, adapter, known_to_gateway, told):
    """ErrorInfo metadata `accepts`."""
    async with deployment.opened(auth=("sessions",)):
        error = told(await refused(get_server(deployment.channel)))
    assert (error.reason, error.metadata["accepts"]) == ("UNAUTHENTICATED", "sessions")
