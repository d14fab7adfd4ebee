"""Log in to ZStack for a cluster's TokenKeeper: a session by password, or an access key that is tried once.

`cluster` makes one `ZStackIssuer` per cluster. Sessions are logged out when the keeper closes, since a user may have
500 of them at most. An access key needs no login; it is tried with a small read, so that a wrong one is known as such.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

import msgspec
from yarl import URL

from cloudspan_common.errors import CloudspanError, Forbidden, LoginRefused, PlatformFault, Unsupported
from cloudspan_common.telemetry import NativeCall
from cloudspan_common.tokens import IssuedToken
from cloudspan_kit import RequestInfo, path_of, unreadable
from cloudspan_zstack.cloud.dates import parse_zone
from cloudspan_zstack.cloud.dialect import API
from cloudspan_zstack.cloud.rows import Inventories, Inventory, Row
from cloudspan_zstack.cloud.signing import AccessKey, Login, password_digest, session_header

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cloudspan_common.clock import Clock
    from cloudspan_common.names import ClusterRef
    from cloudspan_common.tokens import Token
    from cloudspan_kit import Answer, HttpTransport
    from cloudspan_zstack.cloud.clouds import Cloud
    from cloudspan_zstack.cloud.dates import ServerZone
    from cloudspan_zstack.cloud.errors import Catalogue

ADMIN_ACCOUNT = "36c27e8ff05c4780bf6d2fa65700f22e"
# The keeper gives a login up after 30 s.
_TIMEOUT_S = 10.0
# An access key never expires; once a day it is tried again.
_KEY_LIFE_S = 86_400.0
# Where the server's zone is not configured: with comparison of zones on, UTC is right; with it off, most are Chinese.
_LIKELY_ZONES = (UTC, parse_zone("Asia/Shanghai"))
_JSON = msgspec.json.Encoder()


class SessionRow(Row):
    """A session; its uuid is the secret."""

    account_uuid: str = ""
    user_uuid: str = ""
    expired_date: str | int | None = None


class KeyRow(Row):
    """An access key, whose fields are spelled in capitals."""

    account_uuid: str = ""
    user_uuid: str = ""


class AccountRow(Row):
    """An account."""

    type: str = ""


class Version(msgspec.Struct):
    """Answer of getVersion."""

    version: str = ""


class CurrentTime(msgspec.Struct, rename="camel"):
    """Answer of getCurrentTime; its keys really begin with capitals."""

    current_time: dict[str, int] = {}

    def seconds(self) -> float | None:
        milliseconds = self.current_time.get("MillionSeconds")
        return milliseconds / 1000 if milliseconds else self.current_time.get("Seconds")


@dataclass(frozen=True, slots=True)
class IssuerParts:
    """What a login is made with."""

    wire: HttpTransport
    catalogue: Catalogue
    record: Callable[[NativeCall], None]
    clock: Clock
    zone: ServerZone


class ZStackIssuer:
    """The login of one cloud."""

    def __init__(self, cloud: Cloud, ref: ClusterRef, parts: IssuerParts) -> None:
        self._cloud = cloud
        self._ref = ref
        self._parts = parts
        self._version = ""
        self._ahead_s: float | None = None  # the server's clock minus ours, as far as a whole request can tell

    async def issue(self) -> IssuedToken:
        """Log in once.

        Raises:
            LoginRefused: The platform knows the credentials to be wrong.
            Unreachable, RateLimited, PlatformFault, QuotaExceeded (too many sessions): As they say.
        """
        await self._learn_server()
        if self._cloud.uses_access_key:
            return await self._try_key()
        return await self._log_in()

    async def revoke(self, token: Token) -> None:
        """Log out; an access key has no session that could be."""
        if not self._cloud.uses_access_key:
            await self._log_out(token.value)

    # ------------------------------------------------------------------ by password

    async def _log_in(self) -> IssuedToken:
        cloud, digest = self._cloud, password_digest(self._cloud.password)
        if cloud.user:
            template, key = "/accounts/users/login", "logInByUser"
            params = {"accountName": cloud.account, "userName": cloud.user, "password": digest}
        else:
            template, key = "/accounts/login", "logInByAccount"
            params = {"accountName": cloud.account, "password": digest}
        answer = await self._ask("PUT", template, body={key: params})
        row = self._decoded(answer, Inventory[SessionRow], template).inventory
        if row is None:
            raise PlatformFault(f"{cloud.endpoint} gave a login without a session", reason="BAD_LOGIN")
        self._parts.zone.learn(str(row.create_date or ""), self._server_now())
        expires = self._parts.zone.moment(row.expired_date)
        if expires is None:
            raise PlatformFault(f"{cloud.endpoint} gave a session without expiry", reason="BAD_LOGIN")
        try:
            login = await self._login(row.account_uuid, row.user_uuid, session_header(row.uuid))
        except CloudspanError:
            await self._log_out(row.uuid)  # nobody else knows of it, and a user has few
            raise
        return IssuedToken(row.uuid, expires, self._parts.zone.moment(row.create_date), login)

    async def _log_out(self, session: str) -> None:
        await self._ask("DELETE", "/accounts/sessions/{uuid}", {"uuid": session})

    # ------------------------------------------------------------------ by access key

    async def _try_key(self) -> IssuedToken:
        """Find the zone in which the server accepts our signature; only a wrong time of day is tried again."""
        zone = self._parts.zone
        zones = (zone.zone,) if zone.is_known else _LIKELY_ZONES
        for candidate in zones:
            key = AccessKey(self._cloud.access_key_id, self._cloud.access_key_secret, candidate)
            try:
                row = await self._key_row(key)
            except LoginRefused as error:
                if error.reason != "REQUEST_TIME_SKEWED" or candidate is zones[-1]:
                    raise
                continue
            zone.assume(candidate)
            now = self._server_now()
            login = await self._login(row.account_uuid, row.user_uuid, {}, key)
            return IssuedToken(key.id, now + _KEY_LIFE_S, now, login)
        raise LoginRefused(f"login of cloud {self._cloud.name}: no zone to sign in", reason="REQUEST_TIME_SKEWED")

    async def _key_row(self, key: AccessKey) -> KeyRow:
        template, params = "/accesskeys", [("q", f"AccessKeyID={key.id}"), ("limit", "1")]
        answer = await self._ask("GET", template, params=params, key=key)
        rows = self._decoded(answer, Inventories[KeyRow], template).inventories
        if not rows:
            raise LoginRefused(f"{self._cloud.endpoint} accepts access key {key.id} but does not list it")
        return rows[0]

    # ------------------------------------------------------------------ either way

    async def _login(self, account: str, user: str, headers: Mapping[str, str], key: AccessKey | None = None) -> Login:
        template = "/accounts/{uuid}"
        try:
            answer = await self._ask("GET", template, {"uuid": account}, headers=headers, key=key)
            rows = self._decoded(answer, Inventories[AccountRow], template).inventories
        except Forbidden:
            rows = []  # a user without that permission is no administrator, and as good as any for the rest
        row = rows[0] if rows else AccountRow(account)
        is_admin = account == ADMIN_ACCOUNT or row.type == "SystemAdmin"
        return Login(account, row.name or self._cloud.account, user, is_admin, self._version, key)

    async def _learn_server(self) -> None:
        """Ask once for version and time, which need no login."""
        if self._ahead_s is not None:
            return
        template = "/management-nodes/actions"
        try:
            answer = await self._ask("PUT", template, body={"getVersion": {}})
        except Unsupported as error:
            text = (
                f"{self._cloud.endpoint} answers, and has no API of ZStack's at {API}: the endpoint of cloud "
                f"{self._cloud.name} needs the server's context path as well, as in http://10.0.0.5:8080/zstack"
            )
            raise LoginRefused(text, reason="BAD_LOGIN", metadata=error.metadata) from error
        self._version = self._decoded(answer, Version, template).version
        began = self._parts.clock.now()
        answer = await self._ask("PUT", template, body={"getCurrentTime": {}})
        told = self._decoded(answer, CurrentTime, template).seconds()
        ours = (began + self._parts.clock.now()) / 2
        self._ahead_s = 0.0 if told is None else told - ours

    def _server_now(self) -> float:
        return self._parts.clock.now() + (self._ahead_s or 0.0)

    async def _ask(  # noqa: PLR0913 - the parts of a request, all but the first two by name
        self,
        method: str,
        template: str,
        args: Mapping[str, str] | None = None,
        *,
        params: Sequence[tuple[str, str]] = (),
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        key: AccessKey | None = None,
    ) -> Answer:
        """Ask once, outside of limiter and breaker: the keeper paces logins by itself."""
        asked = RequestInfo(self._ref.platform, self._ref.cluster, "login", method, template)
        path = path_of(template, args, params)
        signed = {} if key is None else key.headers(method, API + path.partition("?")[0], self._server_now())
        kind = {} if body is None else {"Content-Type": "application/json; charset=utf-8"}
        url = URL(self._cloud.endpoint + API + path, encoded=True)
        began, status, failed = time.perf_counter(), 0, ""
        try:
            data = None if body is None else _JSON.encode(body)
            answer = await self._parts.wire.exchange(
                asked, url, {**(headers or {}), **signed, **kind}, data, timeout_s=_TIMEOUT_S
            )
            status = answer.status
            if answer.status != 200:
                raise self._parts.catalogue.error(asked, answer)
            return answer
        except CloudspanError as error:
            failed = error.message
            raise
        finally:
            ms = (time.perf_counter() - began) * 1000
            self._parts.record(NativeCall(self._ref.cluster, "login", method, template, status, ms, error=failed))

    def _decoded(self, answer: Answer, into: Any, template: str) -> Any:
        try:
            return msgspec.json.decode(answer.body, type=into)
        except msgspec.DecodeError as error:
            asked = RequestInfo(self._ref.platform, self._ref.cluster, "login", "", template)
            raise unreadable(asked, answer, "", error) from error
