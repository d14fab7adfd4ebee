"""The fake cloud as a running HTTP server: one port, five services under path prefixes, faults on the way.

    async with FakeCloud("alpha", clock=clock) as cloud:
        ... cloud.auth_url, cloud.clouds_yaml(), cloud.control

Tests start it in process, `__main__` as a program.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import yaml

from cloudspan_common.clock import SystemClock
from cloudspan_kit.fakes.serving import FakeServer
from cloudspan_kit.fakes.wire import Reply
from cloudspan_openstack_fake import seed
from cloudspan_openstack_fake.compute.nova import Nova
from cloudspan_openstack_fake.control import Control
from cloudspan_openstack_fake.faults import Fault, Kind
from cloudspan_openstack_fake.identity.discovery import REGION
from cloudspan_openstack_fake.identity.projects import Keystone
from cloudspan_openstack_fake.identity.tokens import TokenMint
from cloudspan_openstack_fake.image.images import Glance
from cloudspan_openstack_fake.network.neutron import Neutron
from cloudspan_openstack_fake.network.ports import PortDesk
from cloudspan_openstack_fake.store import Store, Timing
from cloudspan_openstack_fake.volume.volume_lifecycle import VolumeLife
from cloudspan_openstack_fake.volume.volumes import Cinder
from cloudspan_openstack_fake.wire import Call, Refused, Service

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aiohttp import web

    from cloudspan_common.clock import Clock
    from cloudspan_kit.fakes.wire import Json

log = logging.getLogger(__name__)


class FakeCloud(FakeServer[Call, Fault]):
    """One OpenStack, in memory."""

    control: Control
    _page_faults = frozenset({Kind.HALF_PAGE, Kind.MISSING_NEXT, Kind.REPEATED_MARKER})
    _max_body = 64 * 1024 * 1024  # an image upload

    def __init__(  # noqa: PLR0913 - all optional, named, and told apart by their names
        self,
        name: str = "fake",
        *,
        clock: Clock | None = None,
        port: int = 0,
        host: str = "127.0.0.1",
        token_ttl_s: float = 3600.0,
        timing: Timing | None = None,
        demo: bool = False,
        advertise: str = "",
        id_seed: str = "",
    ) -> None:
        self.name, self._advertise = name, advertise
        self.store = Store(name, clock or SystemClock(), timing or Timing(), id_seed)
        super().__init__(self.store, host, port)
        self._mint = TokenMint(self.store, token_ttl_s)
        tools = seed.Tools(self.store, PortDesk(self.store), VolumeLife(self.store), Glance(self.store))
        self._services = {service.name: service for service in _services(tools, self._mint)}
        seed.foundation(tools)
        if demo:
            seed.demo(tools)
        self.control = Control(tools, self._mint)
        self._request_ids = 0

    def __repr__(self) -> str:
        return f"<FakeCloud {self.name} at {self.base_url if self._runner else 'rest'}>"

    @property
    def base_url(self) -> str:
        return self._advertise or super().base_url

    @property
    def auth_url(self) -> str:
        return f"{self.base_url}/identity/v3"

    def clouds(self) -> Json:
        """Return clouds.yaml as data: NAME, NAME-demo2, NAME-admin, NAME-app (an application credential)."""
        common = {"region_name": REGION, "interface": "public", "identity_api_version": 3}
        users = {self.name: "demo", f"{self.name}-demo2": "demo2", f"{self.name}-admin": "admin"}
        entries: Json = {
            cloud: {
                "auth": {
                    "auth_url": self.auth_url,
                    "username": user,
                    "password": seed.PASSWORD,
                    "project_name": user,
                    "user_domain_name": "Default",
                    "project_domain_name": "Default",
                },
                **common,
            }
            for cloud, user in users.items()
        }
        app = next(iter(self.store.app_credentials.values()))
        auth = {
            "auth_url": self.auth_url,
            "application_credential_id": app.id,
            "application_credential_secret": app.secret,
        }
        entries[f"{self.name}-app"] = {"auth_type": "v3applicationcredential", "auth": auth, **common}
        return {"clouds": entries}

    def clouds_yaml(self) -> str:
        return yaml.safe_dump(self.clouds(), sort_keys=False)

    def write_clouds(self, path: Path) -> None:
        """Write clouds.yaml, readable by its owner only."""
        path.touch(mode=0o600)
        path.write_text(self.clouds_yaml())

    def _read(self, request: web.Request, raw: bytes) -> Call:
        head, _, tail = request.path.lstrip("/").partition("/")
        self._request_ids += 1
        request_id = f"req-{self.store.fixed_id('request', str(self._request_ids))}"
        base = self._advertise or f"{request.scheme}://{request.host}"
        query = list(request.rel_url.query.items())
        return Call(head, request.method, f"/{tail}", query, request.headers, raw, base, request_id)

    def _turn_away(self, request: web.Request, call: Call) -> Reply | None:
        return None if call.service in self._services else Reply(404, b"404: Not Found", "text/plain")

    def _revoke(self, call: Call, *, everyone: bool) -> None:
        if everyone:
            self._mint.revoke_all()
        else:
            self._mint.revoke(call.headers.get("X-Auth-Token", ""))

    def _native_error(self, call: Call, status: int) -> Reply:
        text = "This request was rate-limited." if status == 429 else _unexpected(call.service)
        return self._services[call.service].refusal(call, Refused(status, text))

    def _decorate(self, call: Call, answer: Reply) -> None:
        self._services[call.service].decorate(call, answer)

    def _spoil_page(self, kind: str, call: Call, document: Json) -> None:
        if kind == Kind.REPEATED_MARKER:
            _lead_back(document, call)
        else:
            _drop_next(document)
        if kind == Kind.HALF_PAGE:
            for key, value in document.items():
                if isinstance(value, list) and not key.endswith("_links"):
                    document[key] = value[: len(value) // 2]

    def _carry_out(self, call: Call) -> Reply:
        service = self._services[call.service]
        try:
            answer = service.public(call) or self._admit(call, service)(call)
        except Refused as refused:
            answer = service.refusal(call, refused)
        service.decorate(call, answer)
        return answer

    def _admit(self, call: Call, service: Service) -> Callable[[Call], Reply]:
        """Check token, microversion and path, in the order of the real services; return the handler."""
        call.who = self._mint.identity(call.headers.get("X-Auth-Token", ""))
        if call.who is None:
            raise Refused(401, "The request you have made requires authentication.")
        service.negotiate(call)
        found = service.routes.find(call.method, call.path)
        if found is None:
            raise Refused(404, "The resource could not be found.", html=True)
        handler, call.params = found
        return handler

    def _commit_late(self, call: Call, delay_s: float) -> None:
        """Admit now, as the real service has, and carry out later; a refusal then has no one to be told."""
        try:
            handler = self._admit(call, self._services[call.service])
        except Refused as refused:
            log.info("late commit refused", extra={"request_id": call.request_id, "reason": refused.message})
            return

        def commit() -> None:
            try:
                handler(call)
            except Refused as refused:
                log.info("late commit refused", extra={"request_id": call.request_id, "reason": refused.message})

        self.store.timeline.after(delay_s, commit)


def _services(tools: seed.Tools, mint: TokenMint) -> tuple[Service, ...]:
    store = tools.store
    nova = Nova(store, tools.ports, tools.volumes, tools.glance)
    return Keystone(store, mint), nova, tools.glance, Neutron(store), Cinder(store, tools.volumes)


def _unexpected(service: str) -> str:
    if service == "network":
        return "Request Failed: internal server error while processing your request."
    return (
        "Unexpected API Error. Please report this at http://bugs.launchpad.net/nova/ and attach the Nova API log if "
        "possible.\n<class 'oslo_messaging.exceptions.MessagingTimeout'>"
    )


def _drop_next(document: Json) -> None:
    document.pop("next", None)
    for key in [key for key in document if key.endswith("_links")]:
        document[key] = [link for link in document[key] if link["rel"] != "next"]
        if not document[key]:
            del document[key]


def _lead_back(document: Json, call: Call) -> None:
    query = "&".join(f"{name}={value}" for name, value in call.query)
    here = f"{call.path}?{query}" if query else call.path
    if "next" in document:
        document["next"] = here
    for key in [key for key in document if key.endswith("_links")]:
        for link in document[key]:
            if link["rel"] == "next":
                link["href"] = call.url + here
