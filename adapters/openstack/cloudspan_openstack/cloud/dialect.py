"""What OpenStack's calls have of their own: token, versions, and what an answer means. Used by `session` only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_openstack.cloud.catalogue import Scope
from cloudspan_openstack.cloud.errors import request_id_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudspan_common.errors import CloudspanError
    from cloudspan_common.tokens import Token
    from cloudspan_kit import Answer, NativeRequest, RequestInfo
    from cloudspan_openstack.cloud.errors import Catalogue


class Dialect:
    """Implements `native_calls.Dialect`; remembers the scope of the last token that was used."""

    def __init__(self, catalogue: Catalogue, on_wrong_version: Callable[[str], object]) -> None:
        self._catalogue = catalogue
        self._on_wrong_version = on_wrong_version
        self.scope: Scope | None = None

    def base(self, request: NativeRequest, token: Token) -> str:
        return self.scope_of(token).base(request.service)

    def headers(self, request: NativeRequest, token: Token) -> dict[str, str]:
        headers = {"X-Auth-Token": token.value, **request.headers}
        if request.body is not None:
            headers["Content-Type"] = "application/json"
        if request.call.request_id:
            headers["X-OpenStack-Request-ID"] = _global_id(request.call.request_id)
        return headers

    def refuses_token(self, request: NativeRequest, answer: Answer) -> bool:
        """A version document needs no token; a 401 there is a proxy's, and says nothing of ours."""
        return answer.status == 401 and not request.url

    def request_id(self, request: NativeRequest, answer: Answer) -> str:
        return request_id_of(answer)

    def error(self, request: NativeRequest, asked: RequestInfo, answer: Answer) -> CloudspanError | None:
        if answer.status <= 300:  # a service's list of versions comes with 300
            return None
        if answer.status == 406:
            self._on_wrong_version(request.service)  # the cloud was up- or downgraded meanwhile
        return self._catalogue.error(asked, answer)

    def is_business(self, answer: Answer) -> bool:
        """No: an OpenStack service says 5xx and 429 only when it is ill or busy."""
        return False

    def scope_of(self, token: Token) -> Scope:
        """Return what the login of a token told."""
        scope = token.payload
        assert isinstance(scope, Scope)  # noqa: S101 - our own issuer made it
        self.scope = scope
        return scope


def version_headers(service: str, microversion: str) -> dict[str, str]:
    """Return the headers that ask a service to speak in `microversion`."""
    if not microversion:
        return {}
    headers = {"OpenStack-API-Version": f"{service} {microversion}"}
    if service == "compute":
        headers["X-OpenStack-Nova-API-Version"] = microversion  # all that Nova knows below 2.27
    return headers


def _global_id(request_id: str) -> str:
    """OpenStack logs a caller's request id only in its own form, `req-` and a UUID."""
    h = request_id
    if len(h) == 32 and h.isalnum():
        h = f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"
    return f"req-{h}"
