"""Answers SessionService.CreateServiceSession; the rest of that service is about users' sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cloudspan.v1 import session_pb2
    from cloudspan_gateway.access.principal import Principal
    from cloudspan_gateway.call import Call
    from cloudspan_gateway.identity.handshake import Handshakes

    Describe = Callable[[session_pb2.Session, Principal], Awaitable[session_pb2.Session]]


class HandshakeService:
    """One function of cloudspan.v1.SessionService."""

    def __init__(self, handshakes: Handshakes, describe: Describe) -> None:
        """Make it; `describe` fills in what a session's caller may do: its tenants and roles."""
        self._handshakes = handshakes
        self._describe = describe

    def __repr__(self) -> str:
        return f"<HandshakeService {self._handshakes!r}>"

    async def create_service_session(
        self, request: session_pb2.CreateServiceSessionRequest, call: Call
    ) -> session_pb2.Session:
        """Log a service in.

        Raises:
            Unauthenticated: HANDSHAKE_FAILED, whichever part failed.
            TooManyRequests: LOGIN_PAUSED.
        """
        session, principal = await self._handshakes.log_in(request.service, request.token, call.peer())
        call.principal = principal  # from here on it is known who calls
        return await self._describe(session, principal)
