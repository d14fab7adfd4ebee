"""Two tenants behind one gateway with everything on: sessions, JWTs, signed contexts. What escapes are tried against.

`acme` has clusters that `globex` must not learn of; `mallory` of globex tries. The gateway, the adapters and the issuer
are processes or threads over real sockets; a world lasts for a module, since its set-up takes seconds.
"""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import grpc
from google.longrunning import operations_pb2
from google.protobuf import descriptor_pool, message_factory
from google.rpc import status_pb2
from tests.harness.issuer import Issuer
from tests.harness.processes import Program, free_port

from cloudspan.v1 import (
    operation_pb2,
    policy_pb2,
    server_pb2,
    session_pb2,
    tenant_pb2,
    user_pb2,
    volume_pb2,
)
from cloudspan_common import contract

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from google.protobuf.message import Message

DETAILS = "grpc-status-details-bin"
PASSWORD = "correct horse battery staple"
VAULT = "platforms/vault/clusters/deep"
"""acme's alone, on a platform of its own."""
SECRET = "platforms/memory/clusters/acme-main"
"""acme's alone, on a platform that globex has too."""
OWN = "platforms/memory/clusters/globex-main"
"""globex's."""
CANARY = "canary-of-acme"
"""In the name of each resource of acme's."""

Metadata = tuple[tuple[str, str | bytes], ...]


@dataclass
class Outcome:
    """How a call ended, and every byte that its caller saw of it."""

    code: grpc.StatusCode
    message: str = ""
    details: status_pb2.Status = field(default_factory=status_pb2.Status)
    answers: tuple[Any, ...] = ()
    metadata: Metadata = ()

    @property
    def reason(self) -> str:
        from google.rpc import error_details_pb2  # noqa: PLC0415 - for this alone

        for detail in self.details.details:
            info = error_details_pb2.ErrorInfo()
            if detail.Unpack(info):
                return info.reason
        return ""

    @property
    def text(self) -> str:
        """All of it, to be searched."""
        return f"{self.message} {self.details} {' '.join(map(str, self.answers))} {self.metadata}"


