"""Takes out of errors what they say of resources that a caller with one project does not see.

When an administrator asks, a platform names what stands in the way of a deletion whoever it belongs to. Errors to
callers who have one project of the cluster pass through here, so that no driver has to think of whose it is.
"""

from __future__ import annotations

import re
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cloudspan_common import contract
from cloudspan_common.errors import CloudspanError, Violation
from cloudspan_common.names import parse_resource
from cloudspan_kit.serve import projects

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cloudspan.adapter.v1 import step_pb2
    from cloudspan_kit.cluster import Call
    from cloudspan_kit.serve.capabilities import Abilities

_OPEN: AbstractAsyncContextManager[None] = nullcontext()
# An id alone, as platforms write it; not one inside a marker or a longer word.
_BARE_ID = re.compile(r"(?<![\w-])(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32})(?![\w-])", re.IGNORECASE)
_MOST_READ = 20
"""So many resources that an error names are looked at; the names of more are left out."""


def in_project(call: Call, request: Any, abilities: Abilities) -> AbstractAsyncContextManager[None]:
    """Return what lets no error leave that names what the caller's project does not have; nothing for other callers."""
    return _in_project(call, request, abilities) if call.project else _OPEN


@asynccontextmanager
async def _in_project(call: Call, request: Any, abilities: Abilities) -> AsyncIterator[None]:
    try:
        yield
    except CloudspanError as error:
        await _without_hidden(error, _Words(call, str(request), abilities))
        raise


async def clear_progress(answer: step_pb2.StepResponse, call: Call, request: Any, abilities: Abilities) -> None:
    """Clear what a step says of errors that don't end its operation: why it waits, why something was left over."""
    if not call.project:
        return
    words = _Words(call, str(request), abilities)
    answer.stage = await words.cleared(answer.stage)
    for left in answer.left_overs:
        left.reason = await words.cleared(left.reason)


async def _without_hidden(error: CloudspanError, words: _Words) -> None:
    error.message = await words.cleared(error.message)
    error.args = (error.message,)
    error.violations = tuple([Violation(v.field, await words.cleared(v.description)) for v in error.violations])
    if error.resource and await words.cleared(error.resource) != error.resource:
        error.resource = ""
    error.__cause__ = None  # the cloud's own error, which a log would show with the words just taken out


class _Words:
    """What a caller may be told: what it said itself, and what it can read."""

    def __init__(self, call: Call, said: str, abilities: Abilities) -> None:
        self._call, self._said, self._abilities = call, said, abilities
        self._names = re.compile(rf"{re.escape(str(call.cluster))}/(\w+)/([\w.~@:+%-]*[\w~@+%-])")
        self._shown: dict[str, bool] = {}

    async def cleared(self, text: str) -> str:
        """Return a text with a general word in place of each resource that is hidden, and of each id of one."""
        for match in self._names.finditer(text):
            if match[0] not in self._shown:
                self._shown[match[0]] = match[0] in self._said or await self._reads(match[0], match[1])
        text = self._names.sub(lambda m: m[0] if self._shown[m[0]] else f"another project's {m[1]}", text)
        return _BARE_ID.sub(lambda m: m[0] if self._is_known(m[0]) else "another's", text)

    def _is_known(self, native_id: str) -> bool:
        shown = (name for name, is_shown in self._shown.items() if is_shown)
        return native_id in self._said or any(name.endswith(f"/{native_id}") for name in shown)

    async def _reads(self, name: str, collection: str) -> bool:
        if len(self._shown) >= _MOST_READ:
            return False
        try:
            getter = contract.getter(collection)
            _, native_id = parse_resource(name, collection)
            if not self._abilities.has(getter):
                return False
            await projects.read(replace(self._call, id=native_id), getter, getter.request(name=name), self._abilities)
        except CloudspanError:
            return False
        return True
