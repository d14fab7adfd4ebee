"""Log a service in without a password, and list servers as that service.

python examples/service_login.py NAME HOST:PORT [GATEWAY]

NAME is registered with this HOST:PORT, where the script listens: in Consul with the tag `cloudspan-handshake`, or in
the adapters file under `services:`, as `- {name: NAME, address: "HOST:PORT"}`. There the gateway asks whether the token
is ours.
"""

from __future__ import annotations

import asyncio
import sys
import uuid
from typing import Any

import grpc

from cloudspan.client import DEFAULT_ADDRESS, AsyncClient
from cloudspan.v1 import session_pb2, session_pb2_grpc
from cloudspan.v1.server_pb2 import ListServersRequest


class Verifier(session_pb2_grpc.HandshakeVerifierServicer):
    """Knows the tokens of the logins that are under way."""

    def __init__(self, name: str) -> None:
        self._service = f"services/{name}"
        self._tokens: set[str] = set()

    def new_token(self) -> str:
        """Return a token for one login, to be withdrawn after it."""
        token = str(uuid.uuid4())
        self._tokens.add(token)
        return token

    def withdraw(self, token: str) -> None:
        """Forget a token, whether or not the login has worked."""
        self._tokens.discard(token)

    async def VerifyToken(  # noqa: N802 - the rpc's name
        self, request: session_pb2.VerifyTokenRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> session_pb2.VerifyTokenResponse:
        own = request.service == self._service and request.token in self._tokens
        return session_pb2.VerifyTokenResponse(own=own)


async def main(name: str, listen: str, gateway: str = DEFAULT_ADDRESS) -> None:
    """Serve, log in, print a line for each server of the first page, log out."""
    verifier, server = Verifier(name), grpc.aio.server()
    session_pb2_grpc.add_HandshakeVerifierServicer_to_server(verifier, server)
    server.add_insecure_port(listen)
    await server.start()
    token = verifier.new_token()
    async with AsyncClient(gateway) as cloud:
        try:
            login = session_pb2.CreateServiceSessionRequest(service=name, token=token)
            session = await cloud.sessions.CreateServiceSession(login)
        finally:
            verifier.withdraw(token)
        print(f"{session.subject} is logged in")
        credential = (("authorization", f"Bearer {session.token}"),)
        request = ListServersRequest(parent="platforms/-/clusters/-")
        for found in (await cloud.servers.ListServers(request, metadata=credential)).servers:
            print(f"{found.name}  {found.display_name}")
        await cloud.sessions.DeleteSession(session_pb2.DeleteSessionRequest(name=session.name), metadata=credential)
    await server.stop(grace=1)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
