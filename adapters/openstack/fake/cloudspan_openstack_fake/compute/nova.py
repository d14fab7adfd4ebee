"""The fake Nova: microversions 2.1 to 2.93 in Nova's dialect of errors and headers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_kit.fakes.wire import JSON, Reply, reply
from cloudspan_openstack_fake.compute.flavors import Flavors
from cloudspan_openstack_fake.compute.key_pairs import KeyPairs
from cloudspan_openstack_fake.compute.server_actions import Actions
from cloudspan_openstack_fake.compute.server_create import Creation
from cloudspan_openstack_fake.compute.server_lifecycle import Lifecycle
from cloudspan_openstack_fake.compute.server_parts import Attaching
from cloudspan_openstack_fake.compute.servers import Servers
from cloudspan_openstack_fake.identity import discovery
from cloudspan_openstack_fake.identity.quotas import Quotas
from cloudspan_openstack_fake.wire import Call, Refused, Routes, faults_document, html, parse_version

if TYPE_CHECKING:
    from cloudspan_openstack_fake.image.images import Glance
    from cloudspan_openstack_fake.network.ports import PortDesk
    from cloudspan_openstack_fake.store import Store
    from cloudspan_openstack_fake.volume.volume_lifecycle import VolumeLife

FAULT_KEYS = {
    400: "badRequest", 401: "unauthorized", 403: "forbidden", 404: "itemNotFound", 405: "badMethod",
    409: "conflictingRequest", 413: "overLimit", 415: "badMediaType", 429: "overLimit", 501: "notImplemented",
    503: "serviceUnavailable",
}  # fmt: skip


class Nova:
    """The compute service at `/compute`."""

    name = "compute"

    def __init__(self, store: Store, ports: PortDesk, volumes: VolumeLife, glance: Glance) -> None:
        lifecycle = Lifecycle(store, ports, volumes)
        self.routes = Routes()
        self.routes.add_all(Servers(store, lifecycle).table())
        self.routes.add("POST", "/v2.1/servers", Creation(store, lifecycle).create)
        self.routes.add("POST", "/v2.1/servers/{id}/action", Actions(store, lifecycle, glance).act)
        self.routes.add_all(Attaching(store, lifecycle, ports).table())
        for part in (Flavors(store), KeyPairs(store), Quotas(store)):
            self.routes.add_all(part.table())

    def public(self, call: Call) -> Reply | None:
        return discovery.versions_of(call)

    def negotiate(self, call: Call) -> None:
        old = call.headers.get("X-OpenStack-Nova-API-Version")
        header = call.headers.get("OpenStack-API-Version") or (f"compute {old}" if old else "")
        call.version = parse_version(header, "compute", discovery.NOVA_LOWEST, discovery.NOVA_HIGHEST)

    def refusal(self, call: Call, refused: Refused) -> Reply:
        if refused.html:
            return html(refused.status, refused.message)
        if refused.status == 401:
            return unauthorized(call)
        key = FAULT_KEYS.get(refused.status, "computeFault")
        return Reply(refused.status, faults_document(key, refused.status, refused.message), f"{JSON}; charset=UTF-8")

    def decorate(self, call: Call, answer: Reply) -> None:
        answer.headers.setdefault("X-Openstack-Request-Id", call.request_id)
        answer.headers.setdefault("X-Compute-Request-Id", call.request_id)
        if answer.status != 401 and call.path.startswith("/v2.1"):
            version = f"{call.version[0]}.{call.version[1]}" if call.version[0] else "2.1"
            answer.headers.setdefault("OpenStack-API-Version", f"compute {version}")
            answer.headers.setdefault("X-OpenStack-Nova-API-Version", version)
            answer.headers.setdefault("Vary", "OpenStack-API-Version, X-OpenStack-Nova-API-Version")


def unauthorized(call: Call) -> Reply:
    """Return the 401 of the token filter before Nova, Neutron and Cinder, which speaks none of their dialects."""
    text = "The request you have made requires authentication."
    answer = reply({"error": {"code": 401, "title": "Unauthorized", "message": text}}, 401)
    answer.headers["WWW-Authenticate"] = f'Keystone uri="{call.base}/identity/v3"'
    return answer
