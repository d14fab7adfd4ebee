"""Read the clouds of the adapter's YAML file: where it is, how to log in, whom to trust.

The file is shaped like OpenStack's clouds.yaml: `clouds:`, and under it a name for each installation and account.
`__main__` hands the kit a `Cloud` for each cluster, at the start and whenever the file has changed; `login` and
`cluster` use what it holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import yaml
from yarl import URL

from cloudspan_common.errors import CloudspanError, InvalidRequest
from cloudspan_common.redaction import yaml_problem
from cloudspan_kit import ClusterConfigs, Trust, chosen_entries, revision_of
from cloudspan_zstack.cloud.dates import parse_zone

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import tzinfo
    from pathlib import Path

SETTLE_S = 120.0


class Entry(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One cloud as the file tells it."""

    endpoint: str
    """The management node with its context path: `http://10.0.0.5:8080/zstack`."""
    account: str = ""
    user: str = ""
    """A user of the account, where not the account itself logs in."""
    password: str = ""
    access_key_id: str = ""
    access_key_secret: str = ""
    verify: bool = True
    cacert: str = ""
    cert: str = ""
    key: str = ""
    timezone: str = ""
    """The server's zone, `Asia/Shanghai` or `+08:00`; learned where it is not given."""
    settle: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = SETTLE_S
    """Seconds in which a create that got no reply may still appear."""
    delete: Literal["soft", "purge"] = "soft"
    """Whether a deleted server stays recoverable for the days that the platform keeps it, or is expunged at once."""


@dataclass(frozen=True, slots=True)
class Cloud:
    """One entry, checked: everything but state."""

    name: str
    endpoint: str
    """Without a slash at its end."""
    account: str
    user: str
    password: str = field(repr=False)
    access_key_id: str
    access_key_secret: str = field(repr=False)
    trust: Trust
    zone: tzinfo | None
    settle_s: float
    purge: bool
    revision: str
    """Changes with any setting, and with the content of a file that one names; shows nothing of them."""

    @property
    def uses_access_key(self) -> bool:
        return bool(self.access_key_id)

    @property
    def who(self) -> str:
        """Who is logged in, for messages and to tell clusters apart."""
        if self.uses_access_key:
            return f"access key {self.access_key_id}"
        return f"{self.account}/{self.user}" if self.user else self.account


def read_clouds(options: Sequence[str], file: Path) -> ClusterConfigs[Cloud]:
    """Return the clouds of `file` that `options` of --cluster choose, all of them where none does, by tag.

    Raises:
        InvalidRequest: NO_CLOUDS_FILE when the file can't be read or names no cloud.
    """
    entries = _entries(file)
    wanted = chosen_entries(options, entries)
    by_tag = {tag: _cloud_or_error(name, entries, file) for tag, name in wanted.items()}
    named = [path for cloud in by_tag.values() if isinstance(cloud, Cloud) for path in cloud.trust.files()]
    return ClusterConfigs(by_tag, [file, *named], [tag for tag, name in wanted.items() if name not in entries])


def _cloud_or_error(name: str, entries: Mapping[str, Any], file: Path) -> Cloud | CloudspanError:
    try:
        return _cloud(name, entries, file)
    except CloudspanError as error:
        return error


def read_cloud(name: str, file: Path) -> Cloud:
    """Return the cloud called `name` of `file`.

    Raises:
        InvalidRequest: No such file or cloud, or its settings don't fit together.
    """
    return _cloud(name, _entries(file), file)


def _entries(file: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(file.read_text("utf-8"))
    except OSError as error:
        text = f"{file} can't be read: {error}; name a YAML file with --clouds"
        raise InvalidRequest(text, reason="NO_CLOUDS_FILE") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        # Without its cause, which quotes the line.
        raise InvalidRequest(f"{file} can't be read: {yaml_problem(error)}", reason="NO_CLOUDS_FILE") from None
    clouds = document.get("clouds") if isinstance(document, dict) else None
    if not isinstance(clouds, dict) or not clouds:
        text = f"{file} names no clouds; write a map of them below `clouds`"
        raise InvalidRequest(text, reason="NO_CLOUDS_FILE")
    return {str(name): told for name, told in clouds.items()}


def _cloud(name: str, entries: Mapping[str, Any], file: Path) -> Cloud:
    if name not in entries:
        raise InvalidRequest(f"cloud {name!r} is not in {file}; it has: {', '.join(entries)}", reason="BAD_CLOUD")
    try:
        return make_cloud(name, entries[name])
    except (msgspec.ValidationError, ValueError) as error:
        text = f"cloud {name!r} of {file} can't be used: {error}"
        raise InvalidRequest(text, reason="BAD_CLOUD") from error


def make_cloud(name: str, told: Any) -> Cloud:
    """Return the cloud that an entry of the file describes.

    Raises:
        ValueError: Its settings don't fit together; msgspec.ValidationError for a wrong key or type.
    """
    entry = msgspec.convert(told, Entry)
    endpoint = entry.endpoint.rstrip("/")
    url = URL(endpoint)
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(f"endpoint is {entry.endpoint!r}; write it like http://10.0.0.5:8080/zstack")
    _check_credentials(entry)
    certificate = (entry.cert, entry.key) if entry.key else entry.cert or None
    trust = Trust(entry.cacert or entry.verify if entry.verify else False, certificate)
    return Cloud(
        name=name,
        endpoint=endpoint,
        account=entry.account,
        user=entry.user,
        password=entry.password,
        access_key_id=entry.access_key_id,
        access_key_secret=entry.access_key_secret,
        trust=trust,
        zone=parse_zone(entry.timezone) if entry.timezone else None,
        settle_s=entry.settle,
        purge=entry.delete == "purge",
        revision=revision_of(entry, trust.files()),
    )


def _check_credentials(entry: Entry) -> None:
    by_key = bool(entry.access_key_id or entry.access_key_secret)
    by_password = bool(entry.account or entry.password)
    if by_key == by_password:
        raise ValueError("give either account and password, or access_key_id and access_key_secret")
    if by_key and not (entry.access_key_id and entry.access_key_secret):
        raise ValueError("access_key_id and access_key_secret go together")
    if by_password and not (entry.account and entry.password):
        raise ValueError("account and password go together")
