"""The file of clouds: what is wrong with it is named by its place, and no secret in it shows."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest
import yaml

from cloudspan_common.errors import InvalidRequest
from cloudspan_zstack.cloud.clouds import read_cloud, read_clouds


@pytest.mark.parametrize(
    "content",
    [b"clouds:\n  one:\n    password: @s3cr3t\n", b"clouds: {one: {password: 's3cr3t}}", b"\xffs3cr3t", b"[" * 3000],
)
def test_a_file_that_can_not_be_read_shows_no_secret(tmp_path: Path, content: bytes) -> None:
    """Neither in the message nor in a traceback: a parser quotes the line that it stumbled over."""
    file = tmp_path / "clouds.yaml"
    file.write_bytes(content)
    with pytest.raises(InvalidRequest) as refused:
        read_cloud("one", file)
    assert str(file) in refused.value.message
    assert "s3cr3t" not in "".join(traceback.format_exception(refused.value))


GOOD = {"endpoint": "http://cloud:8080/zstack", "account": "a", "password": "s3cr3t"}


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (None, "null"),
        ("here", "str"),
        ({}, "endpoint"),
        ({**GOOD, "endpoint": "http://["}, "URL"),
        ({**GOOD, "password": 53717}, "$.password"),
        ({**GOOD, "acount": "a"}, "acount"),
        ({**GOOD, "settle": -1}, "$.settle"),
        ({**GOOD, "settle": float("inf")}, "$.settle"),
        ({**GOOD, "access_key_id": "k"}, "either account and password"),
    ],
)
def test_an_entry_that_can_not_be_used_says_what_is_wrong_with_it(tmp_path: Path, entry: object, told: str) -> None:
    """With the key and never its value, and the other clouds of the file can be used, whatever their names."""
    file = tmp_path / "clouds.yaml"
    file.write_text(yaml.safe_dump({"clouds": {"odd": entry, "good": GOOD, 7: GOOD}}))
    with pytest.raises(InvalidRequest, match="cloud 'odd'") as refused:
        read_cloud("odd", file)
    assert (refused.value.reason, told in refused.value.message) == ("BAD_CLOUD", True)
    shown = "".join(traceback.format_exception(refused.value))
    assert ["s3cr3t" in shown, "53717" in shown] == [False, False]
    assert read_cloud("good", file).account == "a"
    with pytest.raises(InvalidRequest, match="it has: odd, good, 7"):
        read_cloud("none", file)


def test_all_clouds_of_the_file_are_served_unless_some_are_named(tmp_path: Path) -> None:
    """By their names, or under another tag; one that is not there is an error of its own."""
    file = tmp_path / "clouds.yaml"
    authority = tmp_path / "ca.pem"
    file.write_text(yaml.safe_dump({"clouds": {"one": GOOD, "two": {**GOOD, "cacert": str(authority)}, "odd": {}}}))
    everything = read_clouds((), file)
    assert sorted(everything.by_tag) == ["odd", "one", "two"]
    assert isinstance(everything.by_tag["odd"], InvalidRequest)
    assert everything.files == [file, authority]
    some = read_clouds(("lab=one", "three"), file)
    assert (list(some.by_tag), some.missing) == (["lab", "three"], ["three"])


def test_the_revision_changes_with_every_setting_and_with_the_files_that_are_named(tmp_path: Path) -> None:
    """So that a renewed authority is used without a restart."""
    file, authority = tmp_path / "clouds.yaml", tmp_path / "ca.pem"
    revisions = []
    for entry, text in (
        ({}, ""), ({}, ""), ({"password": "n3w"}, ""), ({"timezone": "+08:00"}, ""), ({"cacert": str(authority)}, "a"),
        ({"cacert": str(authority)}, "b"),
    ):  # fmt: skip
        authority.write_text(text)
        file.write_text(yaml.safe_dump({"clouds": {"one": {**GOOD, **entry}}}))
        revisions.append(read_cloud("one", file).revision)
    assert revisions[0] == revisions[1]
    assert len(set(revisions)) == 5
