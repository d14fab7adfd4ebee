"""Which metadata of ours a caller probably meant by a name that is none: a typo would otherwise go unnoticed.

`context` asks for each `x-` name that the gateway doesn't know, and the answer goes into a trailer.
"""

from __future__ import annotations

import difflib
import functools

from cloudspan_gateway.metadata import FORWARDED_PREFIX, REQUEST_ID, TAGS, X_AUTH_SESSION, X_STALE_OK, X_TENANT, X_WAIT

KNOWN = frozenset({REQUEST_ID, X_WAIT, X_STALE_OK, X_TENANT, X_AUTH_SESSION, *TAGS})
"""What a caller may send under `x-`, beside all that begins with the forwarded prefix."""
WARNING = "x-cloudspan-warning"
MAX_LOOKED_AT = 16
"""Of unknown names of one call: a comparison takes a tenth of a millisecond."""
MAX_WARNINGS = 3
"""Behind one answer: trailers are small, and an error needs them."""
_CLOSE = 0.8
_CLOSE_PREFIX = 0.85
_MAX_LENGTH = 64


def is_unknown(key: str) -> bool:
    """Whether a name looks like one of the gateway's and is none."""
    return key[:2] in ("x-", "x_") and key not in KNOWN and not key.startswith(FORWARDED_PREFIX)


def warnings(keys: list[str]) -> tuple[tuple[str, str], ...]:
    """Return the trailers that name what was probably meant by these unknown names."""
    meant = ((key, meant_by(key)) for key in keys[:MAX_LOOKED_AT] if len(key) <= _MAX_LENGTH)
    told = [(WARNING, f"unknown metadata {key}; did you mean {name}?") for key, name in meant if name]
    return tuple(told[:MAX_WARNINGS])


@functools.lru_cache(maxsize=1024)
def meant_by(key: str) -> str:
    """Return the name that `key` is a slip of; empty when it is near none, as `x-forwarded-for` is."""
    spelt = key.replace("_", "-")
    head, dash, rest = spelt[2:].partition("-")
    alike = difflib.SequenceMatcher(None, f"x-{head}-", FORWARDED_PREFIX).ratio() if dash and rest else 0.0
    if alike >= _CLOSE_PREFIX:
        return FORWARDED_PREFIX + rest
    return next(iter(difflib.get_close_matches(spelt, KNOWN, 1, _CLOSE)), "")
