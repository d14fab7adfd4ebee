"""One attempt to get at what one may not: what is tried, and how the gateway must answer."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.escapes.world import Outcome, World

Code = grpc.StatusCode
UNAUTHENTICATED = (Code.UNAUTHENTICATED,)
HIDDEN = (Code.NOT_FOUND,)
FORBIDDEN = (Code.PERMISSION_DENIED,)


@dataclass(frozen=True)
class Attempt:
    """What is tried, by a sentence."""

    name: str
    tries: Callable[[World], Outcome]
    codes: tuple[grpc.StatusCode, ...]
    """One of which it must end with; OK where the answer must merely hold nothing of acme's."""

    def __repr__(self) -> str:
        return self.name


def changed(token: Callable[[World], str]) -> Callable[[World], str]:
    """With another byte in its middle."""

    def made(world: World) -> str:
        data = bytearray(base64.urlsafe_b64decode(token(world) + "=="))
        data[len(data) // 2] ^= 1
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    return made
