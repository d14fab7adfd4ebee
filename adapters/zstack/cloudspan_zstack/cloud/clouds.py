"""Read one cloud of the adapter's YAML file: where it is, how to log in, whom to trust.

The file is shaped like OpenStack's clouds.yaml: `clouds:`, and under it a name for each installation and account.
`__main__` makes a `Cloud` of each configured cluster; `issuer` and `cluster` use what it holds.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import yaml
from yarl import URL

from cloudspan_common.errors import InvalidRequest
from cloudspan_common.redaction import yaml_problem
from cloudspan_kit import Trust
from cloudspan_zstack.cloud.dates import parse_zone

if TYPE_CHECKING:
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
    """Changes with endpoint or credentials; shows nothing of them."""

    @property
    def uses_access_key(self) -> bool:
        return bool(self.access_key_id)

    @property
    def who(self) -> str:
        """Who is logged in, for messages and to tell clusters apart."""
        if self.uses_access_key:
            return f"access key {self.access_key_id}"
        return f"{self.account}/{self.user}" if self.user else self.account


def read_cloud(name: str, file: Path) -> Cloud:
    """Return the cloud called `name` of `file`.

    Raises:
        InvalidRequest: No such file or cloud, or its settings don't fit together.
    """
    try:
        document = yaml.safe_load(file.read_text("utf-8"))
    except OSError as error:
        text = f"{file} can't be read: {error}; name a YAML file with --clouds"
        raise InvalidRequest(text, reason="NO_CLOUDS_FILE") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        # Without its cause, which quotes the line.
        raise InvalidRequest(f"{file} can't be read: {yaml_problem(error)}", reason="NO_CLOUDS_FILE") from None
    clouds = document.get("clouds") if isinstance(document, dict) else None
    if not isinstance(clouds, dict) or name not in clouds:
        known = ", ".join(map(str, clouds)) if isinstance(clouds, dict) else "none"
        raise InvalidRequest(f"cloud {name!r} is not in {file}; it has: {known}", reason="BAD_CLOUD")
    try:
        return make_cloud(name, clouds[name])
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
    secrets = [endpoint, entry.account, entry.user, entry.password, entry.access_key_id, entry.access_key_secret]
    return Cloud(
        name=name,
        endpoint=endpoint,
        account=entry.account,
        user=entry.user,
        password=entry.password,
        access_key_id=entry.access_key_id,
        access_key_secret=entry.access_key_secret,
        trust=Trust(entry.cacert or entry.verify if entry.verify else False, certificate),
        zone=parse_zone(entry.timezone) if entry.timezone else None,
        settle_s=entry.settle,
        purge=entry.delete == "purge",
        revision=hashlib.sha256("\0".join(secrets).encode()).hexdigest()[:12],
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
