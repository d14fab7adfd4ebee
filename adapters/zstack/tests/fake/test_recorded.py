"""Requests that a real node answered, asked of the fake: the same status, the same error codes, the same shape.

And rows that the fake makes by itself: they have the fields of a real node's rows.

A request stands for itself: the rows that the node answered with, and those that the request names, are inserted in
the fake by their uuids. Of most jobs only the answer is recorded; `job_requests` has requests that lead to such ones.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from string import Template
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from adapters.zstack.tests.recording import LOCALES, Json, Line, codes, fields_by_type, lines, shape
from yarl import URL

from cloudspan_common.testing import FakeClock
from cloudspan_zstack_fake import FakeCloud
from cloudspan_zstack_fake.api.relations import by_parameter, by_path

from . import job_requests, resources
from .conftest import Client
from .recorded_tables import RecordedTables, known_rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import aiohttp

_UNTOLD = frozenset({"cost", "location"})
"""Fields of an error that tell of the node's own time and code."""
_LEFT_OUT = (
    (1, r"/primary-storage/0", "The fake does not serve the call that a read of this path starts by mistake."),
    (4, r"localStorage::|没有可用集群|local primary storage", "The fake has no storage that is local to hosts."),
    (5, r"on purpose", "The node's simulated agents were told to fail; the fake is told so with the whole answer."),
)  # fmt: skip
"""How many lines are not compared, what is found in them, and why."""
_KINDS_OF_NODE_ONLY = ("L2NetworkVO", "PolicyVO", "QuotaVO", "RoleVO", "VmCdRomVO", "VmPriorityConfigVO")
"""Types of resources whose owners only a real node tells."""
_NOBODY = ("0" * 32, "1" * 32)
"""Uuids that were asked for and that nothing had."""
_COMPARED = 506
"""So many lines are compared."""
_PATHS = (
    "/accounts", "/accounts/resources/refs", "/clusters", "/disk-offerings", "/eips", "/hosts", "/images",
    "/instance-offerings", "/l2-networks", "/l2-networks/vlan", "/l3-networks", "/l3-networks/ip-address",
    "/l3-networks/ip-ranges", "/network-services/providers", "/primary-storage", "/security-groups",
    "/security-groups/vm-instances/nics", "/ssh-key-pair", "/system-tags", "/user-tags", "/vips",
    "/vm-instances?q=type=UserVm&q=state!=Destroyed", "/vm-instances/appliances/virtual-routers",
    "/vm-instances/nics?q=vmInstance.type=UserVm", "/volume-snapshots", "/volumes", "/zones",
)  # fmt: skip
_BEYOND = {
    # The recorded node has simulated storage only, which tells no checksum.
    ("ImageInventory", "md5Sum"),
    # Recorded only of a range inside its L3 network.
    ("IpRangeInventory", "addressMode"),
}
"""Fields that the fake sends though no recorded row has them."""
_CALLERS_OWN = {"description", "dns", "dstPortRange"}
"""Fields that are in every recorded row of a type because whoever made the rows gave them."""


