"""Log in with a password and list the servers that you may see; log in anew when the session has ended.

python examples/login_and_list.py USER [HOST:PORT [AUTHORITY.pem]]

The password comes from the environment, CLOUDSPAN_PASSWORD, where a secret store has put it, else it is asked for. With
the PEM file of an authority the gateway is spoken to over TLS, as it must be on another machine.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import sys
from pathlib import Path

from cloudspan.client import DEFAULT_ADDRESS, AsyncClient, Tls, Unauthenticated
from cloudspan.v1.server_pb2 import ListServersRequest
from cloudspan.v1.session_pb2 import CreateSessionRequest, DeleteSessionRequest, GetSessionRequest


async def main(user: str, gateway: str = DEFAULT_ADDRESS, authority: str = "") -> None:
    """Print who the gateway takes us for, then a line for each server."""
    tls = Tls(authority=Path(authority)) if authority else None
    password = os.environ.get("CLOUDSPAN_PASSWORD") or getpass.getpass()

    async def log_in() -> str:
        async with AsyncClient(gateway, tls=tls) as client:
            request = CreateSessionRequest(user=user, password=password)
            return (await client.sessions.CreateSession(request)).token

    # Called at the first call, and again when a call says UNAUTHENTICATED: programs may run longer than a session.
    async with AsyncClient(gateway, token=log_in, tls=tls) as cloud:
        session = await cloud.sessions.GetSession(GetSessionRequest())
        print(f"{session.subject} in {session.tenant}: {', '.join(session.roles) or 'no role'}")
        async for server in cloud.each(cloud.servers.ListServers, ListServersRequest(parent="platforms/-/clusters/-")):
            print(f"{server.name}  {server.display_name}")
        await cloud.sessions.DeleteSession(DeleteSessionRequest())


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3, 4):
        sys.exit("usage: login_and_list.py USER [HOST:PORT [AUTHORITY.pem]]")
    try:
        asyncio.run(main(*sys.argv[1:]))
    except Unauthenticated as error:
        sys.exit(error.message)
