"""All rpcs of InventoryService, as the composition root adds them: answered, or refused where none is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_common.errors import PreconditionFailed
from cloudspan_common.listing.page_token import authenticated
from cloudspan_gateway.services.inventory.service import InventoryService, Sources
from cloudspan_gateway.services.inventory_watch import Watches
from cloudspan_gateway.services.methods import service_methods

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from cloudspan.v1 import inventory_pb2
    from cloudspan_gateway.call import Call
    from cloudspan_gateway.inventory.parts import Inventory
    from cloudspan_gateway.services.inventory.scopes import Scopes
    from cloudspan_gateway.services.methods import ServiceMethod

NAME = "cloudspan.v1.InventoryService"


def inventory_services(
    inventory: Inventory | None, scopes: Scopes, digest: Callable[[bytes], bytes]
) -> Iterator[ServiceMethod]:
    """Return the rpcs over an inventory; of a gateway without one all of them, refused.

    `digest` is a keyed hash: who has not its key makes no page token.
    """
    if inventory is None:
        yield from service_methods(NAME, NoInventory())
        return
    sources = Sources(inventory.query, inventory.summaries, inventory.store, inventory.sync, inventory.clock)
    yield from service_methods(NAME, InventoryService(sources, scopes, authenticated(digest)))
    yield from service_methods(NAME, Watches(inventory.feed, inventory.tokens, scopes))


class NoInventory:
    """Answers cloudspan.v1.InventoryService of a gateway that keeps none."""

    async def search(self, _request: object, _call: Call) -> inventory_pb2.SearchResponse:
        raise no_inventory()

    async def summarize(self, _request: object, _call: Call) -> inventory_pb2.SummarizeResponse:
        raise no_inventory()

    async def watch(self, _request: object, _call: Call) -> AsyncIterator[inventory_pb2.WatchResponse]:
        raise no_inventory()
        yield

    async def sync_now(self, _request: object, _call: Call) -> inventory_pb2.SyncNowResponse:
        raise no_inventory()

    async def get_sync_state(self, _request: object, _call: Call) -> inventory_pb2.GetSyncStateResponse:
        raise no_inventory()


def no_inventory() -> PreconditionFailed:
    """Return the error for what only an inventory can answer."""
    text = (
        "this gateway keeps no inventory (--no-inventory); ask the platform with List and Get, or another gateway, or "
        "have this one started without that option"
    )
    return PreconditionFailed(text, reason="NO_INVENTORY")
