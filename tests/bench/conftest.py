"""The benchmarks' table: printed to the terminal at the end of each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.bench.measure import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def table(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Table]]:
    """Make a table; what was put into it is shown even if a bar is missed."""
    made: list[Table] = []

    def make(title: str, *columns: str) -> Table:
        made.append(Table(title, columns))
        return made[-1]

    yield make
    with capsys.disabled():
        for one in made:
            print(one.text())
