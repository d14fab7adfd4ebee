"""What a native request and its answer look like between the HTTP door and the fake services.

`app` makes a `Call` of each request; a service's handler returns a `Reply` or raises `Refused`, which the
service then words in its own dialect. Handlers are plain functions: one request is one atomic step.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from cloudspan_kit.fakes import wire as kit
from cloudspan_kit.fakes.wire import HTML, JSON, Json, Reply

if TYPE_CHECKING:
    from cloudspan_openstack_fake.identity.tokens import Identity

Handler = Callable[["Call"], "Reply"]

TITLES = {
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    406: "Not Acceptable", 409: "Conflict", 413: "Request Entity Too Large", 415: "Unsupported Media Type",
    429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable",
    504: "Gateway Timeout",
}  # fmt: skip


class Refused(Exception):
    """A handler says no: `kind` is the dialect's own type name where it has one (Neutron)."""

    def __init__(self, status: int, message: str, kind: str = "", *, html: bool = False) -> None:
        super().__init__(message)
        self.status, self.message, self.kind, self.html = status, message, kind, html


@dataclass(slots=True)
class Call(kit.Call):
    """One native request."""

    request_id: str
    version: tuple[int, int] = (0, 0)
    params: dict[str, str] = field(default_factory=dict)
    who: Identity | None = None
    bad_json: str = "Malformed request body"

    def notes(self) -> Mapping[str, Any]:
        version = ".".join(str(part) for part in self.version) if self.version[0] else ""
        return {"microversion": version, "request_id": self.request_id}

    @property
    def url(self) -> str:
        """The service's root, as it is told in links."""
        return f"{self.base}/{self.service}"

    @property
    def identity(self) -> Identity:
        if self.who is None:
            raise Refused(401, "The request you have made requires authentication.")
        return self.who

    @property
    def project_id(self) -> str:
        """The project the token is scoped to; empty for an unscoped one."""
        return self.identity.project_id

    def document(self) -> Json:
        """Return the body as an object."""
        try:
            decoded = msgspec.json.decode(self.raw)
        except msgspec.DecodeError:
            raise Refused(400, self.bad_json) from None
        if not isinstance(decoded, dict):
            raise Refused(400, self.bad_json)
        return decoded


def empty(status: int = 204, content_type: str = JSON, **headers: str) -> Reply:
    return Reply(status, b"", content_type, {name.replace("_", "-"): value for name, value in headers.items()})


def html(status: int, message: str) -> Reply:
    """Return an error page as WebOb makes it: what Glance sends for every 4xx, the others for unknown paths."""
    title = f"{status} {TITLES.get(status, 'Error')}"
    page = (
        f"<html>\n <head>\n  <title>{title}</title>\n </head>\n <body>\n  <h1>{title}</h1>\n"
        f"  {message}<br /><br />\n\n\n\n </body>\n</html>"
    )
    return Reply(status, page.encode(), HTML)


def python_repr(value: Any) -> str:
    """Return a value as the real services print it in their messages."""
    return repr(value) if not isinstance(value, str) else value


class Routes:
    """Finds the handler of a method and path; templates registered first win."""

    def __init__(self) -> None:
        self._by_shape: dict[tuple[str, int], list[tuple[tuple[str, ...], Handler]]] = {}

    def add(self, method: str, template: str, handler: Handler) -> None:
        parts = tuple(template.strip("/").split("/"))
        self._by_shape.setdefault((method, len(parts)), []).append((parts, handler))

    def add_all(self, table: Mapping[str, Handler]) -> None:
        """Register `{"GET /servers/{id}": handler}`."""
        for route, handler in table.items():
            method, template = route.split(" ", 1)
            self.add(method, template, handler)

    def find(self, method: str, path: str) -> tuple[Handler, dict[str, str]] | None:
        given = path.strip("/").split("/")
        for parts, handler in self._by_shape.get((method, len(given)), ()):
            if all(want == got or want[:1] == "{" for want, got in zip(parts, given, strict=True)):
                names = zip(parts, given, strict=True)
                return handler, {want[1:-1]: got for want, got in names if want[:1] == "{"}
        return None


class Service(Protocol):
    """One of the five fakes, as `app` sees it."""

    name: str
    routes: Routes

    def public(self, call: Call) -> Reply | None:
        """Answer what needs no token, or None."""
        ...

    def negotiate(self, call: Call) -> None:
        """Set the call's microversion, or refuse it."""
        ...

    def refusal(self, call: Call, refused: Refused) -> Reply:
        """Word a refusal in the service's dialect."""
        ...

    def decorate(self, call: Call, answer: Reply) -> None:
        """Add the headers that the service sends with every answer."""
        ...


def faults_document(key: str, status: int, message: str, **more: str) -> bytes:
    """Return the body of an error in Nova's and Cinder's form."""
    return json.dumps({key: {"code": status, "message": message, **more}}).encode()


def parse_version(header: str, service_type: str, lowest: tuple[int, int], highest: tuple[int, int]) -> tuple[int, int]:
    """Return the microversion that an `OpenStack-API-Version` header asks of `service_type`.

    Raises:
        Refused: 400 for a malformed version, 406 for one out of range.
    """
    asked = ""
    for part in header.split(","):
        words = part.split()
        if len(words) == 2 and words[0].lower() == service_type:
            asked = words[1]
    if not asked:
        return lowest
    if asked == "latest":
        return highest
    major, dot, minor = asked.partition(".")
    if not (dot and major.isdigit() and minor.isdigit()):
        text = f"API Version String {asked} is of invalid format. Must be of format MajorNum.MinorNum."
        raise Refused(400, text)
    version = (int(major), int(minor))
    if not lowest <= version <= highest:
        low, high = f"{lowest[0]}.{lowest[1]}", f"{highest[0]}.{highest[1]}"
        raise Refused(406, f"Version {asked} is not supported by the API. Minimum is {low} and maximum is {high}.")
    return version
