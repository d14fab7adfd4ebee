"""What the tests of adapters share.

`odd_rows` is the proof that one odd row hides no others, `changed_answers` changes what a fake cloud answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudspan_common import contract
from cloudspan_common.deadlines import Deadline
from cloudspan_kit.cluster import Call
from cloudspan_kit.lists.fill import list_page
from cloudspan_kit.serve.capabilities import Abilities
from cloudspan_kit.testing.changed_answers import Changed, changed_answers
from cloudspan_kit.testing.odd_rows import Answers, check_odd_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudspan_kit.cluster import Cluster
    from cloudspan_kit.lists.fill import Listed


__all__ = ["Answers", "Changed", "Functions", "changed_answers", "check_odd_rows", "list_page_of"]


class Functions:
    """The functions that a cluster serves, as attributes: `functions.list_volumes(call, query)`."""

    def __init__(self, cluster: Cluster) -> None:
        self._abilities = Abilities(cluster)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return self._abilities.named(name)


async def list_page_of(cluster: Cluster, function: str, **fields: Any) -> Listed[Any]:
    """Return a page as a cluster's list answers it: `list_page_of(cluster, "list_volumes", page_size=2)`."""
    method = next(m for m in contract.methods().values() if m.python_name == function)
    abilities = Abilities(cluster)
    call = Call(cluster.ref, Deadline.after(20), cloud=abilities.cloud)
    request = method.request(parent=str(cluster.ref), **fields)
    return await list_page(method, request, call, abilities.function(method))
