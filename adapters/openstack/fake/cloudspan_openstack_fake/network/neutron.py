"""The fake Neutron: five kinds of network resources, quotas, and Neutron's dialect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_kit.fakes.wire import Json, Reply, reply
from cloudspan_openstack_fake.compute.nova import unauthorized
from cloudspan_openstack_fake.identity import discovery
from cloudspan_openstack_fake.network.floating_ips import FloatingIps
from cloudspan_openstack_fake.network.networks import Networks
from cloudspan_openstack_fake.network.ports import Ports
from cloudspan_openstack_fake.network.routers import Routers
from cloudspan_openstack_fake.network.security_groups import SecurityGroupRules, SecurityGroups
from cloudspan_openstack_fake.network.subnets import Subnets
from cloudspan_openstack_fake.store import NEUTRON_QUOTA
from cloudspan_openstack_fake.wire import Call, Refused, Routes

if TYPE_CHECKING:
    from cloudspan_openstack_fake.network.resource import Resource
    from cloudspan_openstack_fake.store import Store

_EXTENSIONS = (
    ("address-scope", "Address scope"), ("availability_zone", "Availability Zone"),
    ("external-net", "Neutron external network"),
    ("port-security", "Port Security"),
    ("quotas", "Quota management support"), ("quota_details", "Quota details management support"),
    ("router", "Neutron L3 Router"), ("security-group", "security-group"), ("sorting", "Sorting support"),
    ("pagination", "Pagination support"), ("standard-attr-tag", "Tag support for resources with standard attribute"),
    ("standard-attr-description", "standard-attr-description"), ("project-id", "project_id field enabled"),
)  # fmt: skip

_ZONES = [{"name": "nova", "resource": kind, "state": "available"} for kind in ("network", "router")]


class Neutron:
    """The network service at `/network`."""

    name = "network"

    def __init__(self, store: Store) -> None:
        self._store = store
        routers = Routers(store, store.routers)
        self._resources: list[Resource] = [
            Networks(store, store.networks),
            Subnets(store, store.subnets),
            Ports(store, store.ports),
            routers,
            FloatingIps(store, routers),
            SecurityGroups(store, store.security_groups),
            SecurityGroupRules(store, store.security_group_rules),
        ]
        self.routes = Routes()
        for resource in self._resources:
            self.routes.add_all(resource.table())
        self.routes.add_all(
            {
                "GET /v2.0/quotas": self._all_quotas,
                "GET /v2.0/quotas/{project}": self._quota,
                "PUT /v2.0/quotas/{project}": self._set_quota,
                "GET /v2.0/quotas/{project}/details": self._quota_details,
                "GET /v2.0/quotas/{project}/details.json": self._quota_details,
                "GET /v2.0/quotas/{project}/default": self._quota_default,
                "GET /v2.0/extensions": self._list_extensions,
                "GET /v2.0/extensions/{alias}": self._get_extension,
                "GET /v2.0/availability_zones": lambda _: reply({"availability_zones": _ZONES}),
                "GET /v2.0/agents": lambda _: reply({"agents": []}),
            }
        )

    def public(self, call: Call) -> Reply | None:
        return discovery.versions_of(call)

    def negotiate(self, call: Call) -> None:
        call.bad_json = "Body contains invalid data"

    def refusal(self, call: Call, refused: Refused) -> Reply:
        if refused.status == 401:
            return unauthorized(call)
        kinds = {400: "HTTPBadRequest", 404: "HTTPNotFound", 405: "HTTPMethodNotAllowed", 429: "HTTPTooManyRequests"}
        kind = refused.kind or kinds.get(refused.status, "HTTPInternalServerError")
        return reply({"NeutronError": {"type": kind, "message": refused.message, "detail": ""}}, refused.status)

    def decorate(self, call: Call, answer: Reply) -> None:
        answer.headers.setdefault("X-Openstack-Request-Id", call.request_id)

    def _check_project(self, call: Call) -> str:
        project = call.params["project"]
        if project != call.project_id and not call.identity.is_admin:
            text = "User does not have admin privileges: Only admin is authorized to access quotas for another project."
            raise Refused(403, text, "AdminRequired")
        return project

    def _all_quotas(self, call: Call) -> Reply:
        if not call.identity.is_admin:
            raise Refused(403, "rule:get_quota is disallowed by policy", "PolicyNotAuthorized")
        return reply({"quotas": []})

    def _quota(self, call: Call) -> Reply:
        return reply({"quota": self._store.quota("network", self._check_project(call))})

    def _set_quota(self, call: Call) -> Reply:
        if not call.identity.is_admin:
            raise Refused(403, "rule:update_quota is disallowed by policy", "PolicyNotAuthorized")
        limits = self._store.quota("network", call.params["project"])
        limits.update(call.document().get("quota") or {})
        return reply({"quota": limits})

    def _quota_details(self, call: Call) -> Reply:
        project = self._check_project(call)
        limits = self._store.quota("network", project)
        used = {r.one: sum(row["project_id"] == project for row in r.rows) for r in self._resources}
        rows = {name: {"limit": limit, "used": used.get(name, 0), "reserved": 0} for name, limit in limits.items()}
        return reply({"quota": rows})

    def _quota_default(self, call: Call) -> Reply:
        self._check_project(call)
        return reply({"quota": NEUTRON_QUOTA})

    def _list_extensions(self, call: Call) -> Reply:
        return reply({"extensions": [_extension(alias, name) for alias, name in _EXTENSIONS]})

    def _get_extension(self, call: Call) -> Reply:
        wanted = call.params["alias"]
        for alias, name in _EXTENSIONS:
            if alias == wanted:
                return reply({"extension": _extension(alias, name)})
        raise Refused(404, f"The resource could not be found: {wanted}", "HTTPNotFound")


def _extension(alias: str, name: str) -> Json:
    return {"name": name, "alias": alias, "description": name, "updated": "2016-01-01T00:00:00-00:00", "links": []}
