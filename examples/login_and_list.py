"""Log in with a password and list the servers that you may see; log in anew when the session has ended.

CLOUDSPAN_PASSWORD=... python examples/login_and_list.py USER [HOST:PORT [AUTHORITY.pem]]

With the PEM file of an authority the gateway is spoken to over TLS, as it must be on another machine.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from cloudspan.client import DEFAULT_ADDRESS, AsyncClient, Tls, Unauthenticated
from cloudspan.v1.server_pb2 import ListServersRequest
from cloudspan.v1.session_pb2 import CreateSessionRequest, DeleteSessionRequest, GetSessionRequest


async def main(user: str, gateway: str = DEFAULT_ADDRESS, authority: str = "") -> None:
    """Print who the gateway takes us for, then a line for each server."""
    tls = Tls(authority=Path(authority)) if authority else None

    async def log_in() -> str:
        async with AsyncClient(gateway, tls=tls) as client:
            request = CreateSessionRequest(user=user, password=os.environ["CLOUDSPAN_PASSWORD"])
            return (await client.sessions.CreateSession(request)).token

    # Called at the first call, and again when a call says UNAUTHENTICATED: programs may run longer than a session.
    async with AsyncClient(gateway, token=log_in, tls=tls) as cloud:
        session = await cloud.sessions.GetSession(GetSessionRequest())
        print(f"{session.subject} in {session.tenant}: {', '.join(session.roles) or 'no role'}")
        async for server in cloud.each(cloud.servers.ListServers, ListServersRequest(parent="platforms/-/clusters/-")):
            print(f"{server.name}  {server.display_name}")
        await cloud.sessions.DeleteSession(DeleteSessionRequest())


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3, 4) or "CLOUDSPAN_PASSWORD" not in os.environ:
        sys.exit("usage: CLOUDSPAN_PASSWORD=... login_and_list.py USER [HOST:PORT [AUTHORITY.pem]]")
    try:
        asyncio.run(main(*sys.argv[1:]))
    except Unauthenticated as error:
        sys.exit(error.message)