class World:
    """What runs, and who is in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = f"127.0.0.1:{free_port()}"
        self.adapters: dict[str, str] = {}
        self.tokens: dict[str, str] = {}
        self.names: dict[str, str] = {}
        """What acme has, by kind: `server`, `volume`, `operation`, `request_id`."""
        self.bootstrap_token = ""
        self._stack = ExitStack()
        self._channels: dict[str, grpc.Channel] = {}

    # ------------------------------------------------------------------ processes

    def __enter__(self) -> Self:
        try:
            self._start()
            self._people()
            self._resources()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for channel in self._channels.values():
            channel.close()
        self._stack.close()

    @property
    def registry(self) -> str:
        return f"static:{self.folder / 'registry.yaml'}"

    def _start(self) -> None:
        self.issuer = self._stack.enter_context(issuer_in_a_thread())
        (self.folder / "registry.yaml").write_text("adapters: []\n")
        for platform, clusters in (("memory", ("acme-main", "globex-main")), ("vault", ("deep",))):
            self.adapters[platform] = f"127.0.0.1:{free_port()}"
            named = [word for tag in clusters for word in ("--cluster", tag)]
            words = ("--listen", self.adapters[platform], "--registry", self.registry, "--platform", platform)
            program = Program(self.folder / f"{platform}.log", "-m", "cloudspan_memory", *words, *named, "--delay", "0")
            self._stack.enter_context(program)
            program.event("adapter serves")
        words = ("--listen", self.address, "--registry", self.registry, "--metrics", "", "--drain", "0")
        auth = ("--auth", "sessions", "--auth", "jwt", "--oidc-issuer", self.issuer.url, "--oidc-audience", "cloudspan")
        database = (
            "--database",
            f"sqlite:{self.folder / 'gateway.db'}",
            "--audit-log",
            str(self.folder / "audit.jsonl"),
        )
        self.gateway = Program(self.folder / "gateway.log", "-m", "cloudspan_gateway", *words, *auth, *database)
        self._stack.enter_context(self.gateway)
        self.gateway.event("gateway started")

    # ------------------------------------------------------------------ calls

    def channel(self, address: str = "") -> grpc.Channel:
        address = address or self.address
        if address not in self._channels:
            self._channels[address] = grpc.insecure_channel(address)
        return self._channels[address]

    def call(
        self,
        method: str,
        request: Message | bytes,
        *,
        by: str = "",
        extra: Iterable[tuple[str, str | bytes]] = (),
        address: str = "",
        limit_s: float = 10.0,
    ) -> Outcome:
        """Call `ServerService/GetServer`; `by` is who, `extra` metadata that goes with it."""
        path = full_path(method)
        body = request if isinstance(request, bytes) else request.SerializeToString()
        own = (("authorization", f"Bearer {self.tokens[by]}"),) if by else ()
        rpc = self.channel(address).unary_stream(path)(body, timeout=limit_s, metadata=(*own, *extra))
        answers: list[Any] = []
        try:
            for answer in rpc:
                answers.append(parsed(path, answer))
                if len(answers) >= 5:
                    rpc.cancel()
                    break
        except grpc.RpcError as error:
            trailers = tuple(error.trailing_metadata() or ())
            status = status_pb2.Status.FromString(dict(trailers).get(DETAILS, b""))
            rest = tuple(pair for pair in trailers if pair[0] != DETAILS)
            return Outcome(error.code(), error.details() or "", status, tuple(answers), rest)
        return Outcome(grpc.StatusCode.OK, answers=tuple(answers), metadata=tuple(rpc.trailing_metadata() or ()))

    def do(self, method: str, request: Message, *, by: str, extra: Metadata = ()) -> Any:
        """Call what must work; return its answer."""
        outcome = self.call(method, request, by=by, extra=extra)
        assert outcome.code is grpc.StatusCode.OK, f"{method} by {by}: {outcome.code} {outcome.message}"
        return outcome.answers[0]

    def login(self, user: str, password: str = PASSWORD) -> str:
        request = session_pb2.CreateSessionRequest(user=user, password=password)
        outcome = self.call("SessionService/CreateSession", request)
        assert outcome.code is grpc.StatusCode.OK, outcome.message
        return str(outcome.answers[0].token)

    def done(self, operation: Any, *, by: str) -> Any:
        """Wait for an operation's end; return its result."""
        wait = operations_pb2.WaitOperationRequest(name=operation.name)
        wait.timeout.FromSeconds(10)
        ended = self.do("google.longrunning.Operations/WaitOperation", wait, by=by)
        assert ended.done, ended
        assert not ended.HasField("error"), ended.error
        metadata = operation_pb2.OperationMetadata()
        ended.metadata.Unpack(metadata)
        return metadata

    # ------------------------------------------------------------------ who and what there is

    def _people(self) -> None:
        self.bootstrap_token = bootstrap_token(self.folder / "gateway.log")
        first = user_pb2.BootstrapAdministratorRequest(token=self.bootstrap_token, user_id="root", password=PASSWORD)
        outcome = self.call("UserService/BootstrapAdministrator", first)
        assert outcome.code is grpc.StatusCode.OK, outcome.message
        self.tokens["root"] = self.login("root")
        for tenant, clusters in (("acme", (SECRET, VAULT)), ("globex", (OWN,))):
            made = tenant_pb2.CreateTenantRequest(tenant_id=tenant, tenant=tenant_pb2.Tenant())
            made.tenant.display_name = f"{tenant} inc."
            self.do("TenantService/CreateTenant", made, by="root")
            pool = tenant_pb2.CreatePoolRequest(parent=f"tenants/{tenant}", pool_id=f"{tenant}-prod")
            pool.pool.clusters.extend(tenant_pb2.PoolCluster(cluster=cluster) for cluster in clusters)
            self.do("TenantService/CreatePool", pool, by="root")
        for user, tenant, role in (
            ("alice", "acme", "admin"), ("anna", "acme", "viewer"), ("mallory", "globex", "admin"),
            ("mike", "globex", "viewer"), ("nobody", "globex", ""),
        ):  # fmt: skip
            asked = user_pb2.CreateUserRequest(user_id=user, password=PASSWORD)
            asked.user.tenant = f"tenants/{tenant}"
            self.do("UserService/CreateUser", asked, by="root")
            if role:
                self.grant(tenant, f"users/{user}", role)
            self.tokens[user] = self.login(user)
        self.grant("globex", "subjects/mallory", "admin")

    def grant(self, tenant: str, member: str, role: str) -> Any:
        binding = policy_pb2.Binding(member=member, role=f"roles/{role}")
        request = policy_pb2.CreateBindingRequest(parent=f"tenants/{tenant}", binding=binding)
        return self.do("PolicyService/CreateBinding", request, by="root")

    def _resources(self) -> None:
        for who, cluster, prefix in (("alice", SECRET, CANARY), ("alice", VAULT, CANARY), ("mallory", OWN, "own")):
            server = server_pb2.CreateServerRequest(parent=cluster, request_id=str(uuid.uuid4()))
            server.server.display_name = f"{prefix}-server"
            flavors = self.do(
                "FlavorService/ListFlavors", request_of("FlavorService/ListFlavors", parent=cluster), by=who
            )
            images = self.do("ImageService/ListImages", request_of("ImageService/ListImages", parent=cluster), by=who)
            server.server.flavor, server.server.image = flavors.flavors[0].name, images.images[0].name
            operation = self.do("ServerService/CreateServer", server, by=who)
            volume = volume_pb2.CreateVolumeRequest(parent=cluster)
            volume.volume.display_name, volume.volume.size_bytes = f"{prefix}-volume", 2**30
            kinds = {
                "server": self.done(operation, by=who).resource,
                "volume": self.done(self.do("VolumeService/CreateVolume", volume, by=who), by=who).resource,
                "operation": operation.name,
                "request_id": server.request_id,
            }
            self.names.update({f"{cluster} {kind}": name for kind, name in kinds.items()})
        for who in ("alice", "mallory"):
            self.do("InventoryService/SyncNow", request_of("InventoryService/SyncNow"), by=who)


