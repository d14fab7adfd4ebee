"""Peer: the least that grpc.aio can do to forward calls as bytes. Arguments: the adapter's address."""

from __future__ import annotations

import sys
from typing import Any

import grpc
import uvloop

OPTIONS = (("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1))


class _Everything(grpc.GenericRpcHandler):
    """Hand each unary call on and its answer back."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._calls: dict[str, Any] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        path = handler_call_details.method
        if path not in self._calls:
            self._calls[path] = self._channel.unary_unary(path)
        call = self._calls[path]

        async def forward(body: bytes, context: grpc.aio.ServicerContext) -> bytes:
            return await call(body, timeout=context.time_remaining())

        return grpc.unary_unary_rpc_method_handler(forward)


async def main() -> None:
    """Serve until killed; the port is the first line."""
    server = grpc.aio.server(options=OPTIONS)
    server.add_generic_rpc_handlers((_Everything(grpc.aio.insecure_channel(sys.argv[1], options=OPTIONS)),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f'{{"event": "passthrough serves", "port": {port}}}', flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(main())
