"""Version discovery documents and the service catalogue, as keystoneauth reads them.

One port with path prefixes, as deployments behind one web server have it: `/identity`, `/compute`, ...
Each service asks `versions_of` before it asks for a token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_kit.fakes.wire import Json, Reply, reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudspan_openstack_fake.store import Store
    from cloudspan_openstack_fake.wire import Call

REGION = "RegionOne"
_CATALOGUE = (
    ("network", "neutron", "/network"),
    ("image", "glance", "/image"),
    ("volumev3", "cinderv3", "/volume/v3/{project_id}"),
    ("identity", "keystone", "/identity/v3"),
    ("compute", "nova", "/compute/v2.1"),
)
NOVA_LOWEST, NOVA_HIGHEST = (2, 1), (2, 93)
CINDER_LOWEST, CINDER_HIGHEST = (3, 0), (3, 70)


def catalogue(store: Store, base: str, project_id: str) -> list[Json]:
    """Return the catalogue of a project-scoped token."""
    return [
        {
            "endpoints": [
                {
                    "id": store.fixed_id("endpoint", kind, interface).replace("-", ""),
                    "interface": interface,
                    "region_id": REGION,
                    "url": base + path.format(project_id=project_id),
                    "region": REGION,
                }
                for interface in ("public", "internal", "admin")
            ],
            "id": store.fixed_id("service", kind).replace("-", ""),
            "type": kind,
            "name": name,
        }
        for kind, name, path in _CATALOGUE
    ]


def versions_of(call: Call) -> Reply | None:
    """Return the discovery document at this path, or None if there is none."""
    path = call.path.rstrip("/")
    found = _DOCUMENTS.get((call.service, path)) if call.method in ("GET", "HEAD") else None
    return None if found is None else found(call.url)


def _self(href: str) -> list[Json]:
    return [{"rel": "self", "href": href}]


def _media(kind: str) -> list[Json]:
    return [{"base": "application/json", "type": f"application/vnd.openstack.{kind}"}]


def _keystone_version(url: str) -> Json:
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": _self(f"{url}/v3/"),
        "media-types": _media("identity-v3+json"),
    }


def _keystone_root(url: str) -> Reply:
    return reply({"versions": {"values": [_keystone_version(url)]}}, 300, Location=f"{url}/v3/")


def _keystone_v3(url: str) -> Reply:
    return reply({"version": _keystone_version(url)})


def _nova_versions(url: str) -> tuple[Json, Json]:
    old = {"id": "v2.0", "status": "SUPPORTED", "version": "", "min_version": "", "updated": "2011-01-21T11:33:21Z"}
    new = {"id": "v2.1", "status": "CURRENT", "version": "2.93", "min_version": "2.1"}
    return (
        {**old, "links": _self(f"{url}/v2/")},
        {**new, "updated": "2013-07-23T11:33:21Z", "links": _self(f"{url}/v2.1/")},
    )


def _nova_root(url: str) -> Reply:
    return reply({"versions": list(_nova_versions(url))})


def _nova_one(index: int, media: str) -> Callable[[str], Reply]:
    def document(url: str) -> Reply:
        version = _nova_versions(url)[index]
        described = {"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"}
        return reply(
            {"version": {**version, "links": [*version["links"], described], "media-types": _media(media)}},
        )

    return document


def _glance_versions(url: str) -> Json:
    minors = [15, *range(13, -1, -1)]
    return {
        "versions": [
            {"id": f"v2.{minor}", "status": "CURRENT" if minor == 15 else "SUPPORTED", "links": _self(f"{url}/v2/")}
            for minor in minors
        ]
    }


def _cinder_root(url: str) -> Reply:
    described = {"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/"}
    version = {
        "id": "v3.0",
        "status": "CURRENT",
        "version": "3.70",
        "min_version": "3.0",
        "updated": "2022-08-31T00:00:00Z",
        "links": [described, *_self(f"{url}/v3/")],
        "media-types": _media("volume+json;version=3"),
    }
    return reply({"versions": [version]}, 300)


def _neutron_root(url: str) -> Reply:
    return reply({"versions": [{"id": "v2.0", "status": "CURRENT", "links": _self(f"{url}/v2.0/")}]})


_DOCUMENTS: dict[tuple[str, str], Callable[[str], Reply]] = {
    ("identity", ""): _keystone_root,
    ("identity", "/v3"): _keystone_v3,
    ("compute", ""): _nova_root,
    ("compute", "/v2.1"): _nova_one(1, "compute+json;version=2.1"),
    ("compute", "/v2"): _nova_one(0, "compute+json;version=2"),
    ("image", ""): lambda url: reply(_glance_versions(url), 300),
    ("image", "/versions"): lambda url: reply(_glance_versions(url)),
    ("volume", ""): _cinder_root,
    ("network", ""): _neutron_root,
}
