"""Answers of a cloud that are changed on their way in: what other clouds send, tried against a fake one.

Tests open `changed_answers` around calls of a cluster; the requests go over a real socket.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import msgspec

from cloudspan_kit.testing.pointers import put

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from cloudspan_kit.http.transport import Answer, HttpTransport


@dataclass(frozen=True, slots=True)
class Changed:
    """What is changed of the answers to GETs of a path."""

    path: str
    """A regular expression of the end of the path."""
    put: Mapping[str, object] = field(default_factory=dict)
    """JSON pointers, `*` for every element, and what is put there: `{"/flavors/*/vcpus": 7}`."""
    status: int = 200
    """Another one is answered instead, with `body`."""
    body: object = None
    params: Mapping[str, str] = field(default_factory=dict)
    """Parameters of the request, put in the place of its own."""
    edit: Callable[[Any, Mapping[str, str]], None] = lambda _document, _query: None
    """Changes the answer's document in any other way; gets the request's query too."""


@contextmanager
def changed_answers(wire: HttpTransport, *changes: Changed) -> Iterator[list[str]]:
    """Change the answers that come in on a wire; give the paths with queries of all GETs, in order."""
    exchange, asked_for = wire.exchange, list[str]()

    async def changing(asked: Any, url: Any, headers: Any, body: Any, *, timeout_s: float) -> Answer:
        found = [one for one in changes if asked.method == "GET" and re.search(f"(?:{one.path})$", url.path)]
        if asked.method == "GET":
            asked_for.append(url.path_qs)
        for change in found:
            url = url.update_query(change.params)
        answer = await exchange(asked, url, headers, body, timeout_s=timeout_s)
        for change in found:
            answer = _changed(answer, change, url.query)
        return answer

    wire.exchange = changing  # type: ignore[method-assign] # between the socket and the session
    try:
        yield asked_for
    finally:
        wire.exchange = exchange  # type: ignore[method-assign]


def _changed(answer: Answer, change: Changed, query: Mapping[str, str]) -> Answer:
    if change.status != 200:
        return replace(answer, status=change.status, body=msgspec.json.encode(change.body))
    document = msgspec.json.decode(answer.body)
    for pointer, value in change.put.items():
        put(document, pointer, value)
    change.edit(document, query)
    return replace(answer, body=msgspec.json.encode(document))
