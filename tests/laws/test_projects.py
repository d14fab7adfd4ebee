"""What holds where one credential reaches two projects: a caller with one of them meets nothing of the other.

Adapters alone are held to it here: the gateway's second look is off.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from google.api import field_behavior_pb2, resource_pb2
from google.protobuf import field_mask_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.harness.callers import acting_for
from tests.harness.mutations import CREATES
from tests.harness.sweeping import swept
from tests.laws.test_changes import about_nothing
from tests.laws.two_projects import CANARY, LISTS, MUTATIONS, Cloud, Lab, make_request, two_projects

from cloudspan.v1 import common_pb2
from cloudspan_common.contract import Kind, collection_of, getter, methods

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLATFORMS = ("memory", "openstack", "zstack")
FULL = common_pb2.RESOURCE_VIEW_FULL
each_list = pytest.mark.parametrize(("platform", "rpc"), list(itertools.product(PLATFORMS, LISTS)))
each_change = pytest.mark.parametrize(("platform", "rpc"), list(itertools.product(PLATFORMS, MUTATIONS)))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    async with two_projects(tmp_path_factory.mktemp("clouds")) as made:
        yield made


# ---------------------------------------------------------------------- reading


@each_list
@pytest.mark.parametrize("side", ["mine", "others"])
async def test_a_list_is_what_the_project_has_and_what_is_shared(lab, platform, rpc, side):
    """In pages of any size, with any mask and filter, and to either project."""
    cloud = lab.need(platform, LISTS[rpc])
    project = getattr(cloud, side)
    expected = sorted(row.name for row in cloud.seen(rpc, project))
    method, parent = LISTS[rpc], cloud.site.ref
    mask = field_mask_pb2.FieldMask(paths=["name"])
    with acting_for(project):
        for fields in (
            {},
            {"page_size": 1},
            {"page_size": 2},
            {"read_mask": mask},
            {"view": FULL},
            {"filter": "name:*"},
        ):
            rows = await lab.everything(method, parent=parent, **fields)
            assert sorted(row.name for row in rows) == expected, fields
        if "project" in method.item.DESCRIPTOR.fields_by_name:
            foreign = cloud.name_of(cloud.others if side == "mine" else cloud.mine)
            rows = await lab.everything(method, parent=parent, filter=f'project = "{foreign}"')
            assert {row.name for row in rows} <= set(expected)


@each_list
@pytest.mark.parametrize("side", ["mine", "others"])
async def test_a_sweep_for_one_project_brings_what_its_list_does_and_nothing_of_the_others(lab, platform, rpc, side):
    """Of either project, under the credentials that reach both."""
    cloud, listing = lab.need(platform, LISTS[rpc]), LISTS[rpc]
    project = getattr(cloud, side)
    collection = listing.item.DESCRIPTOR.GetOptions().Extensions[resource_pb2.resource].plural
    with acting_for(project):
        pages = (await swept(lab.sweepers[platform], cloud.site.ref, collection)).values()
    assert sorted(row.name for page in pages for row in page.rows) == sorted(r.name for r in cloud.seen(rpc, project))
    assert not any(page.unread for page in pages)


@each_list
async def test_a_list_says_nothing_of_what_is_hidden(lab, platform, rpc):
    """No id and no name of it stands anywhere in it, whatever is asked for, in tokens neither."""
    cloud = lab.need(platform, LISTS[rpc])
    rows = cloud.hidden(rpc, cloud.mine)
    hidden = {row.name.rpartition("/")[2] for row in rows} | {row.display_name for row in rows}
    with acting_for(cloud.mine):
        rows = await lab.everything(LISTS[rpc], parent=cloud.site.ref, view=FULL)
    text = "\n".join(map(str, rows))
    assert {word for word in hidden if len(word) > len(CANARY) and word in text} == set()


@each_list
async def test_order_shows_no_more(lab, platform, rpc):
    """Of every field that the platform sorts by."""
    cloud = lab.need(platform, LISTS[rpc])
    expected = {row.name for row in cloud.seen(rpc, cloud.mine)}
    with acting_for(cloud.mine):
        for field in ("display_name", "create_time", "size_bytes"):
            end = await lab.ended(LISTS[rpc], LISTS[rpc].request(parent=cloud.site.ref, order_by=field, page_size=1000))
            if end[0] == "OK":
                assert {row.name for row in getattr(end[1], LISTS[rpc].items_field)} == expected


@each_list
async def test_what_is_hidden_is_read_as_what_does_not_exist(lab, platform, rpc):
    """The same error, word for word but for the id."""
    cloud = lab.need(platform, LISTS[rpc])
    hidden = cloud.hidden(rpc, cloud.mine)
    method = getter(LISTS[rpc].item.DESCRIPTOR and cloud.rows[rpc][0].name.split("/")[4]) if cloud.rows[rpc] else None
    if not hidden or method is None:
        pytest.skip("nothing is hidden")
    collection = hidden[0].name.split("/")[4]
    absent = f"{cloud.site.ref}/{collection}/{'f' * 32}"
    mask = field_mask_pb2.FieldMask(paths=["name"])
    with acting_for(cloud.mine):
        expected = await lab.ended(method, method.request(name=absent))
        assert expected[0] == "NotFound"
        for row in hidden[:5]:
            for fields in ({}, {"view": FULL}, {"read_mask": mask}):
                assert await lab.ended(method, method.request(name=row.name, **fields)) == expected


# ---------------------------------------------------------------------- changing


def _paths(message: Any, prefix: str = "", depth: int = 4) -> Iterator[tuple[str, str]]:
    """Yield the fields by which a request can name a resource, with its collection."""
    for field in message.fields:
        told = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
        if {field_behavior_pb2.OUTPUT_ONLY, field_behavior_pb2.IDENTIFIER} & set(told) or not depth:
            continue  # a new resource's own name is ignored
        if field.message_type is not None and field.message_type.full_name.startswith("cloudspan.v1."):
            if not field.message_type.GetOptions().map_entry:
                yield from _paths(field.message_type, f"{prefix}{field.name}.", depth - 1)
        elif field.type == field.TYPE_STRING and (collection := collection_of(field)):
            yield f"{prefix}{field.name}", collection


def _put(message: Any, path: str, name: str) -> None:
    """Set a field, whatever lies on the way to it."""
    head, _, rest = path.partition(".")
    value = getattr(message, head)
    repeated = message.DESCRIPTOR.fields_by_name[head].is_repeated
    if rest and repeated:
        part = value[0] if value else value.add()
        if "direction" in part.DESCRIPTOR.fields_by_name:
            part.direction = 1  # a rule needs one
        _put(part, rest, name)
    elif rest:
        _put(value, rest, name)
    elif repeated:
        value.append(name)
    else:
        setattr(message, head, name)


async def _base(lab: Lab, cloud: Cloud, method: Any, number: int) -> Any:
    """Return a request about what is the project's own."""
    if method.name in CREATES:
        return await make_request(lab, cloud.site, method.name, f"base-{number}", number)
    request = about_nothing(cloud.site.module.removeprefix("cloudspan_"), method)
    own = cloud.own_of(method.collection)
    if own:
        _put(request, method.routed_field, own[0])
    return request


