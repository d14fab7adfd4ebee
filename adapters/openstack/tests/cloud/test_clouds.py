"""The file of clouds: what is wrong with it is named by its place, and no secret in it shows."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest
import yaml

from cloudspan_common.errors import InvalidRequest
from cloudspan_openstack.cloud.clouds import read_cloud, read_clouds


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


AUTH = {"auth_url": "http://cloud:5000/v3", "username": "u", "password": "s3cret", "project_name": "p"}


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (None, "it is empty"),
        ("here", "it is a text"),
        ({}, "auth_url"),
        ({"auth": None}, "auth is empty"),
        ({"auth": ["s3cret"]}, "auth is a list"),
        ({"auth": "s3cret"}, "auth is a text"),
        ({"auth": {**AUTH, "password": 53717}}, "auth.password is a number"),
        ({"auth": {**AUTH, "password": ["s3cret"]}}, "auth.password is a list"),
        ({"auth": {**AUTH, "pasword": "s3cret"}}, "auth.pasword is unknown"),
        ({"auth": {**AUTH, "auth_url": "nonsense"}}, "no auth_url"),
        ({"auth": {**AUTH, "auth_url": None}}, "auth_url"),
        ({"auth": AUTH, "auth_type": "nope"}, "nope"),
        ({"auth": AUTH, "auth_type": "none"}, "auth"),
        ({"auth": AUTH, "interface": "pubic"}, "pubic; catalogues have public, internal, admin"),
        ({"auth": AUTH, "interface": {"public": True}}, "interface"),
        ({"auth": AUTH, "interface": 5}, "interface names 5"),
        ({"auth": AUTH, "region_name": ["A", "B"]}, "region_name"),
        ({"auth": AUTH, "region_name": "A,B"}, "region_name"),
        ({"auth": AUTH, "regions": ["A", "B"]}, "the regions A, B"),
        ({"auth": AUTH, "volume_endpoint_override": "cinder"}, "volume_endpoint_override is no URL"),
        ({"auth": AUTH, "profile": 7}, "another type"),
        ({"auth": AUTH, "networks": "x"}, "another type"),
    ],
)
def test_an_entry_that_can_not_be_used_says_what_is_wrong_with_it(tmp_path: Path, entry: object, told: str) -> None:
    """With the key and never its value, and the other clouds of the file can be used."""
    file = tmp_path / "clouds.yaml"
    file.write_text(yaml.safe_dump({"clouds": {"odd": entry, "good": {"auth": AUTH}}}))
    with pytest.raises(InvalidRequest, match="cloud 'odd' can't be used") as refused:
        read_cloud("odd", file)
    assert (refused.value.reason, told in refused.value.message) == ("BAD_CLOUD", True)
    shown = "".join(traceback.format_exception(refused.value))
    assert ["s3cret" in shown, "53717" in shown] == [False, False]
    assert read_cloud("good", file).auth_url == AUTH["auth_url"]


@pytest.mark.parametrize("content", ["clouds: [a]", "clouds: a", "5", "clouds:"])
def test_a_file_without_a_map_of_clouds_is_refused_as_such(tmp_path: Path, content: str) -> None:
    file = tmp_path / "clouds.yaml"
    file.write_text(content)
    with pytest.raises(InvalidRequest, match=r"clouds\.yaml"):
        read_cloud("one", file)


def test_a_setting_that_is_null_is_not_given(tmp_path: Path) -> None:
    """As templates leave them."""
    settings = ("region_name", "regions", "interface", "profile", "volume_endpoint_override", "verify", "cacert")
    entry = {"auth": {**AUTH, "project_id": None}, **dict.fromkeys(settings)}
    file = tmp_path / "clouds.yaml"
    file.write_text(yaml.safe_dump({"clouds": {"one": entry}}))
    cloud = read_cloud("one", file)
    assert (cloud.region, cloud.interfaces["compute"], cloud.overrides, cloud.verify) == ("", ("public",), {}, True)


def test_the_region_that_is_named_is_used_of_those_listed(tmp_path: Path) -> None:
    file = tmp_path / "clouds.yaml"
    file.write_text(yaml.safe_dump({"clouds": {"one": {"auth": AUTH, "regions": ["A", "B"], "region_name": "B"}}}))
    assert read_cloud("one", file).region == "B"


def test_all_clouds_of_the_file_are_served_unless_some_are_named(tmp_path: Path) -> None:
    """By their names, or under another tag; one that is not there is an error of its own."""
    file, authority = tmp_path / "clouds.yaml", tmp_path / "ca.pem"
    clouds = {"one": {"auth": AUTH}, "two": {"auth": AUTH, "cacert": str(authority)}, "odd": {"auth": []}}
    file.write_text(yaml.safe_dump({"clouds": clouds}))
    everything = read_clouds((), file)
    assert sorted(everything.by_tag) == ["odd", "one", "two"]
    assert isinstance(everything.by_tag["odd"], InvalidRequest)
    assert {file, authority} < set(everything.files)
    some = read_clouds(("lab=one", "three"), file)
    assert (list(some.by_tag), some.missing) == (["lab", "three"], ["three"])


def test_the_revision_changes_with_every_setting_and_with_the_files_that_are_named(tmp_path: Path) -> None:
    """So that a renewed authority is used without a restart; reading the same again is no change."""
    file, authority = tmp_path / "clouds.yaml", tmp_path / "ca.pem"
    revisions = []
    for entry, text in (
        ({}, ""), ({}, ""), ({"auth": {**AUTH, "password": "n3w"}}, ""), ({"image_endpoint_override": "http://n"}, ""),
        ({"cacert": str(authority)}, "a"), ({"cacert": str(authority)}, "b"),
    ):  # fmt: skip
        authority.write_text(text)
        file.write_text(yaml.safe_dump({"clouds": {"one": {"auth": AUTH, **entry}}}))
        revisions.append(read_cloud("one", file).revision)
    assert revisions[0] == revisions[1]
    assert len(set(revisions)) == 5
