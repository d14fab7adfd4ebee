"""Where a cloud's services are and who we are there: what one login tells, and each service's version document.

`issuer` makes a `Scope` of every login; `session` asks it for base URLs and negotiates microversions with what
`microversions_of` reads from a version document.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from cloudspan_common.errors import Unsupported
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
            text = (
                f"the catalogue offers no {service} service in region {self.region or '(any)'}; "
                "if there is one, look at region_name and interface in clouds.yaml"
            )
            raise Unsupported(text, reason="NO_SUCH_SERVICE")
        return url


def endpoints_of(catalogue: Sequence[Mapping[str, Any]], cloud: Cloud, project_id: str) -> dict[str, str]:
    """Return the versioned base URLs of the services known here, overrides of clouds.yaml first."""
    found = {}
    for service, kinds in SERVICE_TYPES.items():
        url = cloud.overrides.get(service) or _advertised(catalogue, kinds, cloud.interfaces[service], cloud.region)
        if url:
            found[service] = versioned(service, url, project_id)
    return found


def _advertised(catalogue: Sequence[Mapping[str, Any]], kinds: tuple[str, ...], interface: str, region: str) -> str:
    for kind in kinds:
        for entry in catalogue:
            if entry.get("type") != kind:
                continue
            for endpoint in entry.get("endpoints", ()):
                here = not region or region in (endpoint.get("region_id"), endpoint.get("region"))
                if here and endpoint.get("interface") == interface.removesuffix("URL"):
                    return str(endpoint["url"])
    return ""


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
    listed = document.get("versions") or document.get("version")
    return [entry for entry in (listed if isinstance(listed, list) else [listed]) if isinstance(entry, dict)]


def _parsed(version: object) -> Microversion | None:
    try:
        return Microversion.parse(version) if isinstance(version, str) else None
    except ValueError:
        return None
