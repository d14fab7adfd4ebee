"""Checks a mutation's request without carrying it out: the driver's function is left before it changes anything.

`step.take_step` calls `validate`.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from cloudspan_kit.engine.verbs import KindVerbs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from google.protobuf.message import Message

    from cloudspan_kit.cluster import Call
    from cloudspan_kit.operation import Operation

V = TypeVar("V")


async def validate(mutation: Callable[[Operation, Any], Awaitable[Any]], request: Message, call: Call) -> str:
    """Run `mutation` up to its first write or wait; return the resource that it said it works on, if it did.

    Raises:
        CloudspanError: What the function found wrong, or could not find out.
    """
    check = Validation(call)
    with contextlib.suppress(_Checked):
        await mutation(check, request)
    return check.resource


class _Checked(BaseException):  # a driver's `except Exception` must not catch it
    """Leaves the function: what comes next would change something."""


class Validation(KindVerbs):
    """Implements `Operation` for a function that must not act."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self.resource = ""

    def __repr__(self) -> str:
        return f"<Validation on {self._call.cluster}>"

    @property
    def call(self) -> Call:
        return self._call

    def marker(self, step: str) -> str:
        """No create is sent, so none is found by it."""
        return f"cs-check-{step}"

    def set_resource(self, name: str) -> None:
        self.resource = name

    async def read_once(self, step: str, look: Callable[[], Awaitable[Mapping[str, V] | None]]) -> Mapping[str, V]:
        """A look changes nothing, and what it finds missing is worth knowing."""
        return dict(await look() or {})

    async def create_step(self, *_: object, **__: object) -> NoReturn:
        raise _Checked

    async def change(self, *_: object, **__: object) -> NoReturn:
        raise _Checked

    async def wait_until(self, *_: object, **__: object) -> NoReturn:
        raise _Checked
