"""What tests of the whole share: processes that start quickly, and a table of all crash runs, printed at the end.

Here and not in `faults`: pytest reads this file before it collects, so that the table is printed with `-n 2` too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.harness.nursery import Nursery, shared

if TYPE_CHECKING:
    from collections.abc import Callable

_ROW = "crash runs"
_COLUMNS = ("runs", "crashes", "undone", "duplicates", "orphans", "stuck")


@pytest.fixture(scope="session")
def nursery() -> Nursery:
    """What the processes of crash tests are forked from."""
    return shared()


@pytest.fixture
def crash_table(record_property: Callable[[str, object], None]) -> Callable[[str, str, Any], None]:
    """Add a row to the table: platform, what was crashed, and a tally of it."""

    def add(platform: str, kind: str, tally: Any) -> None:
        record_property(_ROW, [platform, kind, *(getattr(tally, column) for column in _COLUMNS)])

    return add


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table."""
    reports = [*terminalreporter.stats.get("passed", ()), *terminalreporter.stats.get("failed", ())]
    found = [value for report in reports for name, value in report.user_properties if name == _ROW]
    if not found:
        return
    rows = [
        [*kind, *map(sum, zip(*(row[2:] for row in found if tuple(row[:2]) == kind), strict=True))]
        for kind in sorted({(row[0], row[1]) for row in found})
    ]
    terminalreporter.section(_ROW)
    total = ["", "in all", *(sum(row[2 + at] for row in rows) for at in range(len(_COLUMNS)))]
    for row in (["platform", "mutation", *_COLUMNS], *rows, total):
        terminalreporter.write_line(f"{row[0]:<10} {row[1]:<24}" + "".join(f"{cell!s:>11}" for cell in row[2:]))
