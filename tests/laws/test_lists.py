"""What holds for every list of every platform: pages, filters, masks, order, wildcards, and what Get says beside it."""

from __future__ import annotations

import itertools
import random

import pytest
from google.protobuf import field_mask_pb2
from tests.laws.conftest import SITES

from cloudspan.client import Forbidden, InvalidRequest, NotFound
from cloudspan.v1 import common_pb2
from cloudspan_common.contract import Kind, getter, methods
from cloudspan_common.listing.filter_ast import Filter
from cloudspan_common.listing.filter_match import predicate
from cloudspan_common.listing.filter_values import filterable

pytestmark = pytest.mark.asyncio(loop_scope="package")

LISTS = {
    m.name: m for m in methods().values() if m.kind is Kind.LIST and m.item.DESCRIPTOR.name + "s" and m.routed_field
}
CASES = [(platform, name) for platform in SITES for name in LISTS]
each_list = pytest.mark.parametrize(("platform", "rpc"), CASES)
NO_DOCUMENT = {("zstack", "ListQuotas")}  # of an administrator, for whom nothing is limited
# Keystone tells a member nothing of other projects, not even that there are none.
OF_OTHERS = {("openstack", "ListProjects"), ("openstack", "ListQuotas")}
EVERYWHERE = "platforms/-/clusters/-"


async def _page(lab, platform, rpc, **fields):
    """Ask for one page of a cluster."""
    method = LISTS[rpc]
    lab.need(platform, method)
    parent = fields.pop("parent", SITES[platform].ref)
    return await lab.stub(rpc)(method.request(parent=parent, **fields))


async def _all(lab, platform, rpc, **fields):
    """List everything, page after page; every cluster took part."""
    found, token = [], ""
    while True:
        answer = await _page(lab, platform, rpc, page_token=token, **({"page_size": 1000} | fields))
        assert list(answer.unreachable) == []
        rows = list(getattr(answer, LISTS[rpc].items_field))
        assert len(rows) <= fields.get("page_size", 1000)
        found += rows
        token = answer.next_page_token
        if not token:
            return found


def _names(rows):
    return [row.name for row in rows]


@each_list
async def test_pages_of_every_size_hold_everything_once_in_the_same_order(lab, platform, rpc):
    """One by one, by twos and threes, or all at once."""
    everything = _names(await _all(lab, platform, rpc))
    assert len(set(everything)) == len(everything)
    for size in (1, 2, 3):
        assert _names(await _all(lab, platform, rpc, page_size=size)) == everything


@each_list
async def test_a_page_may_be_asked_for_again(lab, platform, rpc):
    """The same token leads to the same page, whatever was asked for meanwhile."""
    first = await _page(lab, platform, rpc, page_size=1)
    if not first.next_page_token:
        pytest.skip("there is one page")
    field = LISTS[rpc].items_field
    again = [await _page(lab, platform, rpc, page_size=1, page_token=first.next_page_token) for _ in range(2)]
    assert _names(getattr(again[0], field)) == _names(getattr(again[1], field)) != _names(getattr(first, field))


@each_list
@pytest.mark.parametrize("fields", [{"page_token": "invalid"}, {"page_size": -1}, {"filter": "no_such_field = 1"}])
async def test_a_malformed_list_request_is_refused(lab, platform, rpc, fields):
    """A token that is not one, a negative page size, a filter by a field that is not there."""
    with pytest.raises(InvalidRequest):
        await _page(lab, platform, rpc, **fields)


@each_list
async def test_a_filter_by_any_value_returns_exactly_the_rows_that_have_it(lab, platform, rpc):
    """Whether the cloud filters or the adapter: of every field some values, their negations, and what nothing has."""
    rows = await _all(lab, platform, rpc)
    descriptor = LISTS[rpc].item.DESCRIPTOR
    wrong = []
    for text in _filters(rows, descriptor):
        matches = predicate(Filter.parse(text, descriptor))
        wanted = [row.name for row in rows if matches(row)]
        found = _names(await _all(lab, platform, rpc, filter=text))
        if found != wanted:
            wrong.append(f"{text}: {len(found)} and not {len(wanted)}")
    assert wrong == []


def _filters(rows, descriptor):
    """Return filters by the values that the rows have: a few of each field."""
    found = []
    for name, field in filterable(descriptor).items():
        # A row's times and age are those of the moment when it was read.
        if name == "observe_time" or field.message_type is not None:
            continue
        values = sorted({_written(field, value) for row in rows for value in _values(row, field)})
        equal = ":" if field.is_repeated else "="
        for value in random.Random(name).sample(values, min(1, len(values))):  # noqa: S311 - a choice of cases
            found += [f"{name} {equal} {value}", f"NOT {name} {equal} {value}"]
        if field.type == field.TYPE_STRING:
            found.append(f'{name} {equal} "nothing has this"')
    first, second = (found * 2)[:2]
    return [*found, f"{first} OR {second}", f"{first} AND {second}"]


def _values(row, field):
    value = getattr(row, field.name)
    return list(value) if field.is_repeated else [value]


def _written(field, value):
    if field.type == field.TYPE_ENUM:
        return field.enum_type.values_by_number[value].name
    if field.type == field.TYPE_STRING:
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value).lower() if field.type == field.TYPE_BOOL else str(value)


