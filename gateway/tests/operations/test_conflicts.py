"""Which mutations of one resource run beside each other, queue, are refused, or give way."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from gateway.tests.operation_store_suite import intent

from cloudspan_common.errors import Busy
from cloudspan_gateway.operations.conflicts import Verdict, judge, names_of
from cloudspan_gateway.operations.model import Progress, Row

SERVER, OTHER = "platforms/p/clusters/c/servers/1", "platforms/p/clusters/c/servers/2"
VOLUME, SPARE = "platforms/p/clusters/c/volumes/1", "platforms/p/clusters/c/volumes/2"


def asked(method: str, target: str = "", *also: str) -> Any:
    service = "VolumeService" if "volumes" in target and method.endswith("Volume") else "ServerService"
    return intent(method=f"cloudspan.v1.{service}/{method}", target=target, also=also)


def under_way(method: str, target: str = "", *also: str, resource: str = "", sequence: int = 1) -> Row:
    row = Row(asked(method, target, *also), create_time=0, update_time=0, sequence=sequence)
    return dataclasses.replace(row, progress=Progress(resource=resource))


def test_most_mutations_are_alone_on_their_resource() -> None:
    """The refusal names the operation that stands in the way, and what it does."""
    start = under_way("StartServer", SERVER)
    with pytest.raises(Busy, match=f"{start.name} .StartServer. is under way on {SERVER}") as caught:
        judge(asked("StopServer", SERVER), [start])
    assert caught.value.metadata == {"operation": start.name}
    with pytest.raises(Busy):
        judge(asked("AttachVolume", SERVER, VOLUME), [start])


def test_a_create_counts_for_what_it_makes() -> None:
    """As soon as its resource is known."""
    create = under_way("CreateServer", resource=SERVER)
    with pytest.raises(Busy, match="CreateServer"):
        judge(asked("StartServer", SERVER), [create])
    assert names_of(asked("CreateServer")) == ()


def test_attachments_run_beside_each_other() -> None:
    """Two volumes at once; the same volume one behind the other."""
    attach = under_way("AttachVolume", SERVER, VOLUME)
    assert judge(asked("AttachVolume", SERVER, SPARE), [attach]) == Verdict()
    assert judge(asked("DetachVolume", SERVER, VOLUME), [attach]) == Verdict(waits_for=attach.intent.id)


@pytest.mark.parametrize("method", ["StartServer", "DeleteServer"])
def test_operations_of_another_project_neither_give_way_nor_show(method: str) -> None:
    """Two tenants on one cluster, each with a project of its own: the name is nothing of the other one's."""
    start = under_way("StartServer", SERVER)
    theirs = dataclasses.replace(start, intent=dataclasses.replace(start.intent, project="theirs", tenant="acme"))
    mine = dataclasses.replace(asked(method, SERVER), project="mine", tenant="globex", caller="users/mallory")
    assert judge(mine, [theirs]) == Verdict()


def test_the_queue_is_in_the_order_of_acceptance() -> None:
    """Behind the last of those that name the volume."""
    rows = [under_way("AttachVolume", SERVER, VOLUME, sequence=n) for n in (3, 1, 2)]
    assert judge(asked("DetachVolume", SERVER, VOLUME), rows).waits_for == rows[0].intent.id


def test_a_delete_makes_the_others_give_way() -> None:
    """Whatever works on the resource, a create too; another Delete it queues behind."""
    create, start = under_way("CreateServer", resource=SERVER), under_way("StartServer", SERVER)
    assert judge(asked("DeleteServer", SERVER), [create]) == Verdict("", (create.intent.id,))
    delete = under_way("DeleteServer", SERVER, sequence=2)
    verdict = judge(asked("DeleteServer", SERVER), [start, delete])
    assert verdict == Verdict(delete.intent.id, (start.intent.id,))


def test_nothing_begins_on_what_is_being_deleted() -> None:
    """Nor is it named by others."""
    with pytest.raises(Busy, match="DeleteServer"):
        judge(asked("AttachVolume", SERVER, VOLUME), [under_way("DeleteServer", SERVER)])
    with pytest.raises(Busy, match="DeleteVolume"):
        judge(asked("AttachVolume", SERVER, VOLUME), [under_way("DeleteVolume", VOLUME)])


def test_the_delete_of_what_is_only_named_is_left_to_the_platform() -> None:
    """A volume in use is refused there, with the reason."""
    assert judge(asked("DeleteVolume", VOLUME), [under_way("AttachVolume", SERVER, VOLUME)]) == Verdict()


def test_operations_on_different_resources_do_not_conflict() -> None:
    """One volume that two servers want is queued for, though."""
    attach = under_way("AttachVolume", OTHER, VOLUME)
    assert judge(asked("StartServer", SERVER), []) == Verdict()
    assert judge(asked("AttachVolume", SERVER, VOLUME), [attach]).waits_for == attach.intent.id
