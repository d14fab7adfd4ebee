"""The second look at what adapters answer to a caller who has one project of a cluster, and the page tokens it gets.

Adapters keep to the project themselves. One that does not, as one built with an older kit, must not show what is
another's all the same: the forwarder and lists over many clusters look through answers to such callers here.

An adapter's page token holds a place in the cloud's listing: how many rows lie before it, the id of one of them. Such
callers get it encrypted, and nobody else's is taken from them.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from cloudspan_common import contract, projects
from cloudspan_common.errors import CloudspanError, InvalidRequest, NotPermitted, Violation
from cloudspan_common.listing import mask as masks
from cloudspan_common.logs import get_logger

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor
    from google.protobuf.field_mask_pb2 import FieldMask

    from cloudspan_common.contract import Method
    from cloudspan_common.names import ClusterRef
    from cloudspan_common.projects import Bound
    from cloudspan_gateway.call import Call
    from cloudspan_gateway.storage.cipher import Cipher

log = get_logger(__name__)

_TOKENS = "page tokens"


@dataclass(frozen=True, slots=True)
class Within:
    """What a read of one cluster is bound to."""

    method: Method
    ref: ClusterRef
    tenant: str
    project: str

    @property
    def bound(self) -> Bound:
        resource = self.method.item if self.method.items_field else self.method.response
        return projects.bound(cast("Descriptor", resource.DESCRIPTOR), self.ref.resource("projects", self.project))

    @property
    def place(self) -> str:
        """What a page token is good for."""
        return f"{self.method.full_name} {self.ref.resource('projects', self.project)} {self.tenant}"


def within_project(method: Method, call: Call, ref: ClusterRef) -> Within | None:
    """Return what a read is bound to; None where its caller has all projects of the cluster."""
    project = call.access.project(ref)
    return Within(method, ref, call.access.tenant, project) if project else None


class ProjectCheck:
    """Drops what is another project's out of adapters' answers."""

    def __init__(self, cipher: Cipher) -> None:
        """Take what page tokens are encrypted with: the same on all gateways of the installation."""
        self._cipher = cipher
        self.dropped = 0
        """Resources that adapters returned though they are another project's: faults of theirs."""

    def __repr__(self) -> str:
        return f"<ProjectCheck {self.dropped} resources dropped>"

    def widened(self, within: Within, request: Any) -> Any:
        """Return a read's request as its adapter gets it: with what resources are judged by in its mask.

        Raises:
            InvalidRequest: Its page token is not one of this list's and this caller's.
        """
        widened = type(request)()
        widened.CopyFrom(request)
        if (mask := _mask(request)) is not None:
            widened.read_mask.paths.extend(sorted(within.bound.fields - set(mask.paths)))
        if within.method.items_field and request.page_token:
            widened.page_token = self._opened(request.page_token, within)
        return widened

    def keep(self, within: Within, request: Any, answer: Any) -> None:
        """Take out of a read's answer what is another project's, and what the request does not ask for.

        Raises:
            NotFound: It is the one resource that was asked for.
        """
        if within.method.items_field:
            self._keep_items(within, _mask(request), answer)
            return
        if not within.bound.shows(answer):
            self._note(within, 1)
            raise projects.missing(contract.routed_value(within.method, request))
        masks.apply(_mask(request), answer)

    def _keep_items(self, within: Within, mask: FieldMask | None, answer: Any) -> None:
        if answer.next_page_token:
            sealed = self._cipher.seal(answer.next_page_token.encode(), _TOKENS, within.place)
            answer.next_page_token = base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()
        items, bound = getattr(answer, within.method.items_field), within.bound
        kept = [item for item in items if bound.shows(item)]
        if len(kept) < len(items):
            self._note(within, len(items) - len(kept))
        masked = masks.compiled(mask, cast("Descriptor", within.method.item.DESCRIPTOR))
        if masked is not None:
            kept = [masked(item) for item in kept]
        elif len(kept) == len(items):
            return
        del items[:]
        items.extend(kept)

    def _opened(self, token: str, within: Within) -> str:
        try:
            sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            return self._cipher.open(sealed, _TOKENS, within.place).decode()
        except (ValueError, CloudspanError):  # not base64, under a key that is gone, altered, or another list's
            text = (
                "invalid page_token: it was not issued for this list and this caller, or was cut or changed; send "
                "next_page_token exactly as it came, or leave it out"
            )
            violations = [Violation("page_token", text)]
            raise InvalidRequest(text, reason="PAGE_TOKEN_MALFORMED", violations=violations) from None

    def _note(self, within: Within, count: int) -> None:
        self.dropped += count
        log.warning(
            "adapter showed another project's resources",
            method=within.method.full_name,
            cluster=str(within.ref),
            rows=count,
        )


def refuse_own_service(call: Call, ref: ClusterRef) -> None:
    """Raise NotPermitted for a service that only an adapter knows, to a caller who has one project of its cluster."""
    if call.access.project(ref):
        text = (
            f"{call.target.method} is a service of the adapter's own, and whose resources it is about can't be told; "
            f"your pool has one project of {ref} alone. Use the contract's methods, or ask for a pool with all of it"
        )
        raise NotPermitted(text, reason="PERMISSION_MISSING")


def _mask(request: Any) -> FieldMask | None:
    """Return a request's mask if it leaves anything out."""
    if "read_mask" not in request.DESCRIPTOR.fields_by_name:
        return None
    mask: FieldMask = request.read_mask
    return mask if mask.paths and "*" not in mask.paths else None
