"""Where a cloud's services are and who we are there: what one login tells, and each service's version document.

`issuer` makes a `Scope` of every login; `session` asks it for base URLs and negotiates microversions with what
`microversions_of` reads from a version document.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from yarl import URL

from cloudspan_common.errors import LoginRefused, Unsupported
from cloudspan_kit import listed
from cloudspan_openstack.cloud.services import SERVICE_TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_openstack.cloud.clouds import Cloud

_VERSION_PATHS = {"compute": "/v2.1", "network": "/v2.0", "volume": "/v3", "image": "/v2", "identity": "/v3"}
_VERSIONED = re.compile(r"^(?P<root>.*?)/(?P<version>v\d+(?:\.\d+)?)(?P<rest>/[^/]+)?/?$")


class Microversion(NamedTuple):
    """A microversion, comparable: `Microversion(2, 9) < (2, 52)`."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"

    @classmethod
    def parse(cls, text: str) -> Microversion:
        """Return the version that `2.93` says.

        Raises:
            ValueError: Another form.
        """
        major, _, minor = text.partition(".")
        return cls(int(major), int(minor or 0))


@dataclass(frozen=True, slots=True)
class Scope:
    """Who a token is, and the base URL of each service for it."""

    project_id: str
    project_name: str
    user_id: str
    roles: tuple[str, ...]
    region: str
    regions: Sequence[str] = ()
    """All that the catalogue has."""
    endpoints: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Base URL with its version, without a slash at the end, by service."""

    @property
    def is_admin(self) -> bool:
        """Whether the token has the role `admin`, which stock policies give every right; a guess elsewhere."""
        return "admin" in self.roles

    def base(self, service: str) -> str:
        """Return the base URL of `service`.

        Raises:
            Unsupported: The catalogue has no such service in this region and interface.
        """
        url = self.endpoints.get(service)
        if url is None:
            known = f"; its regions are {listed(self.regions)}" if self.regions else ""
            text = (
                f"the catalogue offers no {service} service in region {self.region or '(any)'}{known}; "
                "if there is one, look at region_name and interface in clouds.yaml"
            )
            raise Unsupported(text, reason="NO_SUCH_SERVICE")
        return url


class Endpoint(NamedTuple):
    """One endpoint of a catalogue, as far as it can be read."""

    kind: str
    interface: str
    region: str
    """Empty for one that serves all regions."""
    url: str


def read_catalogue(catalogue: object) -> list[Endpoint]:
    """Return the endpoints of a token's catalogue; one without a URL is none, and hides no other."""
    entries = [entry for entry in _maps(catalogue) if isinstance(entry.get("type"), str)]
    return [
        Endpoint(
            entry["type"],
            str(endpoint.get("interface") or "").removesuffix("URL"),
            str(endpoint.get("region_id") or endpoint.get("region") or ""),
            str(endpoint["url"]).strip(),
        )
        for entry in entries
        for endpoint in _maps(entry.get("endpoints"))
        if is_url(endpoint.get("url"))
    ]


def is_url(text: object) -> bool:
    """Whether `text` says where a service is."""
    try:
        url = URL(str(text).strip())
        return url.scheme in ("http", "https") and bool(url.host)
    except ValueError:
        return False


def region_of(endpoints: Sequence[Endpoint], cloud: Cloud) -> str:
    """Return the region whose endpoints are used: that of clouds.yaml, or the only one there is; empty for none.

    Raises:
        LoginRefused: There are several, and clouds.yaml names none. Keystone does not count: one may serve all regions.
    """
    services = [service for service in SERVICE_TYPES if service != "identity" and service not in cloud.overrides]
    regions = regions_in([e for service in services for e in _fitting(endpoints, service, cloud)])
    if cloud.region or len(regions) < 2:
        return cloud.region or next(iter(regions), "")
    text = (
        f"cloud {cloud.name}: its catalogue has the regions {listed(regions, 50)} and clouds.yaml names none; "
        "choose one with region_name there, and make a cluster of each that you need"
    )
    raise LoginRefused(text, reason="REGION_AMBIGUOUS")


