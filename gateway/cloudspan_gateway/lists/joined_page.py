"""One page under way that `fan_out` joins from the parts of many clusters, below what clients take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudspan_common.listing.page_token import MAX_ANSWER_BYTES

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from cloudspan_common.contract import Method


class JoinedPage:
    """The page under way."""

    def __init__(self, method: Method, size: int) -> None:
        self._items_field = method.items_field
        self._size = size
        self._bytes = 0
        self._is_full = False
        self.response: Any = method.response()

    @property
    def room(self) -> int:
        """How many more items it takes."""
        return 0 if self._is_full else self._size - len(self._items)

    @property
    def _items(self) -> Any:
        return getattr(self.response, self._items_field)

    def take(self, answer: Message) -> bool:
        """Add a part's items; False when they do not fit, so that the next page asks for them again."""
        items, size = getattr(answer, self._items_field), answer.ByteSize()
        if self._items and (self._bytes + size > MAX_ANSWER_BYTES or len(items) > self.room):
            self._is_full = True
            return False
        self._bytes += size
        self._items.extend(items)
        return True
