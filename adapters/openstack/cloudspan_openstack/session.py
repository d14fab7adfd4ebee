"""Every native call of one cluster: token, endpoint, limiter, breaker, retries, errors, and one record of it all.

The area files (servers, network, storage, ...) call `Session.get` for reads and `Session.send` for writes, nothing
else; `cluster` makes one session per cluster. Spec: design, section 7.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, overload

import msgspec
from yarl import URL

from cloudspan_common.errors import CloudspanError, NotFound, OutOfTime, RateLimited, Unreachable
from cloudspan_common.telemetry import NativeCall
from cloudspan_openstack.catalogue import Microversion, Scope, microversions_of, version_documents
from cloudspan_openstack.errors import Asked
from cloudspan_openstack.native import NativeRequest, headers_of, is_unproven, path_of, unreadable, with_outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cloudspan_common.adapterkit.driver import Call
    from cloudspan_common.clock import Clock
    from cloudspan_common.names import ClusterRef
    from cloudspan_common.tokens import Token, TokenKeeper
    from cloudspan_openstack.errors import Answer, Catalogue
    from cloudspan_openstack.guards import Guards
    from cloudspan_openstack.wire import Wire

T = TypeVar("T")

# The newest versions that this adapter was tried with; a newer cloud is spoken to in these.
PINNED = {"compute": Microversion(2, 93), "volume": Microversion(3, 70)}
_MAX_RETRIES = 3
_BACKOFF_S = 0.1  # 0.1, 0.2, 0.4 s, each +-50 %
# A write with less time than this would mostly end unknown; it is better not sent.
_LEAST_WRITE_S = 0.25
_HOPELESS = frozenset({"BREAKER_OPEN", "TLS_CERTIFICATE", "TLS_FAILED", "DNS_FAILED"})
_JSON = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class SessionParts:
    """What a session works with; `cluster` makes them."""

    keeper: TokenKeeper
    wire: Wire
    guards: Guards
    catalogue: Catalogue
    record: Callable[[NativeCall], None]
    clock: Clock


class Session:
    """The native calls of one cluster. Reads are retried within the caller's deadline, writes are not lost count of."""

    def __init__(self, ref: ClusterRef, parts: SessionParts, rng: random.Random | None = None) -> None:
        self._ref = ref
        self._parts = parts
        self._keeper = parts.keeper
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not a secret
        self._scope: Scope | None = None
        self._ranges: dict[str, tuple[Microversion, Microversion] | None] = {}
        self._decoders: dict[Any, msgspec.json.Decoder[Any]] = {}

    def __repr__(self) -> str:
        return f"<Session {self._ref}: {self._keeper!r} | versions {self.known_versions() or 'none yet'}>"

    @property
    def project_id(self) -> str:
        """The project of the last login; empty before the first one: `await scope(call)` where it must be known."""
        return self._scope.project_id if self._scope else ""

    @property
    def user_id(self) -> str:
        """The user of the last login; empty before the first one."""
        return self._scope.user_id if self._scope else ""

    @property
    def region(self) -> str:
        """The region of the last login; empty before the first one, or where clouds.yaml names none."""
        return self._scope.region if self._scope else ""

    @property
    def is_admin(self) -> bool:
        """Whether the last login has the role `admin`."""
        return self._scope is not None and self._scope.is_admin

    @property
    def known_scope(self) -> Scope | None:
        """What the last login told; None before the first one."""
        return self._scope

    def known_versions(self) -> str:
        """Return what is known of the services' microversions, for people."""
        return ", ".join(f"{service} {found[1]}" for service, found in sorted(self._ranges.items()) if found)

    def has(self, service: str) -> bool:
        """Whether the catalogue has `service`; true as long as there was no login to tell."""
        return self._scope is None or service in self._scope.endpoints

    async def scope(self, call: Call) -> Scope:
        """Return who we are, after a login if need be."""
        token = await self._keeper.token(timeout_s=call.deadline.remaining())
        return self._scope_of(token)

    async def microversion(self, call: Call, service: str) -> Microversion:
        """Return what calls to `service` speak unless they say otherwise: the pinned version or the cloud's highest.

        (2, 1) and the like for a service that offers none.
        """
        pinned = PINNED.get(service)
        if pinned is None:
            return Microversion(0, 0)
        if service not in self._ranges:
            # Two callers at once ask twice, which is cheaper to bear than a lock on every call.
            self._ranges[service] = microversions_of(service, await self._version_document(call, service))
        offered = self._ranges[service]
        if offered is None:
            return Microversion(pinned.major, 1 if service == "compute" else 0)
        return min(pinned, offered[1])

    async def _version_document(self, call: Call, service: str) -> dict[str, Any]:
        by_version, by_service = version_documents((await self.scope(call)).base(service))
        try:
            return await self._document(call, service, by_version)
        except NotFound:
            return await self._document(call, service, by_service)

    async def _document(self, call: Call, service: str, url: str) -> dict[str, Any]:
        document: dict[str, Any] = await self._run(NativeRequest(call, "GET", service, "/", "/", "", url=url), dict)
        return document

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
        answer: T = await self._run(NativeRequest(call, "GET", service, template, path, version), into)
        return answer

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
        request = NativeRequest(call, method, service, template, path, version, body, redo_ok, min_life_s)
        answer: T | None = await self._run(request, into)
        return answer

    async def _spoken(self, call: Call, service: str) -> str:
        return str(await self.microversion(call, service)) if service in PINNED else ""

    async def _run(self, request: NativeRequest, into: type[T] | None) -> Any:
        """Make one native call, whatever it takes, and record it once."""
        error = ""
        try:
            answer = await self._retried(request)
            return None if into is None else self._decoded(request, answer, into)
        except CloudspanError as raised:
            proven = with_outcome(request, raised)
            # That something is not there is an answer, and looking for it no failure.
            error = "" if isinstance(proven, NotFound) and not request.is_write else proven.message
            if proven is raised:
                raise
            raise proven from raised
        finally:
            self._parts.record(
                NativeCall(
                    cluster=self._ref.cluster,
                    service=request.service,
                    method=request.method,
                    template=request.template,
                    status=request.status,
                    ms=(time.perf_counter() - request.began - request.waited_s) * 1000,
                    native_request_id=request.native_request_id,
                    retries=request.retries,
                    waited_ms=request.waited_s * 1000,
                    error=error,
                )
            )

    async def _retried(self, request: NativeRequest) -> Answer:
        while True:
            try:
                return await self._authorized(request)
            except CloudspanError as error:
                pause = self._pause_before_retry(request, error)
                if pause is None:
                    raise
                request.retries += 1
                await self._parts.clock.sleep(pause)

    def _pause_before_retry(self, request: NativeRequest, error: CloudspanError) -> float | None:
        """Return how long to wait before sending again; None if it must not or need not be sent again."""
        if request.retries >= _MAX_RETRIES or error.reason in _HOPELESS:
            return None
        if isinstance(error, RateLimited):
            return 0.0  # the limiter's gate makes it wait, or refuses
        if not isinstance(error, Unreachable) or (is_unproven(error) and not request.repeatable):
            return None
        pause = _BACKOFF_S * 2**request.retries * (0.5 + self._rng.random())
        return pause if pause < request.call.deadline.remaining() else None

    async def _authorized(self, request: NativeRequest) -> Answer:
        """Send with a valid token; a 401 proves that nothing was done, so even a write is sent again."""
        while True:
            began = time.perf_counter()
            token = await self._keeper.token(min_life_s=request.min_life_s, timeout_s=request.call.deadline.remaining())
            request.waited_s += time.perf_counter() - began
            answer = await self._guarded(request, token)
            if answer.status != 401:
                return answer
            # The keeper says no as soon as a new login can't help.
            if request.retries >= _MAX_RETRIES or not self._keeper.retire(token):
                raise self._parts.catalogue.error(self._asked(request), answer)
            request.retries += 1

    async def _guarded(self, request: NativeRequest, token: Token) -> Answer:
        """Pass limiter and breaker, send, and turn refusals into errors; 401 is the caller's."""
        base = self._scope_of(token).base(request.service)
        limiter, breaker = self._parts.guards.of(base)
        began = time.perf_counter()
        async with limiter.slot(timeout_s=request.call.deadline.remaining()):
            request.waited_s += time.perf_counter() - began
            with breaker.call():
                return await self._exchange(request, token, URL(request.url or base + request.path, encoded=True))

    async def _exchange(self, request: NativeRequest, token: Token, url: URL) -> Answer:
        left = request.call.deadline.remaining()
        if left < (_LEAST_WRITE_S if request.is_write else 0.001):
            text = f"{self._asked(request)} was not sent: {left:.2f} s left of the caller's time"
            raise OutOfTime(text, metadata=self._asked(request).metadata())
        asked, sent_at = self._asked(request), self._parts.clock.now()
        request.status, request.native_request_id = 0, ""
        answer = await self._parts.wire.exchange(asked, url, headers_of(request, token), request.body, timeout_s=left)
        request.status, request.native_request_id = answer.status, answer.request_id
        self._keeper.observe_server_date(answer.headers.get("Date", ""), sent_at=sent_at)
        # A service's list of versions comes with 300.
        if answer.status > 300 and answer.status != 401:
            if answer.status == 406:
                self._ranges.pop(request.service, None)  # the cloud was up- or downgraded meanwhile
            raise self._parts.catalogue.error(asked, answer)
        return answer

    def _asked(self, request: NativeRequest) -> Asked:
        path = request.path.partition("?")[0]
        return Asked(self._ref.platform, self._ref.cluster, request.service, request.method, path)

    def _scope_of(self, token: Token) -> Scope:
        scope = token.payload
        assert isinstance(scope, Scope)  # noqa: S101 - our own issuer made it
        self._scope = scope
        return scope

    def _decoded(self, request: NativeRequest, answer: Answer, into: type[T]) -> T:
        decoder = self._decoders.get(into)
        if decoder is None:
            decoder = self._decoders[into] = msgspec.json.Decoder(into)
        try:
            decoded: T = decoder.decode(answer.body)
        except msgspec.DecodeError as error:
            raise unreadable(self._asked(request), answer, error) from error
        return decoded
