"""One gateway that takes sessions, JWTs and certificates at the same time: each call is whose credential it brings."""

from __future__ import annotations

import re
from pathlib import Path

import grpc
import pytest
from gateway.tests.callers import refused
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tests.harness.issuer import AUDIENCE, Issuer

from cloudspan.v1 import (
    platform_pb2,
    platform_pb2_grpc,
    policy_pb2,
    session_pb2,
    session_pb2_grpc,
    tenant_pb2,
    user_pb2,
    user_pb2_grpc,
)
from cloudspan_common.grpcs import Tls
from cloudspan_common.trial_certificates import Authority

CODE = grpc.StatusCode
Method = session_pb2.Session.Method
PASSWORD = "correct horse battery"


@pytest.fixture
async def issuer():
    async with Issuer.running() as running:
        yield running


@pytest.fixture
async def gateway(deployment, issuer, tmp_path, capsys):
    """A gateway, and a channel with the certificate of ci.example."""
    authority = Authority.new()
    authority.write(tmp_path)
    own, caller = (_files(authority, identity, tmp_path) for identity in ("gateway.cloudspan", "ci.example"))
    deployment.tls = caller
    tls = {"tls_certificate": own.certificate, "tls_key": own.key, "tls_authority": own.authority}
    oidc = {"oidc_issuer": issuer.url, "oidc_audience": AUDIENCE}
    async with deployment.opened(auth=("sessions", "jwt", "mtls"), tls_listen="mutual", **tls, **oidc) as opened:
        yield opened


def _files(authority: Authority, identity: str, folder: Path) -> Tls:
    authority.issue(identity, folder)
    return Tls(folder / f"{identity}.pem", folder / f"{identity}.key", folder / "authority.pem")


@pytest.fixture
async def session(gateway, capsys) -> str:
    """The token of alice, the first user."""
    (token,) = re.findall(r"csb_[\w-]+", capsys.readouterr().err)
    first = user_pb2.BootstrapAdministratorRequest(token=token, user_id="alice", password=PASSWORD)
    await user_pb2_grpc.UserServiceStub(gateway.channel).BootstrapAdministrator(first)
    request = session_pb2.CreateSessionRequest(user="alice", password=PASSWORD)
    return (await session_pb2_grpc.SessionServiceStub(gateway.channel).CreateSession(request)).token


async def test_each_call_is_whose_credential_it_brings(gateway, issuer, session):
    """Over one connection; the certificate counts where nothing else is said, and never in place of something bad."""
    stub = session_pb2_grpc.SessionServiceStub(gateway.channel)

    def ask(*metadata):
        return stub.GetSession(session_pb2.GetSessionRequest(), metadata=metadata)

    for metadata, subject, method in (
        ((), "certificates/ci.example", Method.METHOD_CERTIFICATE),
        ((("authorization", f"Bearer {issuer.token('bob')}"),), "subjects/bob", Method.METHOD_JWT),
        ((("authorization", f"Bearer {session}"),), "users/alice", Method.METHOD_PASSWORD),
        ((("x-auth-session", session),), "users/alice", Method.METHOD_PASSWORD),
    ):
        told = await ask(*metadata)
        assert (told.subject, told.method) == (subject, method)
    for bad in (
        (("authorization", f"Bearer {session}x"),),
        (("authorization", f"Bearer {issuer.token('bob', aud='other')}"),),
        (("authorization", f"Bearer {issuer.token('bob')[:-4]}"),),
        (("x-auth-session", issuer.token("bob")),),
        (("x-auth-session", session), ("authorization", f"Bearer {issuer.token('bob')}")),
        (("authorization", "Bearer opaque"),),
        (("authorization", "Basic YWxpY2U6c2VjcmV0"),),
    ):
        assert (await refused(ask(*bad))).code() is CODE.UNAUTHENTICATED


