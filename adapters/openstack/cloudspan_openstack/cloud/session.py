"""Every native call of one cluster: token, endpoint, limiter, breaker, retries, errors, and one record of it all.

Sources and drivers call `Session.get`, `rows` and `row` for reads and `Session.send` for writes, nothing else;
`cluster` makes one session per cluster.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, overload

import msgspec

from cloudspan_common.errors import CloudspanError, OutOfTime, PlatformFault, RateLimited, Unreachable
from cloudspan_common.logs import get_logger
from cloudspan_kit import NativeCaller, NativeParts, NativeRequest, Rows, Unreadable, path_of, read_row, unreadable
from cloudspan_openstack.cloud.catalogue import (
    Microversion,
    Scope,
    is_version_document,
    microversions_of,
    version_documents,
)
from cloudspan_openstack.cloud.dialect import Dialect, version_headers
from cloudspan_openstack.cloud.rows import decode_each, decode_one, decode_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cloudspan_common.clock import Clock
    from cloudspan_common.names import ClusterRef
    from cloudspan_common.telemetry import NativeCall
    from cloudspan_common.tokens import TokenKeeper
    from cloudspan_kit import Answer, Call, Guards, HttpTransport
    from cloudspan_openstack.cloud.errors import Catalogue
    from cloudspan_openstack.cloud.rows import Answered, Collection

R = TypeVar("R")
T = TypeVar("T")

# The newest versions that this adapter was tried with; a newer cloud is spoken to in these.
PINNED = {"compute": Microversion(2, 93), "volume": Microversion(3, 70)}
_JSON = msgspec.json.Encoder()

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SessionParts:
    """What a session works with; `cluster` makes them."""

    keeper: TokenKeeper
    wire: HttpTransport
    guards: Guards
    catalogue: Catalogue
    record: Callable[[NativeCall], None]
    clock: Clock


class Session:
    """The native calls of one cluster. Reads are retried within the caller's deadline, writes are not lost count of."""

    def __init__(self, ref: ClusterRef, parts: SessionParts) -> None:
        self._ref = ref
        self.clock = parts.clock
        self._keeper = parts.keeper
        self._dialect = Dialect(parts.catalogue, self._forget_version)
        native = NativeParts(parts.keeper, parts.wire, parts.guards, parts.record, parts.clock)
        self._caller = NativeCaller(ref, native, self._dialect)
        self._ranges: dict[str, tuple[Microversion, Microversion] | None] = {}
        self._silent: set[str] = set()
        self._decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
        self._own: dict[Any, Any] = {}

    def __repr__(self) -> str:
        return f"<Session {self._ref}: {self._keeper!r} | versions {self.known_versions() or 'none yet'}>"

    def own(self, what: Callable[[Session], T]) -> T:
        """Return the cluster's one `what`, made at its first use: what sources remember from call to call."""
        if what not in self._own:
            self._own[what] = what(self)
        found: T = self._own[what]
        return found

    @property
    def project_id(self) -> str:
        """The project of the last login; empty before the first one: `await scope(call)` where it must be known."""
        return self._dialect.scope.project_id if self._dialect.scope else ""

    @property
    def user_id(self) -> str:
        """The user of the last login; empty before the first one."""
        return self._dialect.scope.user_id if self._dialect.scope else ""

    @property
    def is_admin(self) -> bool:
        """Whether the last login has the role `admin`."""
        return self._dialect.scope is not None and self._dialect.scope.is_admin

    @property
    def known_scope(self) -> Scope | None:
        """What the last login told; None before the first one."""
        token = self._keeper.current()
        return self._dialect.scope if token is None else self._dialect.scope_of(token)

    def known_versions(self) -> str:
        """Return what is known of the services' microversions, for people."""
        return ", ".join(f"{service} {version}" for service, version in self.api_versions().items())

    def api_versions(self) -> dict[str, str]:
        """Return the highest microversion that each service was seen to offer, by service."""
        return {service: str(found[1]) for service, found in sorted(self._ranges.items()) if found}

    def is_silent(self, service: str) -> bool:
        """Whether `service` was seen to publish no version document, so that it is spoken to in its lowest version."""
        return service in self._silent

    def has(self, service: str) -> bool:
        """Whether the catalogue has `service`; true as long as there was no login to tell."""
        return self._dialect.scope is None or service in self._dialect.scope.endpoints

    async def scope(self, call: Call) -> Scope:
        """Return who we are, after a login if need be."""
        token = await self._keeper.token(timeout_s=call.deadline.remaining())
        return self._dialect.scope_of(token)

    async def microversion(self, call: Call, service: str) -> Microversion:
        """Return what calls to `service` speak unless they say otherwise: the pinned version or the cloud's highest.

        (2, 1) and the like for a service that offers none.
        """
        pinned = PINNED.get(service)
        if pinned is None:
            return Microversion(0, 0)
        if service not in self._ranges:
            # Two callers at once ask twice, which is cheaper to bear than a lock on every call.
            self._ranges[service] = await self._offered(call, service)
        return _spoken_of(service, self._ranges[service])

    def known_microversion(self, service: str) -> Microversion | None:
        """Return what `microversion` would, without asking: None as long as nothing was asked of `service`."""
        return _spoken_of(service, self._ranges[service]) if service in self._ranges else None

    async def _offered(self, call: Call, service: str) -> tuple[Microversion, Microversion] | None:
        """Return the microversions that a service offers, None where it tells none.

        API gateways publish services without their version documents, or answer something else in their place. That is
        remembered as well: microversions must not rise under operations, which look for markers by them.
        """
        for url in version_documents((await self.scope(call)).base(service)):
            try:
                document = await self._run(NativeRequest(call, "GET", service, "/", "/", url=url), dict)
            except (Unreachable, RateLimited, OutOfTime):
                raise  # it may have a document, and can't be asked now
            except CloudspanError as error:
                log.info("no version document", cluster=str(self._ref), service=service, url=url, reason=error.reason)
                continue
            if is_version_document(document):
                return microversions_of(service, document)
        self._silent.add(service)
        return None

    async def get(  # noqa: PLR0913 - the parts of a request, all but the first four by name
        self,
        call: Call,
        service: str,
        template: str,
        into: type[T],
        *,
        args: Mapping[str, str] | None = None,
        params: Sequence[tuple[str, str]] | Mapping[str, str] = (),
        microversion: str = "",
    ) -> T:
        """Read; again after broken connections, 429, 502, 503 and 504, as long as the caller's deadline allows.

        Args:
            call: The call that this is part of; its deadline bounds everything.
            service: compute, network, volume, image or identity.
            template: The path with names for ids, `/servers/{id}`; it labels metrics.
            into: What to decode the answer into: a msgspec type, or dict.
            args: Values of the template's names; percent-encoded here.
            params: The query.
            microversion: `2.79`; empty means what `microversion()` returns.

        Raises:
            CloudspanError: The native error by the catalogue; PlatformFault for an answer that can't be decoded.
        """
        path = path_of(template, args, params)
        version = microversion or await self._spoken(call, service)
        request = NativeRequest(call, "GET", service, template, path, version_headers(service, version))
        answer: T = await self._run(request, into)
        return answer

    async def rows(
        self,
        call: Call,
        service: str,
        template: str,
        collection: Collection[R],
        *,
        params: Sequence[tuple[str, str]] = (),
        microversion: str = "",
    ) -> Answered[R]:
        """Read rows of a collection; an odd one hides none of the others, see `cloudspan_kit.lists.rows`.

        Raises:
            CloudspanError: As `get`; PlatformFault only where the answer holds no rows at all.
        """
        version = microversion or await self._spoken(call, service)
        path = path_of(template, None, params)
        request = NativeRequest(call, "GET", service, template, path, version_headers(service, version))

        def read(answer: Answer) -> Answered[R]:
            try:
                if not call.full:
                    return decode_whole(collection, answer.body)
            except msgspec.ValidationError:
                pass  # it is JSON, and of another shape: row by row then
            except msgspec.DecodeError as error:
                raise unreadable(self._caller.asked(request), answer, request.native_request_id, error) from error
            body = self._decoded(request, answer, dict[str, Any])
            try:
                return decode_each(collection, body, full=call.full)
            except msgspec.ValidationError as error:
                raise unreadable(self._caller.asked(request), answer, request.native_request_id, error) from error

        return await self._caller.run(request, read)

    async def row(
        self, call: Call, service: str, template: str, key: str, into: type[R], *, args: Mapping[str, str]
    ) -> Rows[R]:
        """Read one resource, which stands in the answer at `key`, or bare where that is empty; leniently if need be.

        Raises:
            NotFound: There is none of that id under the cluster's scope.
            PlatformFault: It can't be read, with the field that it fails for.
        """
        version, path = await self._spoken(call, service), path_of(template, args, ())
        request = NativeRequest(call, "GET", service, template, path, version_headers(service, version))

        def read(answer: Answer) -> Rows[R]:
            try:
                if not call.full:
                    return Rows([decode_one(key, into, answer.body)])
            except msgspec.DecodeError:
                pass
            body = self._decoded(request, answer, dict[str, Any])
            document, notes = body.get(key) if key else body, list[str]()
            try:
                row = read_row(document, into, notes)
            except Unreadable as error:
                text = f"{service} of {self._ref} answered for {template.format(**args)} what can't be read: {error}"
                raise PlatformFault(text, reason="UNEXPECTED_SHAPE") from error
            return Rows([row], [document] if call.full and document else [], notes)

        return await self._caller.run(request, read)

    @overload
    async def send(
        self, call: Call, method: str, service: str, template: str, into: type[T], *,
        args: Mapping[str, str] | None = None, params: Sequence[tuple[str, str]] | Mapping[str, str] = (),
        json: object = None, microversion: str = "", redo_ok: bool = False, min_life_s: float = 0.0,
    ) -> T: ...  # fmt: skip
    @overload
    async def send(
        self, call: Call, method: str, service: str, template: str, into: None, *,
        args: Mapping[str, str] | None = None, params: Sequence[tuple[str, str]] | Mapping[str, str] = (),
        json: object = None, microversion: str = "", redo_ok: bool = False, min_life_s: float = 0.0,
    ) -> None: ...  # fmt: skip
    async def send(  # noqa: PLR0913 - as for get
        self,
        call: Call,
        method: str,
        service: str,
        template: str,
        into: type[T] | None,
        *,
        args: Mapping[str, str] | None = None,
        params: Sequence[tuple[str, str]] | Mapping[str, str] = (),
        json: object = None,
        microversion: str = "",
        redo_ok: bool = False,
        min_life_s: float = 0.0,
    ) -> T | None:
        """Write; sent again only when it is proven that nothing was carried out, or when `redo_ok` says it may be.

        Args:
            call: As for `get`, like service, template, args, params and microversion.
            method: POST, PUT, PATCH or DELETE.
            service: See `get`.
            template: See `get`.
            into: What to decode the answer into; None drops it.
            args: See `get`.
            params: See `get`.
            json: The body.
            microversion: See `get`.
            redo_ok: The write is idempotent (DELETE, PUT).
            min_life_s: How long the token must live on, where the platform goes on working with it.

        Raises:
            OutcomeUnknown: Sent, and nothing proves whether it was carried out.
            OutOfTime: Too little time was left; nothing was sent.
            CloudspanError: The native error by the catalogue: it was not carried out.
        """
        path = path_of(template, args, params)
        version = microversion or await self._spoken(call, service)
        body = None if json is None else _JSON.encode(json)
        request = NativeRequest(
            call, method, service, template, path, version_headers(service, version), body, redo_ok, min_life_s
        )
        answer: T | None = await self._run(request, into)
        return answer

    async def _spoken(self, call: Call, service: str) -> str:
        return str(await self.microversion(call, service)) if service in PINNED else ""

    async def _run(self, request: NativeRequest, into: type[T] | None) -> Any:
        return await self._caller.run(
            request, lambda answer: None if into is None else self._decoded(request, answer, into)
        )

    def _forget_version(self, service: str) -> None:
        self._ranges.pop(service, None)
        self._silent.discard(service)

    def _decoded(self, request: NativeRequest, answer: Answer, into: type[T]) -> T:
        decoder = self._decoders.get(into)
        if decoder is None:
            decoder = self._decoders[into] = msgspec.json.Decoder(into)
        try:
            decoded: T = decoder.decode(answer.body)
        except msgspec.DecodeError as error:
            raise unreadable(self._caller.asked(request), answer, request.native_request_id, error) from error
        return decoded


def _spoken_of(service: str, offered: tuple[Microversion, Microversion] | None) -> Microversion:
    pinned = PINNED[service]
    return min(pinned, offered[1]) if offered else Microversion(pinned.major, 1 if service == "compute" else 0)
