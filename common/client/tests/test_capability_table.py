"""The table of what each platform can do, and its place in a document."""

from __future__ import annotations

import click
import pytest

from cloudspan.cli import capability_table
from cloudspan.v1 import cluster_pb2

M = cluster_pb2.MethodCapability
SERVERS = "cloudspan.v1.ServerService"


def _cluster(tag, *capabilities):
    return cluster_pb2.Cluster(name=f"platforms/{tag}/clusters/main", capabilities=capabilities)


def test_a_row_is_a_service_and_a_column_a_platform():
    """Nouns are left out of method names where nothing is lost; a platform without a service has a dash."""
    one = _cluster(
        "one",
        M(method=f"{SERVERS}/ListServers", level=M.LEVEL_NATIVE),
        M(
            method=f"{SERVERS}/CreateServer",
            level=M.LEVEL_NATIVE,
            create_safety=cluster_pb2.MethodCapability.CREATE_SAFETY_MARKER,
        ),
        M(method=f"{SERVERS}/AttachVolume", level=M.LEVEL_NATIVE),
    )
    two = _cluster("two", M(method="cloudspan.v1.KeyPairService/ListKeyPairs", level=M.LEVEL_NATIVE))
    assert capability_table.markdown([two, one]).splitlines() == [
        "| service | one | two |",
        "| --- | --- | --- |",
        "| KeyPairService | - | List |",
        "| ServerService | List, Create (marker), AttachVolume | - |",
    ]


def test_what_is_emulated_has_a_star_and_its_reason_below():
    """What is absent is not in the table at all."""
    cluster = _cluster(
        "one",
        M(method=f"{SERVERS}/GetServer", level=M.LEVEL_EMULATED, reason="listed and searched"),
        M(method=f"{SERVERS}/StopServer", level=M.LEVEL_ABSENT, reason="no"),
    )
    table = capability_table.markdown([cluster])
    assert "| ServerService | Get\\* |" in table
    assert "- one, GetServer: listed and searched" in table
    assert "Stop" not in table


def test_the_table_is_put_between_the_markers_and_nowhere_else(tmp_path):
    """A second write of the same table changes nothing."""
    document = tmp_path / "README.md"
    document.write_text(f"above\n{capability_table.BEGIN}\nold\n{capability_table.END}\nbelow\n")
    assert capability_table.write(document, "| new |")
    assert not capability_table.write(document, "| new |")
    begin, end = capability_table.BEGIN, capability_table.END
    assert document.read_text() == f"above\n{begin}\n\n| new |\n\n{end}\nbelow\n"


def test_a_document_without_markers_is_left_alone(tmp_path):
    """The error says which lines it misses."""
    document = tmp_path / "README.md"
    document.write_text("nothing here\n")
    with pytest.raises(click.ClickException, match="has no line <!-- capabilities"):
        capability_table.write(document, "| new |")
    assert document.read_text() == "nothing here\n"
