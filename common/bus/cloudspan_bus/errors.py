"""The one exception that crosses the bus for whatever the gateway refuses; imports nothing but the standard library.

    transport = oslo_messaging.get_rpc_transport(conf, allowed_remote_exmods=["cloudspan_bus.errors"])
    try:
        client.call(context, "GetServer", name=name)
    except cloudspan_bus.errors.RemoteError as error:
        print(error.code, error.reason, error.recovery)

A caller that does not have this package gets `oslo_messaging.RemoteError`, whose text says the same.
"""

from __future__ import annotations

from typing import Any

__all__ = ["RemoteError"]


class RemoteError(Exception):
    """What the gateway, or the bus before it, refused.

    Attributes:
        message: What was asked, what was found, what to do next.
        code: The canonical code of gRPC by name: `NOT_FOUND`.
        reason: UPPER_SNAKE_CASE, stable; one of those in docs/errors.md.
        recovery: What can be done about it: fix_request, retry, retry_after, look_first, ask_operator.
        retry_after: Seconds until a retry makes sense; None when nobody knows.
        details: The details of `google.rpc`, each as proto JSON with its `@type`.
        request_id: Under which the logs of gateway and adapters have the call; empty where the bus itself refused it.
    """

    def __init__(self, message: str, **fields: Any) -> None:
        """Take the fields by name; oslo.messaging makes it again on the caller's side from `args` and `kwargs`."""
        super().__init__(message)
        self.kwargs = fields
        self.message = message
        self.code: str = fields.get("code", "UNKNOWN")
        self.reason: str = fields.get("reason", "")
        self.recovery: str = fields.get("recovery", "ask_operator")
        self.retry_after: float | None = fields.get("retry_after")
        self.details: list[dict[str, Any]] = fields.get("details", [])
        self.request_id: str = fields.get("request_id", "")

    def __repr__(self) -> str:
        return f"<RemoteError {self.code} {self.reason}: {self.message}>"

    def __str__(self) -> str:
        """Everything, for those whose oslo.messaging hands them the text alone."""
        known = {"recovery": self.recovery, "retry_after": self.retry_after, "request_id": self.request_id}
        rest = ", ".join(f"{name}={value}" for name, value in known.items() if value not in (None, ""))
        details = f"; details={self.details}" if self.details else ""
        return f"{self.code} {self.reason}: {self.message} ({rest}){details}"
