"""Read the clouds of a clouds.yaml: how to log in, where the services are, whom to trust.

`__main__` hands the kit a `Cloud` for each cluster, at the start and whenever the file has changed; `login` and
`catalogue` use what it holds. The reading is openstacksdk's, so that vendor profiles, secure.yaml and every v3 auth
plugin work as they do for other tools.
"""

from __future__ import annotations

import importlib.util
import re
import ssl
import sys
import types
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import yaml

from cloudspan_common.errors import CloudspanError, InvalidRequest
from cloudspan_common.redaction import yaml_problem
from cloudspan_kit import ClusterConfigs, Trust, chosen_entries, listed, revision_of
from cloudspan_openstack.cloud.catalogue import is_url
from cloudspan_openstack.cloud.services import SERVICES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from keystoneauth1.identity.base import BaseIdentityPlugin

_INTERFACES = ("public", "internal", "admin")
# Settings below `auth` that are lists.
_LISTS = frozenset({"auth_methods"})
_UNKNOWN_SETTING = re.compile(r"unexpected keyword argument '(\w+)'")
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
    interfaces: Mapping[str, Sequence[str]]
    """The catalogue's interfaces to use, by service, the preferred first."""
    overrides: Mapping[str, str]
    """Endpoints to use instead of the catalogue's, by service."""
    verify: bool | str
    """Whether to check certificates, or the CA file to check them by."""
    client_certificate: tuple[str, str] | str | None
    revision: str
    """Changes with any setting, and with the content of a file that one names; shows nothing of them."""

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


def read_clouds(options: Sequence[str], file: Path | None) -> ClusterConfigs[Cloud]:
    """Return the clouds that `options` of --cluster choose, all of them where none does, by tag.

    They are those of `file`, or of the usual places (./, ~/.config/openstack/, /etc/openstack/).

    Raises:
        InvalidRequest: NO_CLOUDS_FILE when the file can't be read or names no cloud.
    """
    loader = _loader(file)
    names = [str(name) for name in loader.cloud_config["clouds"]]
    wanted = chosen_entries(options, names)
    by_tag = {tag: _cloud_or_error(name, loader) for tag, name in wanted.items()}
    named = [path for cloud in by_tag.values() if isinstance(cloud, Cloud) for path in cloud.trust.files()]
    missing = [tag for tag, name in wanted.items() if name not in names]
    return ClusterConfigs(by_tag, [Path(loader.config_filename), *_secure_files(), *named], missing)


def _cloud_or_error(name: str, loader: Any) -> Cloud | CloudspanError:
    try:
        return _read(name, loader)
    except CloudspanError as error:
        return error


def read_cloud(name: str, file: Path | None) -> Cloud:
    """Return the cloud called `name`; `file` as for `read_clouds`.

    Raises:
        InvalidRequest: NO_CLOUDS_FILE when the file can't be read, BAD_CLOUD when it has no such cloud, or an entry
            that can't be used; other clouds of the file may well be.
    """
    return _read(name, _loader(file))


def _read(name: str, loader: Any) -> Cloud:
    from openstack.exceptions import ConfigException  # noqa: PLC0415 - after _openstack_config

    try:
        with warnings.catch_warnings():
            # openstacksdk warns of its own InfluxDB defaults for a clouds.yaml that has none.
            warnings.filterwarnings("ignore", message="Support for InfluxDB")
            clouds = loader.cloud_config["clouds"]
            if name in clouds:
                _check_entry(name, clouds[name])
                clouds[name] = _without_nulls(clouds[name])  # which openstacksdk takes for texts
            region = clouds.get(name, {}).get("region_name") or ""
            return _cloud(name, loader.get_one(cloud=name, region_name=region))
    except ConfigException as error:
        raise _bad(name, f"{error}; look it up in {loader.config_filename}") from error
    except (AttributeError, TypeError, ValueError, LookupError) as error:
        # openstacksdk takes for granted that settings are of their type. Its words may quote what is secret.
        unknown = _UNKNOWN_SETTING.search(str(error))
        why = f"auth.{unknown[1]} is unknown to its auth_type" if unknown else "a setting is of another type than usual"
        raise _bad(name, f"{why}; compare it with openstacksdk's documentation of clouds.yaml") from None
    except Exception as error:
        if type(error).__module__.startswith("keystoneauth1."):
            raise _bad(name, f"its auth settings don't fit its auth_type: {error}") from error
        raise


def _bad(name: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"cloud {name!r} can't be used: {why}", reason="BAD_CLOUD")


