"""What holds for every create and delete of every platform: once, checked without effect, awaited, gone."""

from __future__ import annotations

import asyncio
import itertools
import uuid

import pytest
from google.api import field_behavior_pb2, resource_pb2
from google.longrunning import operations_pb2
from google.protobuf import empty_pb2
from tests.harness.in_process import metadata_of
from tests.harness.mutations import CREATES
from tests.laws.conftest import SITES

from cloudspan.client import AlreadyExists, InvalidRequest, NotFound, PreconditionFailed, result_of, waiting
from cloudspan.v1 import cluster_pb2, orphan_pb2
from cloudspan_common.contract import Kind, getter, methods

pytestmark = pytest.mark.asyncio(loop_scope="package")

MUTATIONS = {method.name: method for method in methods().values() if method.kind is Kind.MUTATION}
OF_ONE = [name for name, method in MUTATIONS.items() if method.collection]
Safety = cluster_pb2.MethodCapability.CreateSafety
each_create = pytest.mark.parametrize(("platform", "rpc"), list(itertools.product(SITES, CREATES)))
each_change = pytest.mark.parametrize(("platform", "rpc"), list(itertools.product(SITES, OF_ONE)))
_names = (f"one-{number}" for number in itertools.count())


async def test_every_create_of_the_contract_has_a_valid_request_here():
    """So that a new one is held to the laws as soon as the contract has it."""
    assert set(CREATES) == {name for name, method in MUTATIONS.items() if not method.collection}


async def _prepared(lab, platform, rpc):
    """Return a valid request of a create with a request id, and what the cloud holds before it."""
    lab.need(platform, MUTATIONS[rpc])
    request = await lab.request(platform, rpc, next(_names))
    request.request_id = str(uuid.uuid4())
    return request, lab.sites[platform].census()


def _of(resource):
    """Return the method that reads a resource."""
    return getter(resource.name.split("/")[-2])


async def _read(lab, resource):
    method = _of(resource)
    return await lab.stub(method.name)(method.request(name=resource.name))


@each_create
async def test_a_request_that_is_repeated_is_one_operation_and_one_resource(lab, platform, rpc):
    """Five at the same moment, and one when all is over."""
    request, before = await _prepared(lab, platform, rpc)
    first = await asyncio.gather(*(lab.stub(rpc)(request) for _ in range(5)))
    made = await asyncio.gather(*map(lab.done, first))
    again = await lab.stub(rpc)(request)
    assert len({operation.name for operation in (*first, again)}) == 1
    assert again.done
    assert len({resource.name for resource in made}) == 1
    after = lab.sites[platform].census()
    other = await lab.request(platform, rpc, next(_names))
    before_other = lab.sites[platform].census()
    await lab.done(await lab.stub(rpc)(other))
    assert after - before == lab.sites[platform].census() - before_other


@each_create
async def test_a_request_id_that_was_another_requests_is_refused(lab, platform, rpc):
    """And nothing is made."""
    request, _ = await _prepared(lab, platform, rpc)
    await lab.done(await lab.stub(rpc)(request))
    other = await lab.request(platform, rpc, next(_names))
    other.request_id = request.request_id
    before = lab.sites[platform].census()
    with pytest.raises((AlreadyExists, InvalidRequest, PreconditionFailed)):
        await lab.stub(rpc)(other)
    assert lab.sites[platform].census() == before


@each_create
async def test_a_create_that_is_only_checked_changes_nothing(lab, platform, rpc):
    """The answer is a finished operation with the resource as it would be, and no name; nobody keeps it."""
    request, before = await _prepared(lab, platform, rpc)
    request.validate_only = True
    checked = await lab.stub(rpc)(request)
    assert checked.done
    would_be = result_of(checked)
    assert isinstance(would_be, MUTATIONS[rpc].result)
    assert would_be.name == ""
    assert lab.sites[platform].census() == before
    request.validate_only = False
    made = await lab.done(await lab.stub(rpc)(request))  # the same request_id: what was checked took it not
    assert made.name


@each_create
async def test_a_create_that_waits_answers_with_what_get_reads(lab, platform, rpc):
    """Within the time that the caller gives; the operation names what was made."""
    request, _ = await _prepared(lab, platform, rpc)
    operation = await lab.stub(rpc)(request, metadata=waiting(20), timeout=25)
    assert operation.done
    made = result_of(operation)
    read = await _read(lab, made)
    assert (read.name, read.display_name) == (made.name, made.display_name)
    assert made.name.rpartition("/")[2] in metadata_of(operation).native_ids.values()


