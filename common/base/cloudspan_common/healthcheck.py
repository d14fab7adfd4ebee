"""Asks one process whether it serves: `python -m cloudspan_common.healthcheck 127.0.0.1:7070`.

What containers are probed with. It imports gRPC and nothing of ours, so that a probe each few seconds costs little.
Certificates are those of the probed process itself, from the same environment variables.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

_TIMEOUT_S = 3.0


def main(words: list[str] | None = None) -> int:
    """Return the exit code: 0 when it serves, else 1, with the reason on stderr."""
    arguments = _parser().parse_args(words)
    try:
        status = _status(arguments)
    except (grpc.RpcError, OSError) as error:
        sys.stderr.write(f"{arguments.address} does not answer: {_why(error)}\n")
        return 1
    if status == health_pb2.HealthCheckResponse.SERVING:
        return 0
    name = health_pb2.HealthCheckResponse.ServingStatus.Name(status)
    sys.stderr.write(f"{arguments.address} answers {name}\n")
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cloudspan_common.healthcheck", description=__doc__)
    parser.add_argument("address", help="host:port to ask")
    parser.add_argument("--service", default="", help="name in the health service; the whole process when empty")
    parser.add_argument("--name", default="localhost", help="name that the certificate must have (%(default)s)")
    # A gateway may have a certificate for its adapters alone, and listen in plain text.
    environment = {} if os.environ.get("CLOUDSPAN_TLS_LISTEN") == "none" else os.environ
    for what in ("certificate", "key", "authority"):
        default = environment.get(f"CLOUDSPAN_TLS_{what.upper()}", "")
        parser.add_argument(f"--tls-{what}", default=default, help=f"PEM file; CLOUDSPAN_TLS_{what.upper()}")
    return parser


def _status(arguments: argparse.Namespace) -> int:
    request = health_pb2.HealthCheckRequest(service=arguments.service)
    with _channel(arguments) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=_TIMEOUT_S)
    return int(answer.status)


def _channel(arguments: argparse.Namespace) -> grpc.Channel:
    options: list[tuple[str, str | int]] = [("grpc.enable_http_proxy", 0)]
    if not arguments.tls_certificate:
        return grpc.insecure_channel(arguments.address, options=options)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=_read(arguments.tls_authority),
        private_key=_read(arguments.tls_key),
        certificate_chain=_read(arguments.tls_certificate),
    )
    options.append(("grpc.ssl_target_name_override", arguments.name))
    return grpc.secure_channel(arguments.address, credentials, options=options)


def _read(path: str) -> bytes | None:
    return Path(path).read_bytes() if path else None


def _why(error: Exception) -> str:
    return f"{error.code().name}, {error.details()}" if isinstance(error, grpc.Call) else str(error)


if __name__ == "__main__":
    sys.exit(main())