def regions_in(endpoints: Sequence[Endpoint]) -> list[str]:
    """Return the names of the regions that these endpoints are in."""
    return sorted({endpoint.region for endpoint in endpoints if endpoint.region})


def endpoints_of(endpoints: Sequence[Endpoint], cloud: Cloud, region: str, project_id: str) -> dict[str, str]:
    """Return the versioned base URLs of the services known here, overrides of clouds.yaml first.

    Keystone is there for sure, since it gave the token: without an endpoint of its own it is where the login was.
    """
    found = {}
    for service in SERVICE_TYPES:
        url = cloud.overrides.get(service) or _advertised(endpoints, service, cloud, region)
        if service == "identity":
            url = url or cloud.auth_url
        if url:
            found[service] = versioned(service, url, project_id)
    return found


def _advertised(endpoints: Sequence[Endpoint], service: str, cloud: Cloud, region: str) -> str:
    """Return the URL in the region rather than one for all regions, of the first interface and type there is."""
    kinds, interfaces = SERVICE_TYPES[service], cloud.interfaces[service]
    here = [e for e in _fitting(endpoints, service, cloud) if e.region in ("", region)]
    best = min(
        here, key=lambda e: (e.region != region, interfaces.index(e.interface), kinds.index(e.kind)), default=None
    )
    return best.url if best else ""


def _fitting(endpoints: Sequence[Endpoint], service: str, cloud: Cloud) -> list[Endpoint]:
    kinds, interfaces = SERVICE_TYPES[service], cloud.interfaces[service]
    return [e for e in endpoints if e.kind in kinds and e.interface in interfaces]


def _maps(document: object) -> list[Mapping[str, Any]]:
    """The maps in a list; a null or anything else is left out."""
    return [entry for entry in document if isinstance(entry, dict)] if isinstance(document, list) else []


def versioned(service: str, url: str, project_id: str) -> str:
    """Return `url` with the version that we speak at its end, and Cinder's project id behind it.

    Catalogues say `http://host:8774/v2.1`, `.../v3/{project_id}`, a bare `http://host:9696`, or for Keystone often
    still `/v2.0`. Cinder before 3.67 needs the project id in the path; later ones accept it.
    """
    match = _VERSIONED.match(url)
    root = match["root"] if match else url.rstrip("/")
    path = _VERSION_PATHS[service]
    if service == "compute" and match:
        return url.rstrip("/")
    return f"{root}{path}/{project_id}" if service == "volume" else f"{root}{path}"


def version_documents(base: str) -> tuple[str, str]:
    """Return where the microversions behind `base` are told: by its version, and by the service's list of versions."""
    match = _VERSIONED.match(base)
    return (f"{match['root']}/{match['version']}/", f"{match['root']}/") if match else (f"{base}/", f"{base}/")


def is_version_document(document: Mapping[str, Any]) -> bool:
    """Whether an answer tells a service's versions, and is not some other JSON of a proxy."""
    return any(isinstance(entry.get("id"), str) for entry in _versions_in(document))


def microversions_of(service: str, document: Mapping[str, Any]) -> tuple[Microversion, Microversion] | None:
    """Return the lowest and the highest microversion that a version document offers; None if it offers none.

    Nova answers `{"version": {...}}`, Cinder `{"versions": [{...}]}`.
    """
    major = _VERSION_PATHS[service].removeprefix("/v").partition(".")[0]
    for entry in _versions_in(document):
        low, high = _parsed(entry.get("min_version")), _parsed(entry.get("version"))
        if low and high and str(high.major) == major:
            return low, high
    return None


def _versions_in(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    versions = document.get("versions") or document.get("version")
    return _maps(versions if isinstance(versions, list) else [versions])


def _parsed(version: object) -> Microversion | None:
    try:
        return Microversion.parse(version) if isinstance(version, str) else None
    except ValueError:
        return None
