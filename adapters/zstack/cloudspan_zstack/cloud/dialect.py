"""What ZStack's calls have of their own: how a request is signed, and what an answer means. `session` makes one."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

import msgspec

from cloudspan_kit import unreadable
from cloudspan_zstack.cloud.errors import error_chain, refuses_session
from cloudspan_zstack.cloud.signing import Login

if TYPE_CHECKING:
    from cloudspan_common.clock import Clock
    from cloudspan_common.errors import CloudspanError
    from cloudspan_common.tokens import Token
    from cloudspan_kit import Answer, NativeRequest, RequestInfo
    from cloudspan_zstack.cloud.errors import Catalogue

API = "/v1"
JOB_HEADER = "X-Job-UUID"
JOB_PATH = "/api-jobs/{uuid}"


class Dialect:
    """Implements `native_calls.Dialect`."""

    def __init__(self, endpoint: str, catalogue: Catalogue, clock: Clock) -> None:
        self._endpoint = endpoint
        self._catalogue = catalogue
        self._clock = clock

    def base(self, request: NativeRequest, token: Token) -> str:
        return self._endpoint + API

    def headers(self, request: NativeRequest, token: Token) -> dict[str, str]:
        path = API + unquote(request.path.partition("?")[0])
        headers = login_of(token).authorization(token.value, request.method, path, self._clock.now())
        if request.body is not None:
            headers["Content-Type"] = "application/json; charset=utf-8"
        headers.update(request.headers)
        return headers

    def refuses_token(self, request: NativeRequest, answer: Answer) -> bool:
        """A poll's error is the job's, and the job has used up its uuid: that is for whoever sent it."""
        return request.template != JOB_PATH and answer.status == 503 and refuses_session(answer)

    def request_id(self, request: NativeRequest, answer: Answer) -> str:
        """The job's uuid; a read has none."""
        if request.template == JOB_PATH:
            return request.path.rpartition("/")[2]
        return request.headers.get(JOB_HEADER, "")

    def error(self, request: NativeRequest, asked: RequestInfo, answer: Answer) -> CloudspanError | None:
        if answer.status in (200, 202):
            return _page_of_a_proxy(asked, answer)
        ended = request.template == JOB_PATH and bool(error_chain(answer))
        if ended and request.about is not None:
            asked = request.about  # what failed is what the job does, not the look at it
        return self._catalogue.error(asked, answer, self.request_id(request, answer), final=ended)

    def is_business(self, answer: Answer) -> bool:
        return bool(error_chain(answer))


def _page_of_a_proxy(asked: RequestInfo, answer: Answer) -> CloudspanError | None:
    """Return the error for a success that is none of the server's: nothing would look into its body otherwise."""
    if not answer.body or answer.body.lstrip()[:1] == b"{":
        return None
    return unreadable(asked, answer, "", msgspec.DecodeError("it is not an object"))


def service_of(template: str) -> str:
    """Return what metrics call the service of a path: its first segment."""
    return template.split("/", 2)[1]


def login_of(token: Token) -> Login:
    """Return what the login of a token told."""
    login = token.payload
    assert isinstance(login, Login)  # noqa: S101 - our own issuer made it
    return login
