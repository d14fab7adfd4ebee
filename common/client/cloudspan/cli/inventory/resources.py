"""`cloudspan list` and `get`: resources of any kind, from their clouds or, where an age is allowed, the inventory."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click
from google.protobuf import symbol_database
from google.protobuf.json_format import MessageToJson

from cloudspan.cli.connection import asked, clusters_name, display, gateway_option, pool_option
from cloudspan.cli.inventory import tables
from cloudspan.cli.inventory.search import collection
from cloudspan.cli.tables import cluster_tags, printable
from cloudspan.v1 import common_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudspan.client import Client

_AGE = re.compile(r"([0-9]{1,6})(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_NAME = re.compile(r"platforms/[^/]+/clusters/[^/]+/([^/]+)/[^/]+")
_MOST_A_PAGE = 1000
_EVERYWHERE = "platforms/-/clusters/-"
Status = common_pb2.ClusterStatus


def _age(_context: click.Context, _param: click.Parameter, text: str) -> timedelta:
    found = _AGE.fullmatch(text)
    if text and found is None:
        raise click.BadParameter(f"{text!r} is not an age; expected one such as 30s, 5m or 1h")
    return timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else timedelta()


_FRESHNESS = (
    click.option("--max-age", default="", callback=_age, help="Take it from the inventory if at most so old: 30s."),
    click.option("--stale-ok", is_flag=True, help="Show what is known last of clusters that do not answer."),
)


def freshness_options(command: Callable[..., object]) -> Callable[..., object]:
    """Give a command `--max-age` and `--stale-ok`."""
    for add in reversed(_FRESHNESS):
        command = add(command)
    return command


@click.command("list")
@click.argument("kind")
@click.argument("parent", metavar="[PLATFORM/CLUSTER]", default="", callback=clusters_name)
@click.option("--filter", "own", default="", help="AIP-160 filter over the kind's fields: 'state = RUNNING'.")
@click.option("--order-by", default="", help="Fields to sort by: 'display_name, create_time desc'.")
@click.option("--count", type=click.IntRange(1, 100_000), default=100, show_default=True, help="Show at most so many.")
@click.option("--json", "as_json", is_flag=True, help="Print each as a line of JSON, whole.")
@freshness_options
@gateway_option
@pool_option
def list_resources(kind: str, gateway: str, count: int, *, as_json: bool, **wanted: Any) -> None:
    """List resources of a KIND: `cloudspan list servers openstack/alpha`, over all clusters without one.

    The clouds are asked, unless --max-age allows an older answer. Clusters of which something is missing, or old, are
    told on stderr; exit code 1 when one did not answer.
    """
    found, statuses, has_more = asked(gateway, lambda client: _listed(client, collection(kind), count, wanted))
    if as_json:
        for resource in found:
            click.echo(MessageToJson(resource, indent=None))
    else:
        display(tables.of_kind(found, tables.utc_now()))
    if has_more:
        click.echo(f"there are more than {count}; --count shows more of them", err=True)
    for status in statuses:
        if status.state != Status.STATE_OK:
            click.echo(printable(_said(status)), err=True)
    if any(status.state == Status.STATE_UNREACHABLE for status in statuses):
        raise click.exceptions.Exit(1)


def _listed(client: Client, kind: str, count: int, wanted: dict[str, Any]) -> tuple[list[Any], list[Status], bool]:
    """Return so many resources, the last word on how each cluster took part, and whether there may be more."""
    method, request = _method(client, kind, "List", f"{kind[0].upper()}{kind[1:]}")
    request.parent, request.filter, request.order_by = (
        wanted["parent"] or _EVERYWHERE,
        wanted["own"],
        wanted["order_by"],
    )
    _allow(request, wanted["max_age"], stale_ok=wanted["stale_ok"])
    found, statuses = list[Any](), dict[str, Status]()
    while True:
        request.page_size = min(count - len(found), _MOST_A_PAGE)
        page = method(request)
        found += getattr(page, page.DESCRIPTOR.fields_by_number[1].name)
        statuses |= {status.cluster: status for status in page.cluster_status}
        request.page_token = page.next_page_token
        if not request.page_token or len(found) >= count:
            return found[:count], list(statuses.values()), bool(request.page_token) or len(found) > count


@click.command()
@click.argument("name")
@freshness_options
@gateway_option
def get(name: str, max_age: timedelta, *, stale_ok: bool, gateway: str) -> None:
    """Show a resource as JSON, by its NAME as lists and errors print it.

    The cloud is asked, unless --max-age allows an older answer; `observeTime` says when it was read.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        wanted = "platforms/PLATFORM/clusters/CLUSTER/KIND/ID"
        raise click.BadParameter(f"{name!r} is not the name of a resource; expected {wanted}")

    def ask(client: Client) -> str:
        method, request = _method(client, match[1], "Get", f"{match[1][0].upper()}{match[1][1:].removesuffix('s')}")
        request.name = name
        _allow(request, max_age, stale_ok=stale_ok)
        return MessageToJson(method(request))

    click.echo(asked(gateway, ask))


def _method(client: Client, kind: str, verb: str, what: str) -> tuple[Any, Any]:
    """Return a kind's method and an empty request of it."""
    attribute = re.sub(r"(?<!^)([A-Z])", r"_\1", kind).lower()
    method = getattr(getattr(client, attribute, None), f"{verb}{what}", None)
    try:
        request = symbol_database.Default().GetSymbol(f"cloudspan.v1.{verb}{what}Request")()
    except KeyError:
        request = None
    if method is None or request is None or "max_staleness" not in request.DESCRIPTOR.fields_by_name:
        kinds = "servers, volumes, networks or key-pairs; platforms and clusters have commands of their own"
        raise click.UsageError(f"there is no kind {kind!r}; there are such as {kinds}")
    return method, request


def _allow(request: Any, max_age: timedelta, *, stale_ok: bool) -> None:
    if max_age:
        request.max_staleness.FromTimedelta(max_age)
    request.stale_ok = stale_ok


def _said(status: Status) -> str:
    state = Status.State.Name(status.state).removeprefix("STATE_")
    return f"{cluster_tags(status.cluster)}: {state} {status.reason}: {status.message}"
