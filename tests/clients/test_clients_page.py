"""docs/clients.md shows the example clients as they are built and run."""

from __future__ import annotations

import re

import pytest
from tests.clients import building

PAGE = (building.ROOT / "docs" / "clients.md").read_text()


@pytest.mark.parametrize(("language", "fence"), [(building.GO, "go"), (building.JAVA, "java"), (building.NODE, "js")])
def test_the_page_shows_the_program_that_is_run(language, fence):
    """Character by character: neither is changed without the other."""
    blocks = re.findall(rf"^```{fence}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    source = building.ROOT / "tests" / "clients" / language.name / language.source
    assert blocks == [source.read_text()]


@pytest.mark.parametrize("language", building.LANGUAGES, ids=lambda language: language.name)
def test_buf_generates_each_language_of_the_page(language):
    """By plugins on this machine: a remote one would send the contract to someone else's."""
    plugins = building.plugins(language)
    assert plugins
    assert [plugin for plugin in plugins if "remote" in plugin] == []
