"""Keeps a call to the one project that its caller's pool has of a cluster, whatever the driver does with it.

The servicer and the steps read and check through this module, so that no driver has to think of it. Another project's
resource does not exist: its Get, and a change of it, end as for an id that nobody has, whatever the cloud answers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from cloudspan_common import contract, projects
from cloudspan_common.errors import Forbidden, InvalidRequest, NotFound, PreconditionFailed
from cloudspan_common.names import parse_resource
from cloudspan_kit.lists.fill import everything, with_owner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message

    from cloudspan_kit.cluster import Call
    from cloudspan_kit.kind import Marked
    from cloudspan_kit.serve.capabilities import Abilities


WITHIN_PROJECT = "within_project"
"""Class attribute of an options' Struct: the names of those that reach nothing but what the request is about."""


async def read(call: Call, method: contract.Method, request: Message, abilities: Abilities) -> Any:
    """Return what a method that reads one resource answers; `call.id` is the resource's.

    Raises:
        NotFound: There is none; or it is another project's, in the same words.
    """
    function = abilities.function(method)
    if not call.project:
        return await function(call, request)
    name, response = contract.routed_value(method, request), cast("Descriptor", method.response.DESCRIPTOR)
    seen = projects.bound(response, call.project)
    if method.collection in projects.OF_PROJECTS and call.id != call.caller.project:
        raise projects.missing(name)
    try:
        resource = await function(with_owner(call, response), request)
    except (Forbidden, NotFound):  # a cloud that refuses one and does not find another would tell them apart
        raise projects.missing(name) from None
    if not seen.shows(resource):
        raise projects.missing(name)
    return resource


async def check(call: Call, method: contract.Method, request: Message, abilities: Abilities) -> None:
    """Let a mutation be begun only if all that it names is of the call's project, or shared and left as it is.

    Raises:
        NotFound: It names what does not exist, or what is another project's, in the same words.
        Forbidden: SHARED_BY_ALL: It would change what the project may only read.
            OPTION_BEYOND_PROJECT: It has an option that its Struct does not name in `within_project`.
        PreconditionFailed: OTHER_PROJECT_OF_POOL: It would make something in another project.
    """
    if method.collection:
        await _check_named(call, contract.routed_value(method, request), method.collection, abilities, changes=True)
    else:
        await _check_own(call, abilities)
    _check_options(method, request, abilities)
    checked = set()
    for reference in projects.references(method, request):
        if (reference.name, reference.changes) not in checked:
            checked.add((reference.name, reference.changes))
            await _check_named(
                call, reference.name, reference.collection, abilities, changes=reference.changes, field=reference.field
            )


async def _check_named(
    call: Call, name: str, collection: str, abilities: Abilities, *, changes: bool, field: str = "name"
) -> None:
    if not collection:
        raise NotFound(f"{field} is {name}, and whose that is can't be known; leave it out", resource=name)
    ref, native_id = parse_resource(name, collection, field)
    if ref != call.cluster:
        text = f"{field} is in {ref}, the request goes to {call.cluster}; both must be of one cluster"
        raise InvalidRequest(text, reason="OTHER_CLUSTER")
    getter = contract.getter(collection)
    if not abilities.has(getter):
        raise projects.missing(name)
    seen = projects.bound(cast("Descriptor", getter.response.DESCRIPTOR), call.project)
    one = replace(call, id=native_id, full=False, fields=seen.fields)
    resource = await read(one, getter, getter.request(name=name), abilities)
    if not changes or seen.owns(resource):
        return
    if seen.is_anothers(resource) or await abilities.own_project(call) != call.caller.project:
        text = (
            f"{name} is shared with the project that your pool has of {call.cluster}, which may read it and not change "
            "it; ask whoever it belongs to"
        )
        raise Forbidden(text, reason="SHARED_BY_ALL", resource=name)


def _check_options(method: contract.Method, request: Any, abilities: Abilities) -> None:
    """Raise Forbidden for options that name something or need an administrator: whose it is can't be checked."""
    given = set(request.options.fields) if "options" in method.request.DESCRIPTOR.fields_by_name else set()
    allowed: frozenset[str] = getattr(abilities.capability(method).options, WITHIN_PROJECT, frozenset())
    if beyond := sorted(given - allowed):
        names = ", ".join(f"options.{name}" for name in beyond)
        text = f"{names}: not for a pool that has one project of the cluster alone; leave out what reaches beyond it"
        raise Forbidden(text, reason="OPTION_BEYOND_PROJECT")


async def _check_own(call: Call, abilities: Abilities) -> None:
    """Raise PreconditionFailed unless the cluster's credentials create in the call's project."""
    own = await abilities.own_project(call)
    if own != call.caller.project:
        mine = call.cluster.resource("projects", own) if own else "no project"
        text = (
            f"the pool has {call.project} alone, and the credentials of {call.cluster} create in {mine}: nothing was "
            "created; give the cluster credentials of that project, or correct the pool"
        )
        raise PreconditionFailed(text, reason="OTHER_PROJECT_OF_POOL")


async def marked(call: Call, collection: str, rows: Sequence[Marked], abilities: Abilities) -> Sequence[Marked]:
    """Return those of a collection's marked resources that are of the call's project."""
    if not call.project or not rows:
        return rows
    listing = contract.lister(collection)
    seen = projects.bound(cast("Descriptor", listing.item.DESCRIPTOR), call.project)
    if not seen.owner:  # it belongs to the credentials
        return rows if await abilities.own_project(call) == call.caller.project else ()
    if not abilities.has(listing):
        return ()
    one = replace(call, full=False, fields=seen.fields)
    items = [item async for item in everything(one, abilities.function(listing), seen.filter)]
    own = {parse_resource(item.name, collection)[1] for item in items if seen.owns(item)}
    return [row for row in rows if row.id in own]


async def may_remove(call: Call, name: str, collection: str, abilities: Abilities) -> bool:
    """Whether a marked resource is there for the call: another project's is not, as one that is gone."""
    try:
        if call.project:
            await _check_named(call, name, collection, abilities, changes=True)
    except NotFound:
        return False
    return True
