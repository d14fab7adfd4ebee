"""What is checked of a mutation before its first step, and what a check alone answers.

The servicer wraps a driver's function with `guarded`, so that no driver has to ask whether a resource that is to be
deleted exists, or compare an etag (AIP-135, AIP-154). `preview` is the result of `validate_only` (AIP-163).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.api import field_behavior_pb2
from google.protobuf import empty_pb2, field_mask_pb2

from cloudspan_common import contract
from cloudspan_common.errors import Busy, NotFound
from cloudspan_common.etags import etag_of
from cloudspan_common.redaction import without_secrets
from cloudspan_kit.error_context import reading
from cloudspan_kit.serve import projects
from cloudspan_kit.serve.error_words import in_project

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from google.protobuf.message import Message

    from cloudspan_kit.cluster import Call
    from cloudspan_kit.operation import Operation
    from cloudspan_kit.serve.capabilities import Abilities


def guarded(
    function: Callable[[Operation, Any], Awaitable[Message | None]],
    method: contract.Method,
    abilities: Abilities,
    *,
    is_first: bool,
    must_exist: bool,
    is_begun: bool = False,
) -> Callable[[Operation, Any], Awaitable[Message | None]]:
    """Return `function` with its preconditions checked before it, if this is the operation's first step.

    Later steps are not checked again: the operation itself may have changed or deleted the resource by then. Whether a
    resource to delete exists is asked where the caller hears it at once (`must_exist`): by a check, which the gateway
    makes before it accepts, and by a call straight at the adapter. Once accepted, a Delete may find that the create it
    preempted has taken the resource back, and is done.

    That the caller's project has what the request names is checked until anything was done (`is_begun`): a first step
    whose answer was lost may not have checked it.
    """
    left, unbegun = [is_first], [not is_begun]

    async def checked(op: Operation, request: Any) -> Message | None:
        must_have = op.call.project and unbegun and unbegun.pop()
        if must_have and not await _has(op.call, method, request, abilities, must_exist=must_exist):
            return None  # another's: the function must not see it
        if left.pop() if left else False:
            await _check(op.call, method, request, abilities, must_exist=must_exist)
        async with in_project(op.call, request, abilities):
            return await function(op, request)

    return checked


async def _has(call: Call, method: contract.Method, request: Any, abilities: Abilities, *, must_exist: bool) -> bool:
    """Whether there is anything to do: False for a Delete of what the caller's project does not have, if that is fine.

    Raises:
        CloudspanError: See `projects.check`.
    """
    try:
        await projects.check(call, method, request, abilities)
    except NotFound as error:
        of_itself = error.resource == contract.routed_value(method, request)
        if not (of_itself and _is_delete(method)) or (must_exist and not request.allow_missing):
            raise
        return False
    return True


async def _check(call: Call, method: contract.Method, request: Any, abilities: Abilities, *, must_exist: bool) -> None:
    """Raise NotFound for a resource to delete that is not there, Busy for one that has changed meanwhile."""
    asked = _asked_etag(method, request)
    if not asked and not (must_exist and _is_delete(method)):
        return
    try:
        current = await _current(call, method, request, abilities)
    except NotFound:
        if must_exist and not (_is_delete(method) and request.allow_missing):
            raise
        return
    if current is None or not asked or etag_of(current) == asked:
        return
    name = contract.routed_value(method, request)
    text = (
        f"{name} has changed: its etag is {etag_of(current)}, the request has {asked}; read it again, then decide "
        "whether the change is still wanted"
    )
    raise Busy(text, reason="ETAG_MISMATCH", resource=name)


def _is_delete(method: contract.Method) -> bool:
    return method.result is empty_pb2.Empty and "allow_missing" in method.request.DESCRIPTOR.fields_by_name


def _asked_etag(method: contract.Method, request: Any) -> str:
    """The etag of the request itself, or of the resource in an Update."""
    *parents, _ = method.routed_field.split(".")
    for parent in parents:
        request = getattr(request, parent)
    return str(getattr(request, "etag", ""))


async def _current(call: Call, method: contract.Method, request: Any, abilities: Abilities) -> Any:
    """The resource that a mutation is about, as it is now; None for one that can't be read."""
    if not method.collection:
        return None
    getter = contract.getter(method.collection)
    if not abilities.has(getter):
        return None
    name = contract.routed_value(method, request)
    with reading(name):
        return await projects.read(call, getter, getter.request(name=name), abilities)


async def preview(call: Call, method: contract.Method, request: Any, abilities: Abilities) -> Message:
    """Return what the operation's result would be, as far as it is known without carrying it out.

    A create gives the resource as asked, without a name; an update the resource as it is with what is asked; other
    methods the resource as it is now.
    """
    result = method.result()
    given = next((f.name for f in method.request.DESCRIPTOR.fields if f.message_type == result.DESCRIPTOR), "")
    if method.collection and contract.getter(method.collection).response is method.result:
        current = await _current(call, method, request, abilities)
        if current is not None:
            result.CopyFrom(current)
    if given and method.collection:
        _merge(getattr(request, given), request.update_mask, result)
    elif given:
        result.CopyFrom(getattr(request, given))
    for field in result.DESCRIPTOR.fields:
        if field_behavior_pb2.INPUT_ONLY in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]:
            result.ClearField(field.name)
    return without_secrets(result)


def _merge(asked: Any, mask: field_mask_pb2.FieldMask, into: Message) -> None:
    paths = mask.paths or [field.name for field, _ in asked.ListFields()]
    kept = field_mask_pb2.FieldMask(paths=[path for path in paths if path not in ("name", "etag")])
    kept.MergeMessage(asked, into, replace_message_field=True, replace_repeated_field=True)