@each_list
async def test_a_read_mask_leaves_exactly_the_fields_that_it_names(lab, platform, rpc):
    """Each field alone, as it is in the whole row; and the name, always."""
    whole = {row.name: row for row in await _all(lab, platform, rpc)}
    wrong = []
    for field in LISTS[rpc].item.DESCRIPTOR.fields:
        if field.name in {"observe_time", "native"}:
            continue
        mask = field_mask_pb2.FieldMask(paths=[field.name])
        rows = await _all(lab, platform, rpc, read_mask=mask)
        assert _names(rows) == list(whole)
        for row in rows:
            wanted = _only(whole[row.name], "name", field.name)
            if row != wanted:
                wrong.append(f"{field.name} of {row.name}: {row} and not {wanted}")
    assert wrong == []


def _only(row, *fields):
    kept = type(row)()
    kept.CopyFrom(row)
    for field in row.DESCRIPTOR.fields:
        if field.name not in fields:
            kept.ClearField(field.name)
    return kept


@each_list
async def test_get_returns_the_same_as_the_list(lab, platform, rpc):
    """Each field that a row of the list has is the same when it is read by itself; that may tell more."""
    method = getter(_collection(rpc))
    lab.need(platform, method)
    for row in (await _all(lab, platform, rpc))[:5]:
        read = await lab.stub(method.name)(method.request(name=row.name))
        row.ClearField("observe_time")
        assert _only(read, *(field.name for field, _ in row.ListFields())) == row


def _collection(rpc):
    """Return the collection that a list lists: that of the Get whose answer its items are."""
    item = LISTS[rpc].item
    [found] = {m.collection for m in methods().values() if m.kind is Kind.READ and m.response is item}
    return found


@each_list
async def test_what_does_not_exist_is_not_found(lab, platform, rpc):
    """By an id as the platform makes them, and by one that it never would."""
    method = getter(_collection(rpc))
    lab.need(platform, method)
    rows = await _all(lab, platform, rpc)
    known = rows[0].name.rpartition("/")[2] if rows else "0" * 32
    for unknown in ("".join("0" if c.isalnum() else c for c in known) + "0", "no-such-id"):
        name = f"{SITES[platform].ref}/{_collection(rpc)}/{unknown}"
        if (platform, rpc) in OF_OTHERS:
            with pytest.raises(Forbidden):
                await lab.stub(method.name)(method.request(name=name))
            continue
        with pytest.raises(NotFound) as raised:
            await lab.stub(method.name)(method.request(name=name))
        # A quota is not there when its project is not.
        assert raised.value.resource.rpartition("/")[2] == unknown
        assert raised.value.metadata["cluster"] == SITES[platform].ref.rpartition("/")[2]


@each_list
async def test_the_platforms_own_document_is_there_under_view_full_only(lab, platform, rpc):
    """And then it is that of every row."""
    if "native" not in LISTS[rpc].item.DESCRIPTOR.fields_by_name:
        pytest.skip("it has no document of the platform")
    rows = await _all(lab, platform, rpc)
    assert not any(row.HasField("native") for row in rows)
    full = await _all(lab, platform, rpc, view=common_pb2.RESOURCE_VIEW_FULL)
    assert _names(full) == _names(rows)
    if (platform, rpc) not in NO_DOCUMENT and platform != "memory":
        assert all(row.HasField("native") for row in full)


@pytest.mark.parametrize("rpc", LISTS)
async def test_a_list_of_all_clusters_is_the_lists_of_each(lab, rpc):
    """In pages of any size; a platform without the kind is named in the status, and takes nothing from the rest."""
    each = []
    for platform in SITES:
        if LISTS[rpc].full_name in lab.served[platform]:
            each += _names(await _all(lab, platform, rpc))
    for size in (1000, 3):
        found, token = [], ""
        for _ in itertools.count():
            request = LISTS[rpc].request(parent=EVERYWHERE, page_size=size, page_token=token)
            answer = await lab.stub(rpc)(request)
            found += _names(getattr(answer, LISTS[rpc].items_field))
            token = answer.next_page_token
            if not token:
                break
        assert sorted(found) == sorted(each)


@each_list
async def test_an_order_that_the_cluster_offers_is_kept_over_pages_and_another_refused(lab, platform, rpc):
    """By each field that its capabilities name, both ways: complete, sorted, the same in pages."""
    lab.need(platform, LISTS[rpc])
    with pytest.raises(InvalidRequest):
        await _page(lab, platform, rpc, order_by="no_such_field")
    everything = sorted(_names(await _all(lab, platform, rpc)))
    for field in lab.served[platform][LISTS[rpc].full_name].sortable_fields:
        for direction in ("", " desc"):
            found = await _all(lab, platform, rpc, order_by=field + direction)
            assert sorted(_names(found)) == everything
            told = [getattr(row, field) for row in found]
            assert _is_sorted(LISTS[rpc].item.DESCRIPTOR.fields_by_name[field], told, reverse=bool(direction)), told
            assert _names(await _all(lab, platform, rpc, order_by=field + direction, page_size=2)) == _names(found)


def _is_sorted(field, values, *, reverse):
    """Whether they are: texts with or without regard to case, states by the platform's own words for them."""
    if field.type == field.TYPE_ENUM:
        return len(list(itertools.groupby(values))) == len(set(values))
    if field.message_type is not None:
        values = [value.ToNanoseconds() for value in values]
    folded = [value.casefold() if isinstance(value, str) else value for value in values]
    return any(each == sorted(each, reverse=reverse) for each in (values, folded))
