"""Paths of native calls: ids stay in their place, whatever they hold."""

from __future__ import annotations

import pytest

from cloudspan_common.errors import InvalidRequest
from cloudspan_kit import path_of


@pytest.mark.parametrize("odd", ["", ".", "..", "a/b", "../servers", "a\\b", "a\nb", "a\x00", "/"])
def test_an_id_that_would_lead_out_of_its_place_is_refused(odd: str) -> None:
    """Proxies decode encoded slashes, and clients resolve dots: another resource would be deleted."""
    with pytest.raises(InvalidRequest) as refused:
        path_of("/servers/{id}/action", {"id": odd}, ())
    assert refused.value.reason == "MALFORMED_NAME"


def test_any_other_id_is_percent_encoded() -> None:
    assert path_of("/os-keypairs/{name}", {"name": "my key?#%ü"}, ()) == "/os-keypairs/my%20key%3F%23%25%C3%BC"
    assert path_of("/servers/{id}", {"id": "..a."}, [("a", "b c")]) == "/servers/..a.?a=b%20c"
