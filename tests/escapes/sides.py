"""Attempts around the pipeline: reflection, health, channelz, and the adapters themselves."""

from __future__ import annotations

import base64
import json
import time
import uuid
from typing import TYPE_CHECKING, Any

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.empty_pb2 import Empty
from grpc_channelz.v1 import channelz_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from tests.escapes.attempt import FORBIDDEN, Attempt, Code
from tests.escapes.world import OWN, SECRET, VAULT, Outcome

from cloudspan.adapter.v1 import adapter_pb2, step_pb2, sweep_pb2
from cloudspan.v1 import server_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.escapes.world import World

SEED = "cloudspan_memory.seed.v1.SeedService"
CONTEXT = "x-cloudspan-context"
_HIDDEN = (Code.NOT_FOUND, Code.UNAUTHENTICATED, Code.PERMISSION_DENIED, Code.UNIMPLEMENTED)


def _reflected(by: str = "", **asked: str) -> Callable[[World], Outcome]:
    """What reflection answers to a question, on either of its versions."""

    def tries(world: World) -> Outcome:
        request = reflection_pb2.ServerReflectionRequest(**asked)
        path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
        metadata = (("authorization", f"Bearer {world.tokens[by]}"),) if by else ()
        rpc = world.channel().stream_stream(
            path,
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )(iter([request]), metadata=metadata, timeout=10)
        try:
            return Outcome(Code.OK, answers=tuple(rpc))
        except grpc.RpcError as error:
            return Outcome(error.code(), error.details() or "")

    return tries


def _health(service: str, method: str = "Check", by: str = "") -> Callable[[World], Outcome]:
    request = health_pb2.HealthCheckRequest(service=service)

    def tries(world: World) -> Outcome:
        return world.call(f"grpc.health.v1.Health/{method}", request, by=by, limit_s=0.5)

    return tries


def _channelz(method: str, request: Any, by: str = "mallory") -> Callable[[World], Outcome]:
    return lambda world: world.call(f"grpc.channelz.v1.Channelz/{method}", request, by=by)


# ------------------------------------------------------------------ adapters


def _direct(
    method: str, request: Any, *context: Callable[[World], str], platform: str = "memory"
) -> Callable[[World], Outcome]:
    """At the adapter's own port, with each of these contexts."""

    def tries(world: World) -> Outcome:
        extra = tuple((CONTEXT, make(world)) for make in context)
        return world.call(method, request, address=world.adapters[platform], extra=extra)

    return tries


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _forged(key: Ed25519PrivateKey | None = None, **header: Any) -> Callable[[World], str]:
    """A context that nobody but us has signed."""

    def made(_: World) -> str:
        now = int(time.time())
        claims = {
            "iss": "main", "aud": "memory", "sub": "users/alice", "tenant": "acme", "roles": ["admin"], "iat": now,
            "exp": now + 30, "method": "cloudspan.v1.ServerService/GetServer", "request_id": str(uuid.uuid4()),
        }  # fmt: skip
        head = {"alg": "EdDSA", "typ": "JWT", "kid": "a", **header}
        signed = f"{_part(head)}.{_part(claims)}"
        if head["alg"] == "none":
            return signed + "."
        signature = (key or Ed25519PrivateKey.generate()).sign(signed.encode())
        return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"

    return made


_GET = server_pb2.GetServerRequest(name=f"{SECRET}/servers/1")
_STEP = step_pb2.StepRequest(
    operation_id=str(uuid.uuid4()), attempt=1, method="cloudspan.v1.ServerService/DeleteServer",
    request=server_pb2.DeleteServerRequest(name=f"{SECRET}/servers/1").SerializeToString(),
)  # fmt: skip


def _smuggled(world: World) -> Outcome:
    """Through the gateway, in place of the context that it makes."""
    name = world.names[f"{OWN} server"]
    outcome = world.call(
        "ServerService/GetServer", server_pb2.GetServerRequest(name=name), by="mallory",
        extra=((CONTEXT, _forged()(world)), ("x-cloudspan-tenant", "acme"), ("x-cloudspan-project", "acme")),
    )  # fmt: skip
    assert outcome.code is Code.OK, "the gateway's own context counts, whatever a caller sends"
    return outcome


SIDES = [
    Attempt("the services by reflection, without a credential", _reflected(list_services="*"), (Code.OK,)),
    Attempt("the services by reflection, as another tenant", _reflected("mike", list_services="*"), (Code.OK,)),
    Attempt("health of another's platform", _health("platforms/vault"), _HIDDEN),
    Attempt("health of another's platform, as a caller", _health("platforms/vault", by="mallory"), _HIDDEN),
    Attempt("health of a platform that does not exist", _health("platforms/none", by="mallory"), _HIDDEN),
    Attempt(
        "channels and their peers",
        _channelz("GetTopChannels", channelz_pb2.GetTopChannelsRequest()),
        (*FORBIDDEN, Code.UNAUTHENTICATED, Code.NOT_FOUND),
    ),
    Attempt(
        "servers and their peers",
        _channelz("GetServers", channelz_pb2.GetServersRequest(), by=""),
        (Code.UNAUTHENTICATED, *FORBIDDEN),
    ),
    Attempt("a context of one's own through the gateway", _smuggled, (Code.OK,)),
    Attempt("an adapter without a context", _direct("ServerService/GetServer", _GET), FORBIDDEN),
    Attempt("an adapter with a forged context", _direct("ServerService/GetServer", _GET, _forged()), FORBIDDEN),
    Attempt(
        "an adapter with an unsigned context", _direct("ServerService/GetServer", _GET, _forged(alg="none")), FORBIDDEN
    ),
    Attempt(
        "an adapter with a context under HS256",
        _direct("ServerService/GetServer", _GET, _forged(alg="HS256")),
        FORBIDDEN,
    ),
    Attempt(
        "an adapter with a context that brings its key",
        _direct("ServerService/GetServer", _GET, _forged(jwk={"kty": "OKP"})),
        FORBIDDEN,
    ),
    Attempt("an adapter with two contexts", _direct("ServerService/GetServer", _GET, _forged(), _forged()), FORBIDDEN),
    Attempt("an adapter with an empty context", _direct("ServerService/GetServer", _GET, lambda _: ""), FORBIDDEN),
    Attempt(
        "an adapter with a session", _direct("ServerService/GetServer", _GET, lambda w: w.tokens["alice"]), FORBIDDEN
    ),
    Attempt("a step at an adapter", _direct("cloudspan.adapter.v1.StepService/Step", _STEP), FORBIDDEN),
    Attempt(
        "marks at an adapter",
        _direct(
            "cloudspan.adapter.v1.MarkService/ListMarked",
            step_pb2.ListMarkedRequest(cluster=VAULT, installation="main"),
            platform="vault",
        ),
        FORBIDDEN,
    ),
    Attempt(
        "a sweep at an adapter",
        _direct(
            "cloudspan.adapter.v1.SweepService/SweepPage",
            sweep_pb2.SweepPageRequest(cluster=VAULT, collection="servers"),
            platform="vault",
        ),
        FORBIDDEN,
    ),
    Attempt(
        "what an adapter says of itself",
        _direct("cloudspan.adapter.v1.AdapterService/Describe", adapter_pb2.DescribeRequest(), platform="vault"),
        FORBIDDEN,
    ),
    Attempt("an adapter's own service at the adapter", _direct(f"{SEED}/Seed", Empty(), platform="vault"), FORBIDDEN),
]
