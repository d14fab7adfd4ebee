"""Attempts at what the inventory holds of another tenant: rows, counts, states, changes, tokens, and stored lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf import duration_pb2
from tests.escapes.attempt import FORBIDDEN, HIDDEN, Attempt, Code, changed
from tests.escapes.tenants import BY, ask, has
from tests.escapes.world import CANARY, OWN, SECRET, VAULT, request_of

from cloudspan.adapter.v1 import sweep_pb2
from cloudspan.v1 import inventory_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.escapes.world import Outcome, World

SERVICE = "InventoryService"
METHODS = ("Search", "Summarize", "Watch", "SyncNow", "GetSyncState")
Group = inventory_pb2.SummarizeRequest.Group
AN_HOUR = duration_pb2.Duration(seconds=3600)
EVERYWHERE = "platforms/-/clusters/-"
_WATCHED_S = 0.5
"""How long a watch is listened to: what is there already comes at once."""
_BAD = (Code.INVALID_ARGUMENT, Code.OUT_OF_RANGE)
_SEEN = (Code.OK, Code.DEADLINE_EXCEEDED)
"""A watch that is allowed ends with its caller's deadline."""
_ANOTHERS = {
    "by its cluster": {"parent": SECRET},
    "by its platform": {"parent": "platforms/vault/clusters/-"},
    "by its tag": {"parent": "platforms/-/clusters/acme-main"},
}


def watched(*metadata: tuple[str, str], **fields: Any) -> Callable[[World], Outcome]:
    """Watch for a moment; fields that are functions get the world."""

    def tries(world: World) -> Outcome:
        said = {key: value(world) if callable(value) else value for key, value in fields.items()}
        request = request_of(f"{SERVICE}/Watch", **said)
        return world.call(f"{SERVICE}/Watch", request, by=BY, extra=metadata, limit_s=_WATCHED_S)

    return tries


def on(rpc: str, *metadata: tuple[str, str], **fields: Any) -> Callable[[World], Outcome]:
    """Call a method of the inventory."""
    return watched(*metadata, **fields) if rpc == "Watch" else ask(f"{SERVICE}/{rpc}", *metadata, **fields)


def _id_of(world: World) -> str:
    return world.names[f"{SECRET} server"].rpartition("/")[2]


def _page_token(world: World) -> str:
    """Of acme's search."""
    request = request_of(f"{SERVICE}/Search", page_size=1)
    token = world.do(f"{SERVICE}/Search", request, by="alice").next_page_token
    assert token
    return str(token)


def _resume_token(world: World) -> str:
    """Of acme's watch."""
    request = request_of(f"{SERVICE}/Watch")
    outcome = world.call(f"{SERVICE}/Watch", request, by="alice", limit_s=_WATCHED_S)
    tokens = [answer.resume_token for answer in outcome.answers if answer.resume_token]
    assert tokens, outcome.text
    return str(tokens[-1])


def _stored(what: str, **fields: Any) -> list[Attempt]:
    """The same read from the inventory, of what may be stale, and by metadata."""
    wanted = {"max_staleness": AN_HOUR, **fields}
    method = "ServerService/GetServer" if "name" in fields else "ServerService/ListServers"
    return [
        Attempt(f"{what}, from the inventory", ask(method, **wanted), HIDDEN),
        Attempt(f"{what}, however old", ask(method, stale_ok=True, **fields), HIDDEN),
        Attempt(f"{what}, however old by metadata", ask(method, ("x-stale-ok", "true"), **fields), HIDDEN),
    ]


