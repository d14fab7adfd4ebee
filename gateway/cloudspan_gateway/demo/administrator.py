"""The administrator of a demo whose gateway authenticates its callers: made at the first start, logged in at each.

Its password is in a file of the demo's folder, which only its owner can read.
"""

from __future__ import annotations

import contextlib
import re
import secrets
from typing import TYPE_CHECKING

from cloudspan import client
from cloudspan.v1 import session_pb2, tenant_pb2, user_pb2
from cloudspan_common.errors import PreconditionFailed

if TYPE_CHECKING:
    from cloudspan_gateway.demo.plan import Plan

USER = "root"
PASSWORD_FILE = "administrator.password"  # noqa: S105 - its name
_TOKEN = re.compile(r"^\s+(csb_\S+)$", re.MULTILINE)
_TENANT, _POOL, _EVERYTHING = "tenants/default", "all", "platforms/-/clusters/-"


async def logged_in(plan: Plan, printed: str) -> str:
    """Return the token of a session of the administrator.

    Args:
        plan: What runs.
        printed: What the gateway has printed: the token of the first start stands there.

    Raises:
        PreconditionFailed: There are users, and the password of the first one was lost.
        CloudspanError: The gateway does not let it in.
    """
    file = plan.state / PASSWORD_FILE
    tokens = _TOKEN.findall(printed)
    async with client.AsyncClient(plan.gateway) as cloud:
        if tokens and not file.exists():
            file.write_text(secrets.token_urlsafe(18))
            await cloud.users.BootstrapAdministrator(
                user_pb2.BootstrapAdministratorRequest(token=tokens[-1], user_id=USER, password=file.read_text())
            )
        if not file.exists():
            text = f"{file} is missing, and the gateway has users already; start with --fresh to forget them"
            raise PreconditionFailed(text, reason="SEEDING_FAILED")
        request = session_pb2.CreateSessionRequest(user=USER, password=file.read_text())
        token = str((await cloud.sessions.CreateSession(request)).token)
    async with client.AsyncClient(plan.gateway, token=token) as cloud:
        pool = tenant_pb2.Pool(clusters=[tenant_pb2.PoolCluster(cluster=_EVERYTHING)])
        with contextlib.suppress(client.AlreadyExists):  # of an earlier start
            await cloud.tenants.CreatePool(tenant_pb2.CreatePoolRequest(parent=_TENANT, pool_id=_POOL, pool=pool))
    return token
