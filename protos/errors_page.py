"""Writes docs/errors.md from error_reason.proto: `make proto` runs it, `make check` compares.

python protos/errors_page.py docs/errors.md
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

SOURCE = Path(__file__).parent / "cloudspan" / "v1" / "error_reason.proto"
_VALUE = re.compile(
    r"  // Cause: (?P<cause>.+)\n  // Acts: (?P<acts>.+)\n  // Do: (?P<do>.+)\n"
    r"  (?P<name>[A-Z0-9_]+) = (?P<number>\d+);"
)
_HEADING = re.compile(r"^  // (?P<heading>[A-Z][^:]*)(?:: (?P<rest>.*))?\.$")
_HEAD = """# Errors

Every status carries `google.rpc.ErrorInfo` with the domain `cloudspan.dev`, a `reason` of this list, and metadata:
`recovery` (what the caller can do: `fix_request`, `retry`, `retry_after`, `look_first`, `ask_operator`), and where they
are known `platform`, `cluster`, `native_code`, `native_request_id` and `http_status`. Beside it come BadRequest,
ResourceInfo, QuotaFailure, RetryInfo and RequestInfo where they apply. Reasons are stable: programs may branch on them.
An adapter may send reasons of its own; fall back on the status code and on `recovery`.

*Acts* says who can do something about it: the caller who sent the request, the operator who runs Cloudspan or the
cloud, or nobody, since it passes by itself.

This page is made from `protos/cloudspan/v1/error_reason.proto` by `make proto`.
"""


def page(text: str) -> str:
    """Return the page for the text of the proto file."""
    lines = [_HEAD]
    for part in re.split(r"\n\n", text[text.index("enum ErrorReason") :]):
        heading = _HEADING.match(part)
        value = _VALUE.search(part)
        if value is None and heading is not None:
            lines.append(f"## {heading['heading']}\n\n| reason | cause | acts | what to do |\n|---|---|---|---|")
        elif value is not None and value["number"] != "0":
            lines.append(f"| `{value['name']}` | {value['cause']} | {value['acts']} | {value['do']} |")
    return re.sub(r"\|\n## ", "|\n\n## ", "\n".join(lines)) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(SOURCE.read_text("utf-8")), "utf-8")