@contextmanager
def issuer_in_a_thread() -> Iterator[Issuer]:
    """The world is no coroutine; its issuer has a loop of its own."""
    with asyncio.Runner() as runner, ThreadPoolExecutor(1) as thread:
        running = Issuer.running()
        issuer = thread.submit(runner.run, running.__aenter__()).result()
        stop = asyncio.Event()
        serving = thread.submit(runner.run, stop.wait())
        try:
            yield issuer
        finally:
            runner.get_loop().call_soon_threadsafe(stop.set)
            serving.result()
            thread.submit(runner.run, running.__aexit__(None, None, None)).result()


def full_path(method: str) -> str:
    return f"/{method}" if "." in method else f"/cloudspan.v1.{method}"


def request_of(method: str, **fields: Any) -> Any:
    """A request of a method of the contract by its fields."""
    return contract.methods()[f"cloudspan.v1.{method}"].request(**fields)


def parsed(path: str, body: bytes) -> Any:
    service, _, name = path[1:].rpartition("/")
    try:
        descriptor = descriptor_pool.Default().FindServiceByName(service).FindMethodByName(name)
    except KeyError:
        return body
    return message_factory.GetMessageClass(descriptor.output_type).FromString(body)


def bootstrap_token(log: Path) -> str:
    """The one-time token of the first administrator, as the gateway prints it at its first start."""
    found = re.search(r"\bcsb_[A-Za-z0-9_-]{20,}", log.read_text())
    assert found, log.read_text()[-2000:]
    return found[0]


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