@each_change
@pytest.mark.parametrize("validate_only", [True, False])
async def test_a_request_that_names_anything_hidden_ends_as_one_that_names_nothing(lab, platform, rpc, validate_only):
    """As its target, or in any field that refers to a resource; the cloud is as before."""
    method = MUTATIONS[rpc]
    cloud = lab.need(platform, method)
    base = await _base(lab, cloud, method, next(_numbers))
    before, tried = cloud.site.census(), 0
    with acting_for(cloud.mine):
        targets = [(method.routed_field, method.collection)] if method.collection else []
        for path, collection in dict([*targets, *_paths(method.request.DESCRIPTOR)]).items():
            for name in cloud.hidden_of(collection)[:2]:
                ends = []
                for named in (f"{cloud.site.ref}/{collection}/{'f' * 32}", name):
                    request = method.request()
                    request.CopyFrom(base)
                    request.validate_only = validate_only
                    _put(request, path, named)
                    ends.append(await lab.ended(method, request))
                assert ends[0] == ends[1], path
                assert re.search("does not exist in your pool|does not serve", str(ends[0])), path
                tried += 1
    assert cloud.site.census() == before
    if not tried:
        pytest.skip("nothing that it can name is hidden")


@each_change
async def test_nothing_is_created_for_the_other_project_by_these_credentials(lab, platform, rpc):
    """It would land in their own."""
    method = MUTATIONS[rpc]
    cloud = lab.need(platform, method)
    if method.collection:
        pytest.skip("it creates nothing")
    request = await _base(lab, cloud, method, next(_numbers))
    before = cloud.site.census()
    with acting_for(cloud.others):
        end = await lab.ended(method, request)
    assert cloud.site.census() == before
    assert "nothing was created" in str(end)


