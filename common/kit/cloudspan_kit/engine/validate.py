"""Checks a mutation's request without carrying it out: the driver's function is left before it changes anything.

`stepper.take_step` calls `validate`. Spec: design, section 3 (Manners: `validate_only`).
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from google.protobuf.message import Message

    from cloudspan_kit.driver import Call, Operation


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


class Validation:
    """Implements `driver.Operation` for a function that must not act."""

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

    def touches(self, resource: str) -> None:
        self.resource = resource

    async def look(self, step: str, look: Callable[[], Any]) -> Mapping[str, Any]:
        """A look changes nothing, and what it finds missing is worth knowing."""
        return dict(await look() or {})

    async def create(self, *_: Any, **__: Any) -> NoReturn:
        raise _Checked

    async def act(self, *_: Any, **__: Any) -> NoReturn:
        raise _Checked

    async def until(self, *_: Any, **__: Any) -> NoReturn:
        raise _Checked