class Replay:
    """A fake that stands for the recorded node, and who asks it."""

    def __init__(self, cloud: FakeCloud, http: aiohttp.ClientSession) -> None:
        self.cloud, self.http = cloud, http
        self.who = {name: Client(cloud, http) for name in ("admin", "demo")}

    async def prepare(self) -> None:
        """Log in and make the resources that requests need."""
        for name, client in self.who.items():
            await client.log_in(name)
        self.ids = await resources.build(self.who["admin"], self.who["demo"])
        self.ids["storage"] = next(iter(self.cloud.store.primary_storages))["uuid"]
        self.ids["running"] = str(len(self.cloud.store.vms.where(_account=self.ids["tenant"], state="Running")))
        self.tables = RecordedTables(self.cloud.store)

    async def difference(self, line: Line) -> str:
        """Return how the fake's answer differs from the recorded one; empty when it does not."""
        await self.cloud.control.advance(1)  # what the line before began comes to its end
        self.tables.restore()
        self.cloud.control.set_installation(locale=LOCALES[line.run])
        if line.path.startswith("/v1/api-jobs/"):
            status, answer = await self._job(line)
        else:
            self._insert(line)
            status, answer = await self._ask(line.method, line.path, line.body, self._headers(line))
        if status != line.status:
            return f"answered {status} {str(answer)[:300]}"
        return _difference(line, answer)

    async def _job(self, line: Line) -> tuple[int, Any]:
        if isinstance(line.response, str):
            return await self._ask("GET", line.path, None, {})
        request = job_requests.request_for(line.response or {})
        if request is not None:
            return await self._run(request, line.status)
        (accepted,) = (one for one in lines() if one.job == line.job and one.method != "GET")
        self._insert(accepted)
        job = await self._ask(accepted.method, accepted.path, accepted.body, self._headers(accepted))
        return await self._poll(job[1])

    async def _run(self, request: job_requests.Request, status: int) -> tuple[int, Any]:
        for before in request.before:
            assert (await self._run(before, 200))[0] == 200, before
        path, body = (Template(text).safe_substitute(self.ids) for text in (request.path, _encoded(request.body)))
        session = self.who[request.who].session if request.who in self.who else job_requests.NOTHING
        headers = {"Authorization": f"OAuth {session}"}
        _, job = await self._ask(request.method, f"/v1{path}", msgspec.json.decode(body), headers)
        return await self._poll(job, status)

    async def _poll(self, job: Any, status: int = 200) -> tuple[int, Any]:
        assert "location" in job, job
        if status != 202:
            await self.cloud.control.advance(1)
        return await self._ask("GET", f"/v1/api-jobs/{job['location'][-32:]}", None, {})

    async def _ask(self, method: str, path: str, body: Any, headers: dict[str, str]) -> tuple[int, Any]:
        url = URL(self.cloud.endpoint + path, encoded=True)
        async with self.http.request(method, url, json=body, headers=headers) as response:
            if response.content_type == "application/json":
                return response.status, await response.json()
            return response.status, await response.text()

    def _headers(self, line: Line) -> dict[str, str]:
        """Return what identifies the caller, which is not recorded: the answer tells what was wrong with it."""
        text = str(line.response)
        if "missing header" in text or "login" in line.path:
            return {}
        if "Authorization type" in text:
            return {"Authorization": "Basic x"}
        if "RestAuthenticationType" in text:
            return {"Authorization": "ZStack id:signature", "Date": "Sat, 28 Nov 2026 07:00:00 CST"}
        job = {"X-Job-UUID": used[1]} if (used := re.search(r"Duplicate job uuid\[(.*)\]", text)) else {}
        session = "0" * 32 if codes(line.error) == ["ID.1001"] else self.who["admin"].session
        return {"Authorization": f"OAuth {session}", **job}

    def _insert(self, line: Line) -> None:
        """Insert what the answer has, or else all that the request names."""
        if line.document.get("inventories") is not None:
            self.tables.clear()
            for inventory, row in line.inventories():
                self.tables.insert(inventory, row)
            return
        known = known_rows(line)
        for table, uuid in self._named(line):
            if uuid in known:
                self.tables.insert(*known[uuid])
            elif uuid not in _NOBODY:
                self.tables.insert_similar(table, uuid)
        if used := re.search(r"Duplicate job uuid\[(.*)\]", str(line.response)):
            self.cloud._building.jobs.forget(used[1])
            self.cloud._building.jobs.open(used[1], "")
        if "/login" in line.path and line.status == 200:
            self._insert_login(line.body or {})

    def _named(self, line: Line) -> Iterator[tuple[Any, str]]:
        """Iterate the uuids that a request names, with the table where each would be."""
        tables, store = by_path(self.cloud.store), self.cloud.store
        parts = line.path.partition("?")[0].split("/")
        for before, part in itertools.pairwise(parts):
            if before in tables and len(part) == len(_NOBODY[0]):
                yield tables[before], part
        inner = next((value for key, value in (line.body or {}).items() if not key.endswith("Tags")), {})
        for name, value in inner.items():
            if name in (tables := by_parameter(store)):
                yield from ((tables[name], uuid) for uuid in (value if isinstance(value, list) else [value]))

    def _insert_login(self, body: Json) -> None:
        (asked,) = body.values()
        store = self.cloud.store
        (row,) = store.accounts.where(name={"tenant": "demo"}.get(asked["accountName"], asked["accountName"]))
        row |= {"name": asked["accountName"], "_password": asked["password"]}
        if "userName" in asked:
            user = next(iter(store.users))
            user |= {"name": asked["userName"], "accountUuid": row["uuid"], "_password": asked["password"]}


def _encoded(body: Any) -> str:
    return msgspec.json.encode(body).decode()


def _difference(line: Line, answer: Any) -> str:
    if not isinstance(line.response, dict):
        return "" if line.response in (None, answer) else f"answered {answer!r}, not {line.response!r}"
    if line.error:
        return _error_difference(line.error, answer["error"])
    if "inventories" in line.response:
        return _rows_difference(line, answer)
    told, wanted = shape(answer), shape(line.response)
    if "apiTimeout" in wanted and answer["apiTimeout"] != line.response["apiTimeout"]:
        return f"apiTimeout is {answer['apiTimeout']}, not {line.response['apiTimeout']}"
    return "" if told == wanted else f"answered {told}, not {wanted}"


