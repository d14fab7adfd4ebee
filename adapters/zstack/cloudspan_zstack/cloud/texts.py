"""Which texts ZStack can take: its tables hold characters of up to three bytes in UTF-8, its queries fewer.

A text beyond that is accepted, and then the job is lost without a word. So mutations refuse it first (`check_texts`),
and the session sends nothing that holds one (`check_change`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from google.protobuf import struct_pb2

from cloudspan_common.errors import InvalidRequest, Violation
from cloudspan_common.option_schema import plain_struct

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from google.protobuf.descriptor import FieldDescriptor
    from google.protobuf.message import Message

    from cloudspan_zstack.cloud.jobs import Change

_LAST = "\uffff"
"""The last character that the tables, of MySQL's utf8mb3, can hold."""
_MOST_NAMED = 5
# All but letters and digits of any script and these: the server's query parser takes it apart, or may.
_NOT_PLAIN = re.compile(r"[^\w \-.:/@+#,]|[\U00010000-\U0010ffff]")
_BREAKS_QUERIES = re.compile(r"['\"\\`\x00-\x1f\x7f\U00010000-\U0010ffff]")


def check_texts(request: Message) -> None:
    """Refuse a request with a text that the platform can't store.

    Raises:
        InvalidRequest: Each such field, with the characters.
    """
    _refuse([(path, text, secret) for path, text, secret in _texts(request, "") if not _is_stored(text)])


def check_change(change: Change) -> None:
    """Refuse a change with a text that the platform can't store; raises as `check_texts`, with native names."""
    # System tags hold passwords.
    secret = dict.fromkeys(change.system_tags)
    texts = _texts_within({**change.args, **change.params, "tags": [*change.user_tags, *change.system_tags]}, "")
    _refuse([(path, text, text in secret) for path, text in texts if not _is_stored(text)])


def is_plain(text: str) -> bool:
    """Whether a query's condition may hold `text` as its value and finds what equals it."""
    return _NOT_PLAIN.search(text) is None


def check_conditions(conditions: Sequence[str]) -> None:
    """Refuse conditions on ids and words that hold what no id has and the server's query parser breaks on.

    Raises:
        InvalidRequest: MALFORMED_NAME.
    """
    for condition in conditions:
        odd = _BREAKS_QUERIES.findall(condition)
        if odd:
            text = f"{condition[:80]!r} can't be asked of ZStack: no id of it holds {_named(odd)}"
            raise InvalidRequest(text, reason="MALFORMED_NAME")


def _is_stored(text: str) -> bool:
    return text.isascii() or max(text) <= _LAST


def _refuse(found: Sequence[tuple[str, str, bool]]) -> None:
    if not found:
        return
    violations = []
    for path, text, secret in found:
        odd = [char for char in text if char > _LAST]
        what = "characters" if secret else _named(odd)
        violations.append(
            Violation(path, f"holds {what}, which ZStack can't store: it takes characters up to U+FFFF; leave them out")
        )
    told = "; ".join(f"{violation.field} {violation.description}" for violation in violations)
    raise InvalidRequest(told, violations=violations)


def _named(characters: Sequence[str]) -> str:
    several = [f"{char!r} (U+{ord(char):04X})" for char in dict.fromkeys(characters)]
    more = f" and {len(several) - _MOST_NAMED} more" if len(several) > _MOST_NAMED else ""
    return ", ".join(several[:_MOST_NAMED]) + more


def _texts(message: Message, prefix: str) -> Iterator[tuple[str, str, bool]]:
    """Yield the texts of a message at any depth: path, text, and whether it is a secret."""
    for field, value in message.ListFields():
        path = prefix + field.name
        secret = field.GetOptions().debug_redact
        if isinstance(value, struct_pb2.Struct):
            yield from ((place, text, secret) for place, text in _texts_within(plain_struct(value), path))
            continue
        for place, item in _items(field, value, path):
            if isinstance(item, str):
                yield place, item, secret
            elif field.message_type is not None and not isinstance(item, bytes | int | float):
                yield from _texts(item, f"{place}.")


def _items(field: FieldDescriptor, value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        for key, entry in value.items():
            yield path, key
            yield f"{path}.{key}" if _is_stored(str(key)) else path, entry
    elif field.is_repeated:
        yield from ((f"{path}[{index}]", item) for index, item in enumerate(value))
    else:
        yield path, value


def _texts_within(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield the texts of a JSON value at any depth."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield path, str(key)
            yield from _texts_within(item, f"{path}.{key}".lstrip(".") if _is_stored(str(key)) else path)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts_within(item, path)
