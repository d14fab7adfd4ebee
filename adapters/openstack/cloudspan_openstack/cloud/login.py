"""Log in to Keystone for a cluster's TokenKeeper, with whatever auth plugin its clouds.yaml names.

`cluster` makes one `KeystoneIssuer` per cluster. Each `issue` is one fresh login: keystoneauth's own caching and
`invalidate` are never used, since under a server-side revocation half of the callers lose their race.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import requests
from keystoneauth1 import exceptions as ks
from keystoneauth1 import session as ks_session
from keystoneauth1.identity.generic.base import BaseGenericPlugin

from cloudspan_common.errors import (
    CloudspanError,
    Forbidden,
    LoginRefused,
    PlatformFault,
    RateLimited,
    Unreachable,
)
from cloudspan_common.redaction import masked_text
from cloudspan_common.telemetry import NativeCall
from cloudspan_common.tokens import IssuedToken
from cloudspan_kit import Answer, connection_error
from cloudspan_openstack.cloud.catalogue import Scope, endpoints_of, read_catalogue, region_of, regions_in, versioned

if TYPE_CHECKING:
    from collections.abc import Callable

    from keystoneauth1.access.access import AccessInfo
    from keystoneauth1.identity.base import BaseIdentityPlugin

    from cloudspan_common.tokens import Token
    from cloudspan_openstack.cloud.clouds import Cloud

# The keeper gives a login up after 30 s; its thread must not hang on much longer.
_LOGIN_TIMEOUT_S = 29.0
_MAX_TEXT = 300
_MAX_PAUSE_S = 300.0  # whatever Retry-After says, as for other calls
_FIX = "fix the credentials, or what they are for, in clouds.yaml"
_MEANINGS: tuple[tuple[tuple[type[Exception], ...], type[CloudspanError], str, str], ...] = (
    ((ks.Unauthorized,), LoginRefused, "", _FIX),
    ((ks.MissingAuthMethods,), LoginRefused, "SECOND_FACTOR_NEEDED", "use an application credential"),
    # keystoneauth itself finds that the settings contradict each other.
    ((ks.AuthorizationFailure,), LoginRefused, "", _FIX),
    ((ks.TooManyRequests,), RateLimited, "", "Keystone asks to slow down"),
    ((ks.Forbidden,), Forbidden, "", "ask the cloud's operator"),
    # Discovery fails when nothing useful answers at auth_url: a proxy's page, a service that starts.
    ((ks.HttpServerError, ks.DiscoveryFailure), Unreachable, "", "retry later, or look at auth_url in clouds.yaml"),
    ((ks.HttpError,), PlatformFault, "", "look at auth_url in clouds.yaml"),
)


class KeystoneIssuer:
    """The login of one cloud, on threads of its own: a cloud that hangs slows no other."""

    def __init__(self, cloud: Cloud, cluster: str, record: Callable[[NativeCall], None]) -> None:
        self._cloud = cloud
        self._cluster = cluster
        self._record = record
        self._where = f"login of cloud {cloud.name} at {cloud.auth_url}"
        # Two, so that one login stuck in the network does not hold up the next.
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix=f"login-{cloud.name}")

    async def issue(self) -> IssuedToken:
        """Log in once.

        Raises:
            LoginRefused: Keystone does not know the credentials, or what they are for; the login has no project; the
                catalogue has several regions and clouds.yaml names none.
            Unreachable, RateLimited, PlatformFault: As they say.
        """
        started = time.perf_counter()
        status, error = 0, ""
        try:
            access = await asyncio.get_running_loop().run_in_executor(self._threads, self._log_in)
            status = 201
            return self._issued(access)
        except (ks.ClientException, requests.RequestException) as native:
            domain = self._domain_error(native)
            status, error = int(getattr(native, "http_status", 0) or 0), domain.message
            raise domain from native
        except (KeyError, TypeError, AttributeError, ValueError) as native:
            # keystoneauth takes for granted that a login is as documented.
            error = f"{self._where} answered with what is no login of Keystone; look at auth_url in clouds.yaml"
            raise PlatformFault(error, reason="BAD_LOGIN", metadata={"cluster": self._cluster}) from native
        finally:
            ms = (time.perf_counter() - started) * 1000
            self._record(NativeCall(self._cluster, "identity", "POST", "/auth/tokens", status, ms, error=error))

    async def revoke(self, token: Token) -> None:
        """Leave the token to expire: Keystone keeps no session, and a revocation would only grow its event list."""

    def close(self) -> None:
        """Let the threads end; a login still under way is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _log_in(self) -> AccessInfo:
        cloud = self._cloud
        with requests.Session() as http:
            # Private clouds lie behind no proxy, and no .netrc may replace what clouds.yaml says.
            http.trust_env = False
            session = ks_session.Session(
                verify=cloud.login_verify(),
                cert=cloud.client_certificate,
                timeout=_LOGIN_TIMEOUT_S,
                session=http,
                redirect=False,  # the password would go along
            )
            try:
                return cloud.auth.get_auth_ref(session)
            except ks.DiscoveryFailure as error:
                plugin = self._undiscovered(error, session)
                if plugin is None:
                    raise
                return plugin.get_auth_ref(session)

    def _undiscovered(self, error: ks.DiscoveryFailure, session: ks_session.Session) -> BaseIdentityPlugin | None:
        """Return how to log in to Keystone's v3 at auth_url where no version document says that it is there."""
        auth = self._cloud.auth
        if not isinstance(auth, BaseGenericPlugin) or isinstance(error.__context__, ks.ConnectionError):
            return None
        return auth.create_plugin(session, (3, 0), versioned("identity", self._cloud.auth_url, ""))

    def _issued(self, access: AccessInfo) -> IssuedToken:
        if access.expires is None or not access.auth_token:
            raise PlatformFault(f"{self._cloud.auth_url} gave a login without token or expiry", reason="BAD_LOGIN")
        if not access.project_id:
            text = f"cloud {self._cloud.name}: the login has no project; name one in clouds.yaml (project_name)"
            raise LoginRefused(text, reason="NO_PROJECT_SCOPE")
        endpoints = read_catalogue(access.service_catalog.catalog if access.has_service_catalog() else [])
        region = region_of(endpoints, self._cloud)
        scope = Scope(
            project_id=access.project_id,
            project_name=access.project_name or "",
            user_id=access.user_id or "",
            roles=tuple(name.lower() for name in access.role_names or ()),
            region=region,
            regions=regions_in(endpoints),
            endpoints=endpoints_of(endpoints, self._cloud, region, access.project_id),
        )
        issued_at = access.issued.timestamp() if access.issued else None
        return IssuedToken(access.auth_token, access.expires.timestamp(), issued_at, scope)

    def _domain_error(self, native: Exception) -> CloudspanError:
        where = self._where
        metadata = {"cluster": self._cluster, "http_status": str(getattr(native, "http_status", "") or "")}
        # A connection that failed under discovery is told as a failed discovery.
        unreached = native.__context__ if isinstance(native, ks.DiscoveryFailure) else native
        if isinstance(unreached, ks.ConnectionError | requests.RequestException):
            return connection_error(unreached, where, metadata)
        answer = _answer(native)
        if answer.redirect:
            text = f"{where} is redirected to {answer.redirect}, which is not followed; correct auth_url in clouds.yaml"
            return PlatformFault(text, reason="REDIRECTED", metadata=metadata)
        if isinstance(native, ks.BadRequest | ks.NotFound) and _is_keystones(native):
            # An unknown application credential is 404, a project without its domain 400.
            return LoginRefused(f"{where} was refused: {_told(native)}; {_FIX}", metadata=metadata)
        for kinds, error, reason, advice in _MEANINGS:
            if isinstance(native, kinds):
                text = f"{where} was refused: {_told(native)}; {advice}"
                waits = answer.retry_after_s if issubclass(error, RateLimited | Unreachable) else None
                pause = None if waits is None else min(waits, _MAX_PAUSE_S)
                return error(text, reason=reason, metadata=metadata, retry_after_s=pause)
        text = f"{where} failed: {_told(native)}; look at the cloud's auth settings in clouds.yaml"
        return PlatformFault(text, reason="BAD_LOGIN", metadata=metadata)


def _is_keystones(native: ks.HttpError) -> bool:
    """Whether Keystone itself refused, and not a proxy before it or something else at auth_url."""
    if native.response is None:
        return False
    try:
        return bool(native.response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return False


def _answer(native: Exception) -> Answer:
    """Return the answer that an error of keystoneauth is about, without its body; status 0 where there was none."""
    response = getattr(native, "response", None)
    return Answer(0, {}, b"") if response is None else Answer(response.status_code, response.headers, b"")


def _told(native: Exception) -> str:
    return masked_text(" ".join(str(native).split())[:_MAX_TEXT])
