"""AIP-160 filters: the subset that lists take, parsed once, applied to messages.

`state = RUNNING AND (labels.team = "db" OR NOT display_name : "tmp")`. Comparisons: `=` `!=` `<` `<=` `>` `>=` and
`:` (contains, case-insensitive for text; has for maps and lists). Precedence as in AIP-160: OR binds tighter than AND.
Fields are those of the resource; strings may be quoted; enums go by name with or without their prefix; times are
RFC 3339. Unknown fields and values of the wrong type are InvalidRequest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor import FieldDescriptor as Fd

from cloudspan_common.errors import InvalidRequest, Violation

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor
    from google.protobuf.message import Message

_TOKEN = re.compile(r'\s*(?:(?P<quoted>"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\')|(?P<op><=|>=|!=|=|<|>|:|\(|\))|(?P<word>[^\s()<>=!:"\']+))')
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_TIMESTAMP = "google.protobuf.Timestamp"
_MAX_CHARS = 4096
_MAX_DEPTH = 20