def _error_difference(wanted: Json, told: Json) -> str:
    if codes(told) != codes(wanted):
        return f"failed with {codes(told)} {told['details']!r}, not {codes(wanted)} {wanted['details']!r}"
    while wanted:
        if set(told) - _UNTOLD != set(wanted) - _UNTOLD:
            return f"{told['code']} has {sorted(told)}, not {sorted(wanted)}: {wanted['details']!r} {told['details']!r}"
        wanted, told = wanted.get("cause", {}), told.get("cause", {})
    return ""


def _rows_difference(line: Line, answer: Json) -> str:
    if set(answer) - {"schema"} != set(line.document):
        return f"has {sorted(answer)}, not {sorted(line.document)}"
    told = {_key(row): shape(row) for row in answer["inventories"]}
    for _, row in line.inventories():
        if row.get("resourceType") in _KINDS_OF_NODE_ONLY:
            continue
        if _key(row) not in told:
            return f"lacks the row {row}"
        if told[_key(row)] != shape(row):
            return _first_difference(told[_key(row)], shape(row))
    return ""


def _key(row: Json) -> str:
    names = ("uuid",) if "uuid" in row else ("resourceUuid", "accountUuid", "vmNicUuid", "securityGroupUuid")
    return " ".join(str(row.get(name)) for name in names)


def _first_difference(told: Json, wanted: Json) -> str:
    more, less = sorted(set(told) - set(wanted)), sorted(set(wanted) - set(told))
    other = [(name, told[name], wanted[name]) for name in set(told) & set(wanted) if told[name] != wanted[name]]
    return f"row has also {more}, lacks {less}, differs in {other}"


def _left_out(line: Line) -> str:
    """Return why a line is not compared; empty when it is."""
    text = f"{line.path} {line.response}"
    return next((reason for _, words, reason in _LEFT_OUT if re.search(words, text)), "")


@pytest.fixture
async def replay(http: aiohttp.ClientSession) -> AsyncIterator[Replay]:
    async with FakeCloud("node", clock=FakeClock(), demo=True, commercial=False) as cloud:
        made = Replay(cloud, http)
        await made.prepare()
        yield made


async def test_the_fake_answers_as_the_recorded_node(replay: Replay) -> None:
    """Every line that is not left out for a reason above."""
    compared = [line for line in lines() if not _left_out(line)]
    differences = [f"{line}: {text}" for line in compared if (text := await replay.difference(line))]
    assert not differences, f"{len(differences)} of {len(compared)}:\n" + "\n".join(differences)


def test_each_line_is_compared_or_left_out_for_a_reason() -> None:
    """So many of each."""
    reasons = Counter(_left_out(line) for line in lines())
    assert reasons == {"": _COMPARED} | {reason: count for count, _, reason in _LEFT_OUT}


async def test_the_fakes_own_rows_have_the_fields_of_a_real_nodes_rows(replay: Replay) -> None:
    """No field more, none of another type, and all those that every row of a real node has."""
    recorded = fields_by_type(row for line in lines() for row in line.inventories())
    own = fields_by_type(await _own_rows(replay.who["admin"]))
    assert not set(recorded) - set(own), "types of rows that the fake did not make"
    both = sorted(set(recorded) & set(own))
    wrong = [text for name in both for text in _wrong_fields(name, recorded[name], own[name])]
    assert not wrong, "\n".join(wrong)


async def _own_rows(admin: Any) -> Iterator[tuple[str, Any]]:
    found = []
    for path in _PATHS:
        document = (await admin.send("GET", path)).document
        names = [document["schema"][f"inventories[{place}]"] for place in range(len(document["inventories"]))]
        found.extend((name.rpartition(".")[2], row) for name, row in zip(names, document["inventories"], strict=True))
    return iter(found)


def _wrong_fields(name: str, recorded: Any, own: Any) -> Iterator[str]:
    for field, types in own.types.items():
        if field not in recorded.types and (name, field) not in _BEYOND and field != "description":
            yield f"{name}.{field} is in no row of a real node"
        elif field in recorded.types and types - recorded.types[field]:
            yield f"{name}.{field} is {types}, not {recorded.types[field]}"
    for field in recorded.always - own.always - _CALLERS_OWN:
        yield f"{name}.{field} is in all rows of a real node, but not in all of the fake's"
