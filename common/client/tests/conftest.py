"""A gateway that answers what a test says, and remembers who asked what; the command line against it."""

from __future__ import annotations

from concurrent import futures
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from click.testing import CliRunner
from google.longrunning import operations_pb2

from cloudspan.cli.main import cli
from cloudspan_common import contract
from cloudspan_common.errors import CloudspanError, ending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@dataclass
class Asked:
    """One call as it arrived."""

    method: str
    request: Any
    metadata: dict[str, str]


@dataclass
class Gateway(grpc.GenericRpcHandler):
    """Every method of the contract: answers with what `answers` has for it, else with an empty message."""

    answers: dict[str, Any] = field(default_factory=dict)
    """By method, `CreateSession`: a message (of a stream a list of them), an error to raise, or a function that makes
    one of these of the request."""
    calls: list[Asked] = field(default_factory=list)
    address: str = ""

    def service(self, details: Any) -> Any:
        name = details.method.removeprefix("/")
        if name in contract.methods():
            input_type, output_type = contract.methods()[name].request, contract.methods()[name].response
        elif name == "google.longrunning.Operations/ListOperations":
            input_type, output_type = operations_pb2.ListOperationsRequest, operations_pb2.ListOperationsResponse
        else:
            return None

        def answer(request: Any, context: Any) -> Any:
            self.calls.append(Asked(name.partition("/")[2], request, dict(context.invocation_metadata())))
            found = self.answers.get(self.calls[-1].method, output_type())
            found = found(request) if callable(found) else found
            if isinstance(found, CloudspanError):
                message, trailers = ending(found, "call-1")
                context.set_trailing_metadata(trailers)
                context.abort(found.code, message)
            return iter(found) if isinstance(found, list) else found

        if name in contract.methods() and contract.methods()[name].server_streaming:
            return grpc.unary_stream_rpc_method_handler(answer, input_type.FromString, output_type.SerializeToString)
        return grpc.unary_unary_rpc_method_handler(answer, input_type.FromString, output_type.SerializeToString)

    def asked(self, method: str) -> Any:
        """The request of the only call of a method."""
        [call] = [call for call in self.calls if call.method == method]
        return call.request


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    found = Gateway()
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((found,))
    found.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield found
    server.stop(None).wait()


@pytest.fixture
def run(gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run the command line against the gateway, in a home of its own; it must exit with `code`."""
    for name in ("TOKEN", "TOKEN_FILE", "TENANT", "POOL", "GATEWAY"):
        monkeypatch.delenv(f"CLOUDSPAN_{name}", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")

    def call(*words: str, code: int = 0, typed: str = "", address: str = "") -> str:
        result = CliRunner().invoke(cli, [*words, "--gateway", address or gateway.address], input=typed)
        assert result.exit_code == code, (result.output, result.exception)
        return result.output

    return call
