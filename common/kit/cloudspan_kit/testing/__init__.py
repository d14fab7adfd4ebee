"""What the tests of adapters share; `odd_rows` is the proof that one odd row hides no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudspan_kit.serve.capabilities import Abilities
from cloudspan_kit.testing.odd_rows import Answers, check_odd_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudspan_kit.cluster import Cluster


__all__ = ["Answers", "Functions", "check_odd_rows"]


class Functions:
    """The functions that a cluster serves, as attributes: `functions.list_volumes(call, query)`."""

    def __init__(self, cluster: Cluster) -> None:
        self._abilities = Abilities(cluster)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return self._abilities.named(name)