@each_create
async def test_what_was_created_is_found_by_its_mark_and_an_orphan_only_when_its_operation_is_unknown(
    lab, platform, rpc
):
    """It goes by DeleteOrphan then, when the caller says that he knows."""
    request, _ = await _prepared(lab, platform, rpc)
    operation = await lab.stub(rpc)(request)
    made = await lab.done(operation)
    assert made.name not in await _orphans(lab, platform)
    forget = operations_pb2.DeleteOperationRequest(name=operation.name)
    await lab.running.client.operations.DeleteOperation(forget)
    orphan = (await _orphans(lab, platform)).get(made.name)
    if orphan is None:
        # Its natural key keeps it from being made twice, and it has no place for a mark.
        assert lab.served[platform][MUTATIONS[rpc].full_name].create_safety == Safety.CREATE_SAFETY_NATIVE
        pytest.skip("it carries no mark")
    assert orphan.kind == orphan_pb2.Orphan.KIND_OPERATION_UNKNOWN
    delete = orphan_pb2.DeleteOrphanRequest(name=made.name, operation=orphan.operation)
    with pytest.raises(PreconditionFailed):
        await lab.running.client.orphans.DeleteOrphan(delete)
    delete.even_unknown = True
    await lab.running.client.orphans.DeleteOrphan(delete, timeout=20)
    assert made.name not in await _orphans(lab, platform)


async def _orphans(lab, platform):
    """Return what the cluster's orphans are, by name."""
    orphans = lab.running.client.orphans
    listed = await orphans.ListOrphans(orphan_pb2.ListOrphansRequest(parent=SITES[platform].ref, page_size=1000))
    assert listed.next_page_token == ""
    return {orphan.name: orphan for orphan in listed.orphans}


@each_create
async def test_a_deleted_resource_is_gone(lab, platform, rpc):
    """Get finds nothing, a second delete neither, unless it may be missing; a repeated one is the same operation."""
    delete = MUTATIONS.get(rpc.replace("Create", "Delete"))
    if delete is None:
        pytest.skip("the contract has no delete of it")
    lab.need(platform, MUTATIONS[rpc])
    lab.need(platform, delete)
    made = await lab.create(platform, rpc, next(_names))
    stub, request = lab.stub(delete.name), delete.request(name=made.name, request_id=str(uuid.uuid4()))
    before = lab.sites[platform].census()
    checked = await stub(delete.request(name=made.name, validate_only=True))
    assert checked.done
    assert lab.sites[platform].census() == before
    deleted = await stub(request)
    assert await lab.done(deleted) == empty_pb2.Empty()
    if not await _kept_for_a_while(lab, platform, made):
        with pytest.raises(NotFound):
            await _read(lab, made)
        with pytest.raises(NotFound):
            await stub(delete.request(name=made.name))
        await lab.done(await stub(delete.request(name=made.name, allow_missing=True)))
    assert (await stub(request)).name == deleted.name


async def _kept_for_a_while(lab, platform, made):
    """Whether the platform keeps what was deleted, so that it can be restored."""
    try:
        read = await _read(lab, made)
    except NotFound:
        return False
    assert read.state == type(read).STATE_SOFT_DELETED
    return True


@each_change
async def test_a_change_of_what_does_not_exist_is_not_found_and_no_operation(lab, platform, rpc):
    """Known at once, and so the call's own answer."""
    method = MUTATIONS[rpc]
    lab.need(platform, method)
    operations = await _operations(lab)
    with pytest.raises(NotFound) as raised:
        await lab.stub(rpc)(about_nothing(platform, method))
    assert raised.value.metadata["cluster"] == SITES[platform].ref.rpartition("/")[2]
    if platform == "memory" or method.name.startswith("Delete"):
        # Elsewhere the platform's own words may be about another resource that the request names.
        assert raised.value.resource.endswith("/no-such-id")
    assert await _operations(lab) == operations


def about_nothing(platform, method):
    """Return a request whose required fields are set, about a resource that does not exist."""
    request = method.request()
    parent = SITES[platform].ref
    _fill(request, parent, method.collection)
    for either in method.request.DESCRIPTOR.oneofs:
        _set(request, either.fields[0], parent, method.collection)
    return request


def _fill(message, parent, collection):
    """Set the fields that have to be set; names are those of resources that do not exist."""
    for field in message.DESCRIPTOR.fields:
        options = field.GetOptions().Extensions
        behaviour = options[field_behavior_pb2.field_behavior]
        if field_behavior_pb2.IDENTIFIER in behaviour:
            setattr(message, field.name, f"{parent}/{collection}/no-such-id")
        elif field_behavior_pb2.REQUIRED in behaviour:
            _set(message, field, parent, collection)


def _set(message, field, parent, collection):
    value = getattr(message, field.name)
    if field.message_type is not None:
        _fill(value.add() if field.is_repeated else value, parent, collection)
        if not field.is_repeated:
            value.SetInParent()
    elif field.is_repeated:
        value.append("no-such-id")
    elif field.type == field.TYPE_STRING:
        kind = field.GetOptions().Extensions[resource_pb2.resource_reference].type.rpartition("/")[2]
        setattr(message, field.name, f"{parent}/{_plural(kind)}/no-such-id")
    else:
        setattr(message, field.name, 1)


def _plural(kind):
    """Return the collection of a kind, `Server`."""
    return next(method.collection for method in methods().values() if method.name == f"Get{kind}")


async def _operations(lab):
    listed = await lab.running.client.operations.ListOperations(operations_pb2.ListOperationsRequest(page_size=1))
    return [operation.name for operation in listed.operations]
