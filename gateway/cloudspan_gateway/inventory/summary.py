"""Counts and sums of rows, by up to three groups."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from cloudspan.v1 import inventory_pb2
from cloudspan_gateway.inventory.query import Query, to_stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudspan_gateway.inventory.base import Question
    from cloudspan_gateway.storage.engine import Database

Group = inventory_pb2.SummarizeRequest.Group
Summary = inventory_pb2.SummarizeResponse.Summary
_SUMS = ("vcpus", "memory_bytes", "disk_bytes")
_MOST = 1000


class Summaries:
    """Sums up what a question asks for."""

    def __init__(self, database: Database) -> None:
        self._query = Query(database)

    async def summarize(
        self, question: Question, group_by: Sequence[Group], label: str = ""
    ) -> inventory_pb2.SummarizeResponse:
        """Return groups, the largest first, and their total."""
        groups, total = defaultdict[tuple[str, ...], Summary](Summary), Summary()
        after = ""
        while True:
            page = await self._query.page(replace(question, limit=_MOST, after=after))
            for row in page.rows:
                one = to_stored(row, row.observe_time)
                values = [
                    one.labels.get(label, "")
                    if group == Group.GROUP_LABEL
                    else str(getattr(one, Group.Name(group).removeprefix("GROUP_").lower()))
                    for group in group_by
                ]
                for summary in (groups[tuple(values)], total):
                    summary.count += 1
                    for name in _SUMS:
                        setattr(summary, name, getattr(summary, name) + getattr(one, name))
            after = page.cursor
            if not after:
                break
        answer = inventory_pb2.SummarizeResponse(total=total, omitted_groups=max(0, len(groups) - _MOST))
        for key, summary in sorted(groups.items(), key=lambda pair: (-pair[1].count, pair[0]))[:_MOST]:
            answer.summaries.add(group=key).MergeFrom(summary)
        return answer