async def test_who_has_no_role_may_do_nothing_whatever_it_proves(gateway, issuer, session):
    """Being known is not being allowed; and a name of one kind is not that name of another."""
    stub = user_pb2_grpc.UserServiceStub(gateway.channel)
    await stub.ListUsers(user_pb2.ListUsersRequest(), metadata=(("x-auth-session", session),))
    for metadata in ((), (("authorization", f"Bearer {issuer.token('alice')}"),)):
        error = await refused(stub.ListUsers(user_pb2.ListUsersRequest(), metadata=metadata))
        assert error.code() in (CODE.PERMISSION_DENIED, CODE.NOT_FOUND)


@pytest.mark.parametrize(
    ("member", "groups", "seen"),
    [
        ("groups/ops", ["dev", "ops"], True),
        ("groups/ops", ["ops2", "Ops", "op"], False),
        ("groups/ops", [], False),
        ("subjects/bob", [], True),
        ("subjects/Bob", [], False),
        ("users/bob", ["ops"], False),
        ("services/bob", ["ops"], False),
        ("certificates/bob", ["ops"], False),
    ],
)
async def test_roles_are_bound_to_subjects_and_groups_of_jwts(gateway, issuer, member, groups, seen):
    """Letter by letter, and a name of one kind is none of another."""
    await gateway.keep(
        tenant_pb2.Tenant(name="tenants/acme"),
        tenant_pb2.Pool(
            name="tenants/acme/pools/p", clusters=[tenant_pb2.PoolCluster(cluster="platforms/-/clusters/-")]
        ),
        policy_pb2.Binding(name="tenants/acme/bindings/b", member=member, role="roles/viewer", pool="-"),
    )
    token = (("authorization", f"Bearer {issuer.token('bob', groups=groups)}"),)
    asking = platform_pb2_grpc.PlatformServiceStub(gateway.channel).ListPlatforms(
        platform_pb2.ListPlatformsRequest(), metadata=token
    )
    if seen:
        await asking
    else:
        assert (await refused(asking)).code() in (CODE.PERMISSION_DENIED, CODE.NOT_FOUND)


async def test_who_has_several_tenants_is_told_of_them_and_may_log_out_without_choosing_one(gateway, issuer, session):
    """And reads the contract; everything else asks which tenant is meant."""
    for name in ("acme", "umbrella"):
        row = policy_pb2.Binding(
            name=f"tenants/{name}/bindings/b", role="roles/viewer", pool="-", member="subjects/bob"
        )
        await gateway.keep(tenant_pb2.Tenant(name=f"tenants/{name}"), row)
    token = (("authorization", f"Bearer {issuer.token('bob')}"),)
    stub = session_pb2_grpc.SessionServiceStub(gateway.channel)
    told = await stub.GetSession(session_pb2.GetSessionRequest(), metadata=token)
    assert (told.tenant, list(told.tenants), list(told.roles)) == ("", ["tenants/acme", "tenants/umbrella"], [])
    questions = iter([reflection_pb2.ServerReflectionRequest(list_services="*")])
    reflecting = reflection_pb2_grpc.ServerReflectionStub(gateway.channel)
    answer = await reflecting.ServerReflectionInfo(questions, metadata=token).read()
    assert len(answer.list_services_response.service) > 10
    platforms = platform_pb2_grpc.PlatformServiceStub(gateway.channel)
    error = await refused(platforms.ListPlatforms(platform_pb2.ListPlatformsRequest(), metadata=token))
    assert "choose a tenant with metadata x-tenant: acme, umbrella" in error.details()
    alices = session_pb2.DeleteSessionRequest(name=(await _own(stub, session)).name)
    error = await refused(stub.DeleteSession(alices, metadata=token))
    assert error.code() in (CODE.PERMISSION_DENIED, CODE.NOT_FOUND)
    elsewhere = await refused(stub.GetSession(session_pb2.GetSessionRequest(), metadata=(*token, ("x-tenant", "none"))))
    assert elsewhere.code() is CODE.NOT_FOUND


async def _own(stub, session):
    return await stub.GetSession(session_pb2.GetSessionRequest(), metadata=(("x-auth-session", session),))
