"""Read one cloud of a clouds.yaml: how to log in, where the services are, whom to trust.

`cluster` makes a `Cloud` of each configured cluster; `issuer` and `catalogue` use what it holds. The reading is
openstacksdk's, so that vendor profiles, secure.yaml and every v3 auth plugin work as they do for other tools.
"""

from __future__ import annotations

import hashlib
import importlib.util
import ssl
import sys
import types
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import msgspec
import yaml

from cloudspan_common.errors import InvalidRequest
from cloudspan_common.redaction import yaml_problem
from cloudspan_kit import Trust
from cloudspan_openstack.cloud.services import SERVICES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from keystoneauth1.identity.base import BaseIdentityPlugin

# What clouds.yaml calls them, in the words of openstacksdk's own keys.
_CONFIG_NAMES = {"volume": "block-storage"}


@dataclass(frozen=True, slots=True)
class Cloud:
    """One entry of clouds.yaml (and its region): everything but state."""

    name: str
    auth: BaseIdentityPlugin = field(repr=False, compare=False)
    auth_url: str
    region: str
    scope: str
    """The project as clouds.yaml names it; with endpoint and region it tells clusters apart."""
    interfaces: Mapping[str, str]
    """The catalogue's interface to use, by service."""
    overrides: Mapping[str, str]
    """Endpoints to use instead of the catalogue's, by service."""
    verify: bool | str
    """Whether to check certificates, or the CA file to check them by."""
    client_certificate: tuple[str, str] | str | None
    revision: str
    """Changes with endpoint or credentials; shows nothing of them."""

    @property
    def trust(self) -> Trust:
        """Whom our own connections trust: `verify`, `cacert`, `cert` and `key` of clouds.yaml."""
        return Trust(self.verify, self.client_certificate)

    def tls(self) -> ssl.SSLContext:
        """Return the TLS settings of clouds.yaml (`verify`, `cacert`, `cert`, `key`) for our own connections.

        Raises:
            InvalidRequest: A file is missing or holds no certificate.
        """
        return self.trust.context(self.name)

    def login_verify(self) -> bool | str:
        """Return `verify` for the login's HTTP library, which by itself trusts its own bundle, not the host's."""
        paths = ssl.get_default_verify_paths()
        return self.verify if self.verify is not True else (paths.cafile or paths.capath or True)


def read_cloud(name: str, file: Path | None) -> Cloud:
    """Return the cloud called `name` of `file`, or of the usual places (./, ~/.config/openstack/, /etc/openstack/).

    Raises:
        InvalidRequest: No such file or cloud, or its settings don't fit its auth type.
    """
    config = _openstack_config()
    from openstack.exceptions import ConfigException  # noqa: PLC0415 - see _openstack_config

    if file is not None and not file.is_file():
        raise InvalidRequest(f"clouds.yaml {file}: no such file; name one with --clouds", reason="NO_CLOUDS_FILE")
    try:
        with warnings.catch_warnings():
            # openstacksdk warns of its own InfluxDB defaults for a clouds.yaml that has none.
            warnings.filterwarnings("ignore", message="Support for InfluxDB")
            loader = config.OpenStackConfig(config_files=[str(file)] if file else None, load_envvars=False)
            return _cloud(name, loader.get_one(cloud=name))
    except ConfigException as error:
        text = f"cloud {name!r} can't be used: {error}; look it up in {file or 'clouds.yaml'}"
        raise InvalidRequest(text, reason="BAD_CLOUD") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        # Without its cause, which quotes the line.
        text = f"{file or 'clouds.yaml'} can't be read: {yaml_problem(error)}"
        raise InvalidRequest(text, reason="NO_CLOUDS_FILE") from None
    except Exception as error:
        if type(error).__module__.startswith("keystoneauth1."):
            text = f"cloud {name!r}: its auth settings don't fit its auth_type: {error}"
            raise InvalidRequest(text, reason="BAD_CLOUD") from error
        raise


def _cloud(name: str, region: Any) -> Cloud:
    verify, certificate = region.get_requests_verify_args()
    auth = region.get_auth()
    overrides = {service: region.config.get(f"{key}_endpoint_override") for service, key in _override_keys()}
    return Cloud(
        name=name,
        auth=cast("BaseIdentityPlugin", auth),
        auth_url=str(region.config.get("auth", {}).get("auth_url", "")),
        region=region.get_region_name("compute") or "",
        scope=_scope(region.config.get("auth", {})),
        interfaces={service: region.get_interface(_CONFIG_NAMES.get(service, service)) for service in SERVICES},
        overrides={service: url for service, url in overrides.items() if url},
        verify=verify,
        client_certificate=certificate,
        revision=_revision(region.config),
    )


def _override_keys() -> list[tuple[str, str]]:
    """(service, key in clouds.yaml), the preferred spelling last."""
    spelled = {"volume": ("volume", "volumev3", "block_storage")}
    return [(service, key) for service in SERVICES for key in spelled.get(service, (service,))]


def _scope(auth: Mapping[str, Any]) -> str:
    """An application credential is bound to its project, so its id stands for it."""
    keys = ("project_id", "project_name", "project_domain_id", "project_domain_name", "application_credential_id")
    return "/".join(str(auth[key]) for key in keys if auth.get(key))


def _revision(config: Mapping[str, Any]) -> str:
    told = {key: config.get(key) for key in ("auth_type", "auth", "region_name", "interface")}
    return hashlib.sha256(msgspec.json.encode(told, order="deterministic", enc_hook=str)).hexdigest()[:12]


def _openstack_config() -> Any:
    """Import `openstack.config` without the rest of openstacksdk.

    The package's own `__init__` imports every service's resource classes, 500 modules and 12 MB that no call here
    uses. While `openstack.config` is imported a bare stand-in takes the package's place; a later `import openstack`
    by anyone else gets the real one.
    """
    if "openstack.config" in sys.modules:
        return sys.modules["openstack.config"]
    spec = importlib.util.find_spec("openstack")
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError("openstacksdk is not installed")
    package = types.ModuleType("openstack")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["openstack"] = package
    try:
        return importlib.import_module("openstack.config")
    finally:
        del sys.modules["openstack"]