_numbers = itertools.count(200)


# ---------------------------------------------------------------------- at random


_TEXTS = st.sampled_from(
    ["", "project:*", 'NOT project = "x"', "display_name:*", "name:*", 'project = "*"', "state = ERROR OR name:*"]
)
_MASKS = st.lists(st.sampled_from(["name", "project", "display_name", "labels", "*"]), max_size=3)


def _hidden(cloud: Cloud) -> tuple[set[str], set[str]]:
    """Return the names of what is hidden, and the words by which it would be known."""
    rows = [row for rpc in cloud.rows for row in cloud.hidden(rpc, cloud.mine)]
    words = {row.name.rpartition("/")[2] for row in rows} | {row.display_name for row in rows}
    return {row.name for row in rows}, {word for word in words if len(word) > len(CANARY)}


def _drawn(data: st.DataObject, cloud: Cloud, hidden: set[str]) -> tuple[Any, Any]:
    """Return a method and a request by dice."""
    everything = sorted(hidden | {row.name for rpc in cloud.rows for row in cloud.seen(rpc, cloud.mine)})
    served = [m for m in methods().values() if m.full_name in cloud.served and m.routed_field]
    method = data.draw(st.sampled_from(served))
    request = method.request()
    of = [name for name in everything if name.split("/")[4] == method.collection]
    if of or not method.collection:
        _put(request, method.routed_field, data.draw(st.sampled_from(of)) if of else cloud.site.ref)
    for path, collection in _paths(method.request.DESCRIPTOR):
        names = [name for name in sorted(hidden) if name.split("/")[4] == collection]
        if path != method.routed_field and names and data.draw(st.booleans()):
            _put(request, path, data.draw(st.sampled_from(names)))
    for field, values in (("filter", _TEXTS), ("view", st.sampled_from([0, 2])), ("page_size", st.integers(0, 3))):
        if field in request.DESCRIPTOR.fields_by_name:
            setattr(request, field, data.draw(values))
    if "read_mask" in request.DESCRIPTOR.fields_by_name:
        request.read_mask.paths.extend(data.draw(_MASKS))
    return method, request


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_no_request_at_all_meets_anything_of_the_other_project(lab, platform):
    """Any method, with any names of either project, filters, masks and views."""
    cloud = lab.clouds[platform]
    hidden, secrets = _hidden(cloud)
    loop = asyncio.get_running_loop()
    before = cloud.site.census()
    asked: list[Any] = []

    @settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def draw(data: st.DataObject) -> None:
        method, request = _drawn(data, cloud, hidden)
        # Changes of what is one's own would be carried out, and are another test's.
        if method.kind is not Kind.MUTATION or any(name in str(request) for name in hidden):
            asked.append((method, request))

    await loop.run_in_executor(None, draw)
    with acting_for(cloud.mine):
        for method, request in asked:
            end = str(await lab.ended(method, request))
            told = {secret for secret in secrets if secret in end and secret not in str(request)}
            assert not told, (method.name, request, end)
    assert cloud.site.census() == before
