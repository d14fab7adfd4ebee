"""Search's one text as conditions on `resources`, the best matches first.

First what has exactly this, which an index finds; then what has a word that begins with it, then what has it anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, CompoundSelect, and_, false, not_, select, true, union_all

from cloudspan_gateway.inventory.columns import (
    ADDRESSES,
    MAX_VALUE_CHARS,
    NUL_AS,
    SEPARATOR,
    TOKENS,
    kept_text,
    label_path,
    search_text,
    search_token,
)
from cloudspan_gateway.inventory.query.sql_filter import contains
from cloudspan_gateway.storage.tables import resource_values, resources

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_CHARS = 4_096
"""Longer texts are found nowhere."""
_MAX_LABEL_SIGNS = 4  # at which `=` of a text a label's key may end
_R, _V = resources.c, resource_values.c


@dataclass(frozen=True, slots=True, eq=False)
class Rank:
    """The rows that match a text equally well; no row is in two."""

    condition: ColumnElement[bool]
    is_indexed: bool = False
    """Whether an index finds them all."""


ALL = (Rank(true()),)
"""What there is without a text."""


def ranks(text: str, *, shared: bool) -> Sequence[Rank]:
    """Return the ranks of a text, the best first."""
    if not text or text.isspace():
        return ALL
    wanted = search_text(text.replace("\0", NUL_AS))
    if len(wanted) > MAX_CHARS:
        return (Rank(false()),)
    exactly = _R.id.in_(_exact_ids(text.strip().replace("\0", NUL_AS)))
    begins = contains(_R.search, SEPARATOR + wanted, shared=shared)
    anywhere = contains(_R.search, wanted, shared=shared)
    return (
        Rank(exactly, is_indexed=True),
        Rank(and_(begins, not_(exactly))),
        Rank(and_(anywhere, not_(begins), not_(exactly))),
    )


def _exact_ids(text: str) -> CompoundSelect[Any]:
    of_value = [and_(_V.path == path, _V.value == value) for path, value in sorted(set(_values(text)))]
    named = select(_R.id).where(_R.name == text)
    return union_all(named, *(select(_V.resource).where(one) for one in of_value))


def _values(text: str) -> Iterator[tuple[str, str]]:
    """Yield what a resource may have at which path to be found exactly; addresses are kept as platforms write them."""
    yield TOKENS, search_token(text)
    for written in (text, text.lower(), text.upper()):
        yield ADDRESSES, kept_text(written, MAX_VALUE_CHARS)
    at = 0
    for _ in range(_MAX_LABEL_SIGNS):
        at = text.find("=", at) + 1
        if not at:
            return
        yield label_path(text[: at - 1]), kept_text(text[at:], MAX_VALUE_CHARS)
