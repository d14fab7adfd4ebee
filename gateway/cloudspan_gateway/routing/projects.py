"""The second look at what adapters answer to a caller who has one project of a cluster.

Adapters keep to the project themselves. One that does not, as one built with an older kit, must not show what is
another's all the same: the forwarder and lists over many clusters look through answers to such callers here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from cloudspan_common import contract, projects
from cloudspan_common.errors import NotPermitted
from cloudspan_common.listing import mask as masks
from cloudspan_common.logs import get_logger

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor
    from google.protobuf.field_mask_pb2 import FieldMask

    from cloudspan_common.contract import Method
    from cloudspan_common.names import ClusterRef
    from cloudspan_common.projects import Bound
    from cloudspan_gateway.call import Call

log = get_logger(__name__)


class ProjectCheck:
    """Drops what is another project's out of adapters' answers."""

    def __init__(self) -> None:
        self.dropped = 0
        """Resources that adapters returned though they are another project's: faults of theirs."""

    def __repr__(self) -> str:
        return f"<ProjectCheck {self.dropped} resources dropped>"

    def widened(self, method: Method, ref: ClusterRef, project: str, request: Any) -> Any:
        """Return a read's request with what a resource is judged by in its mask."""
        mask = _mask(request)
        if mask is None:
            return request
        widened = type(request)()
        widened.CopyFrom(request)
        widened.read_mask.paths.extend(sorted(_bound(method, ref, project).fields - set(mask.paths)))
        return widened

    def keep(self, method: Method, ref: ClusterRef, project: str, request: Any, answer: Any) -> None:
        """Take out of a read's answer what is another project's, and what the request does not ask for.

        Raises:
            NotFound: It is the one resource that was asked for.
        """
        bound, mask = _bound(method, ref, project), _mask(request)
        if method.items_field:
            self._keep_items(method, ref, bound, mask, answer)
            return
        if not bound.shows(answer):
            self._note(method, ref, 1)
            raise projects.missing(contract.routed_value(method, request))
        masks.apply(mask, answer)

    def _keep_items(self, method: Method, ref: ClusterRef, bound: Bound, mask: FieldMask | None, answer: Any) -> None:
        items = getattr(answer, method.items_field)
        kept = [item for item in items if bound.shows(item)]
        if len(kept) < len(items):
            self._note(method, ref, len(items) - len(kept))
        masked = masks.compiled(mask, cast("Descriptor", method.item.DESCRIPTOR))
        if masked is not None:
            kept = [masked(item) for item in kept]
        elif len(kept) == len(items):
            return
        del items[:]
        items.extend(kept)

    def _note(self, method: Method, ref: ClusterRef, count: int) -> None:
        self.dropped += count
        log.warning("adapter showed another project's resources", method=method.full_name, cluster=str(ref), rows=count)


def refuse_own_service(call: Call, ref: ClusterRef) -> None:
    """Raise NotPermitted for a service that only an adapter knows, to a caller who has one project of its cluster."""
    if call.access.project(ref):
        text = (
            f"{call.target.method} is a service of the adapter's own, and whose resources it is about can't be told; "
            f"your pool has one project of {ref} alone. Use the contract's methods, or ask for a pool with all of it"
        )
        raise NotPermitted(text, reason="PERMISSION_MISSING")


def _bound(method: Method, ref: ClusterRef, project: str) -> Bound:
    resource = method.item if method.items_field else method.response
    return projects.bound(cast("Descriptor", resource.DESCRIPTOR), ref.resource("projects", project))


def _mask(request: Any) -> FieldMask | None:
    """Return a request's mask if it leaves anything out."""
    if "read_mask" not in request.DESCRIPTOR.fields_by_name:
        return None
    mask: FieldMask = request.read_mask
    return mask if mask.paths and "*" not in mask.paths else None