PLACES = [
    Attempt(f"{rpc} of another's resources {how}", on(rpc, **fields), HIDDEN)
    for rpc in METHODS
    for how, fields in _ANOTHERS.items()
] + [
    Attempt(f"{rpc} {what}", on(rpc, *metadata), HIDDEN)
    for rpc in METHODS
    for what, metadata in (
        ("in another's pool", (("x-pool", "acme-prod"),)),
        ("as another tenant", (("x-tenant", "acme"),)),
        ("of another's cluster by tags", (("x-platform", "memory"), ("x-cluster", "acme-main"))),
    )
]  # fmt: skip
SEARCHES = [
    Attempt("a search for another's name", on("Search", text=CANARY), (Code.OK,)),
    Attempt("a search for another's id", on("Search", text=_id_of), (Code.OK,)),
    Attempt("a search for another's resource name", on("Search", text=has("server")), (Code.OK,)),
    Attempt("a search for everything", on("Search", page_size=1000), (Code.OK,)),
    Attempt("a search for a part of everything", on("Search", text="a", page_size=1000), (Code.OK,)),
    Attempt("a search with a wildcard of SQL", on("Search", text="%", page_size=1000), (Code.OK,)),
    Attempt("a search with another wildcard of SQL", on("Search", text="_", page_size=1000), (Code.OK,)),
    Attempt("a search for the separator of texts", on("Search", text="\n", page_size=1000), (Code.OK,)),
    Attempt("a search that ends a text of SQL", on("Search", text="' OR '1'='1"), (Code.OK,)),
    Attempt("a search with a NUL", on("Search", text="a\0b"), (Code.OK, Code.INVALID_ARGUMENT)),
    Attempt("a filter by another's cluster", on("Search", filter=f'cluster = "{SECRET}"'), (Code.OK,)),
    Attempt("a filter by what is not ours", on("Search", filter=f'NOT cluster = "{OWN}"'), (Code.OK,)),
    Attempt("a filter by another's name", on("Search", filter=f'display_name : "{CANARY}"'), (Code.OK,)),
    Attempt("a filter by any project", on("Search", filter="project:*", page_size=1000), (Code.OK,)),
    Attempt("a filter that ends a text of SQL", on("Search", filter='display_name = "\' OR 1=1 --"'), (Code.OK,)),
    Attempt("a page of another's search", on("Search", page_size=1, page_token=_page_token), _BAD),
    Attempt("a forged page of another's search", on("Search", page_size=1, page_token=changed(_page_token)), _BAD),
    Attempt("a resume token as a page token", on("Search", page_token=_resume_token), _BAD),
]  # fmt: skip
SUMS = [
    Attempt("counts by cluster", on("Summarize", group_by=[Group.GROUP_CLUSTER]), (Code.OK,)),
    Attempt("counts by project", on("Summarize", group_by=[Group.GROUP_PROJECT]), (Code.OK,)),
    Attempt("counts by a label", on("Summarize", group_by=[Group.GROUP_LABEL], label="team"), (Code.OK,)),
    Attempt(
        "counts of another's names",
        on("Summarize", filter=f'display_name : "{CANARY}"', group_by=[Group.GROUP_CLUSTER]),
        (Code.OK,),
    ),
]
STATES = [
    Attempt("the states of everything", on("GetSyncState"), (Code.OK,)),
    # Of the canary a part: the answer repeats the filter.
    Attempt("how much of it has another's name", on("GetSyncState", filter='display_name : "canary-of"'), (Code.OK,)),
    Attempt("syncing everything", on("SyncNow", collections=["servers"]), (Code.OK,)),
    Attempt("releasing another's brake", on("SyncNow", parent=SECRET, release_brake=True), HIDDEN),
    Attempt("releasing a brake on another's platform", on("SyncNow", parent=VAULT, release_brake=True), HIDDEN),
    Attempt("syncing as a viewer", ask(f"{SERVICE}/SyncNow", by="mike", parent=OWN), FORBIDDEN),
    Attempt("syncing everything as a viewer", ask(f"{SERVICE}/SyncNow", by="mike"), FORBIDDEN),
    Attempt("a search without a role", ask(f"{SERVICE}/Search", by="nobody"), (*FORBIDDEN, *HIDDEN)),
]
WATCHES = [
    Attempt("watching everything", watched(), _SEEN),
    Attempt("watching what is not ours", watched(filter=f'NOT cluster = "{OWN}"'), _SEEN),
    Attempt("going on with another's watch", watched(resume_token=_resume_token), _BAD),
    Attempt("going on with a forged watch", watched(resume_token=changed(_resume_token)), _BAD),
    Attempt("going on with another's watch in a cluster", watched(parent=OWN, resume_token=_resume_token), _BAD),
    Attempt("going on with a page token", watched(resume_token=_page_token), _BAD),
    Attempt("going on with no token", watched(resume_token="AAAA"), _BAD),
    Attempt("going on with a long token", watched(resume_token="A" * 100_000), _BAD),
]
LISTS = [
    *_stored("a server of another's", name=has("server")),
    *_stored("a server of another's platform", name=has("server", VAULT)),
    *_stored("a server of another's that is not there", name=f"{SECRET}/servers/1"),
    *_stored("a list of another's cluster", parent=SECRET),
    *_stored("a list of another's platform", parent="platforms/vault/clusters/-"),
    Attempt(
        "a stored list over everything", ask("ServerService/ListServers", parent=EVERYWHERE, max_staleness=AN_HOUR),
        (Code.OK,),
    ),
    Attempt(
        "a stored list over everything in order",
        ask("ServerService/ListServers", parent=EVERYWHERE, max_staleness=AN_HOUR, order_by="display_name"),
        (Code.OK,),
    ),
    Attempt(
        "a stored list over everything by another's name",
        ask(
            "ServerService/ListServers", parent=EVERYWHERE, max_staleness=AN_HOUR, stale_ok=True,
            filter=f'display_name : "{CANARY}"',
        ),
        (Code.OK,),
    ),
]  # fmt: skip


def _sweep_through_the_gateway(world: World) -> Outcome:
    request = sweep_pb2.SweepPageRequest(cluster=VAULT, collection="servers")
    tags = (("x-platform", "vault"), ("x-cluster", "deep"))
    return world.call("cloudspan.adapter.v1.SweepService/SweepPage", request, by=BY, extra=tags)


SWEEPS = [
    Attempt("a sweep through the gateway", _sweep_through_the_gateway, (*HIDDEN, Code.UNIMPLEMENTED)),
]
INVENTORY = [*PLACES, *SEARCHES, *SUMS, *STATES, *WATCHES, *LISTS, *SWEEPS]