def _loader(file: Path | None) -> Any:
    """Return openstacksdk's reader of the file.

    Raises:
        InvalidRequest: There is no such file, or it holds no map of clouds.
    """
    config = _openstack_config()
    if file is not None and not file.is_file():
        raise InvalidRequest(f"clouds.yaml {file}: no such file; name one with --clouds", reason="NO_CLOUDS_FILE")
    from openstack.exceptions import ConfigException  # noqa: PLC0415 - after _openstack_config

    try:
        loader = config.OpenStackConfig(config_files=[str(file)] if file else None, load_envvars=False)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        # Without its cause, which quotes the line.
        text = f"{file or 'clouds.yaml'} can't be read: {yaml_problem(error)}"
        raise InvalidRequest(text, reason="NO_CLOUDS_FILE") from None
    except OSError as error:
        raise InvalidRequest(f"{file or 'clouds.yaml'} can't be read: {error}", reason="NO_CLOUDS_FILE") from error
    except (AttributeError, TypeError, ConfigException) as error:
        text = f"{file or 'clouds.yaml'} can't be read: `clouds` must be a map of names, each with its settings"
        raise InvalidRequest(text, reason="NO_CLOUDS_FILE") from error
    if loader.default_cloud == "defaults":  # openstacksdk's own, where it finds no other, or no YAML
        text = f"{file or loader.config_filename or 'clouds.yaml'} is not YAML with a map of clouds below `clouds`"
        raise InvalidRequest(text, reason="NO_CLOUDS_FILE")
    return loader


def _secure_files() -> list[Path]:
    """Return where openstacksdk looks for secure.yaml, whose secrets it adds to those of clouds.yaml."""
    return [Path(name) for name in dict.fromkeys(_openstack_config().loader.SECURE_FILES)]


def _check_entry(name: str, entry: object) -> None:
    """Refuse what openstacksdk would stumble over or take for something else.

    Raises:
        InvalidRequest: With the key, and without its value, which may be secret.
    """
    if not isinstance(entry, dict):
        raise _bad(name, f"it is {_kind(entry)}; write a map of settings with `auth`")
    auth = entry.get("auth", {})
    if not isinstance(auth, dict):
        raise _bad(name, f"auth is {_kind(auth)}; write a map with auth_url and credentials")
    for key, value in auth.items():
        if not isinstance(value, list if key in _LISTS else str) and value is not None:
            raise _bad(name, f"auth.{key} is {_kind(value)}; write a text, in quotes if need be")
    region, regions = entry.get("region_name"), entry.get("regions")
    if region is not None and (not isinstance(region, str) or "," in region):
        raise _bad(name, f"region_name is {region!r}; write one region, and a cloud for each that you need")
    if not region and isinstance(regions, list) and len(regions) > 1:
        text = f"it has the regions {listed(map(str, regions))} and names none; choose one with region_name"
        raise _bad(name, f"{text}, and make a cloud of each that you need")


def _without_nulls(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings without those that are null: they are not given."""
    inner = {key: _without_nulls(value) if isinstance(value, dict) else value for key, value in settings.items()}
    return {key: value for key, value in inner.items() if value is not None}


def _kind(value: object) -> str:
    kinds = {dict: "a map", list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number"}
    return kinds.get(type(value), "empty" if value is None else f"a {type(value).__name__}")


def _cloud(name: str, region: Any) -> Cloud:
    verify, certificate = region.get_requests_verify_args()
    auth = region.get_auth()
    auth_url = str(region.config.get("auth", {}).get("auth_url", ""))
    if not is_url(auth_url) or not hasattr(auth, "get_auth_ref"):
        raise _bad(name, "it has no auth_url to log in at; write it like https://cloud.example:5000/v3")
    return Cloud(
        name=name,
        auth=cast("BaseIdentityPlugin", auth),
        auth_url=auth_url,
        region=region.get_region_name("compute") or "",
        scope=_scope(region.config.get("auth", {})),
        interfaces={service: _interfaces(name, region, service) for service in SERVICES},
        overrides=_overrides(name, region),
        verify=verify,
        client_certificate=certificate,
        revision=revision_of(region.config, Trust(verify, certificate).files()),
    )


def _interfaces(name: str, region: Any, service: str) -> tuple[str, ...]:
    """Return the interfaces of a service; openstacksdk takes one or a list."""
    told = region.get_interface(_CONFIG_NAMES.get(service, service)) or "public"
    found = tuple(str(one).removesuffix("URL") for one in (told if isinstance(told, list) else [told]))
    if unknown := set(found).difference(_INTERFACES):
        raise _bad(name, f"interface names {listed(sorted(unknown))}; catalogues have {', '.join(_INTERFACES)}")
    return found


def _overrides(name: str, region: Any) -> dict[str, str]:
    found = {}
    for service, key in _override_keys():
        url = region.config.get(f"{key}_endpoint_override")
        if url and not is_url(url):
            raise _bad(name, f"{key}_endpoint_override is no URL; write it like https://cloud.example:8774/v2.1")
        if url:
            found[service] = str(url)
    return found


def _override_keys() -> list[tuple[str, str]]:
    """(service, key in clouds.yaml), the preferred spelling last."""
    spelled = {"volume": ("volume", "volumev3", "block_storage")}
    return [(service, key) for service in SERVICES for key in spelled.get(service, (service,))]


def _scope(auth: Mapping[str, Any]) -> str:
    """An application credential is bound to its project, so its id stands for it."""
    keys = ("project_id", "project_name", "project_domain_id", "project_domain_name", "application_credential_id")
    return "/".join(str(auth[key]) for key in keys if auth.get(key))


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
