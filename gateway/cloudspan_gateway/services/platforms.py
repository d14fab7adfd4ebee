"""PlatformService: what is plugged in, answered from the route table without asking anybody."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cloudspan.v1 import platform_pb2
from cloudspan_common.cluster_views import LIST_PLATFORMS
from cloudspan_common.listing.page_token import page_by_name
from cloudspan_common.names import WILDCARD, malformed
from cloudspan_gateway.access.access import EVERY_TENANT
from cloudspan_gateway.access.permissions import ADMINISTER

if TYPE_CHECKING:
    from cloudspan_gateway.call import Call
    from cloudspan_gateway.routing.snapshot import PlatformRoute, Seen
    from cloudspan_gateway.routing.table import Table

_PLATFORM = re.compile(r"platforms/([a-z][a-z0-9-]{0,38}|-)")


class PlatformService:
    """Answers cloudspan.v1.PlatformService."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def get_platform(self, request: platform_pb2.GetPlatformRequest, call: Call) -> platform_pb2.Platform:
        tag = platform_tag(request.name, "name")
        if tag == WILDCARD:
            raise malformed(request.name, "name", "platforms/{platform} without a wildcard")
        return self._platform(call.access.view(self._table.snapshot).platform(tag), call)

    async def list_platforms(
        self, request: platform_pb2.ListPlatformsRequest, call: Call
    ) -> platform_pb2.ListPlatformsResponse:
        view = call.access.view(self._table.snapshot)
        platforms = (self._platform(route, call) for route in view.platforms.values())
        page, token = page_by_name(LIST_PLATFORMS, request, platforms)
        return platform_pb2.ListPlatformsResponse(platforms=page, next_page_token=token)

    def _platform(self, route: PlatformRoute, call: Call) -> platform_pb2.Platform:
        of_installation = call.access.permissions(EVERY_TENANT).cover_word(ADMINISTER)
        ready, away = platform_pb2.Platform.STATE_READY, platform_pb2.Platform.STATE_UNAVAILABLE
        return platform_pb2.Platform(
            name=f"platforms/{route.tag}",
            display_name=route.display_name,
            state=ready if route.serving else away,
            instances=[self._instance(seen, whole=of_installation) for seen in route.instances],
            clusters=[str(cluster.ref) for cluster in route.clusters.values()],
            services=sorted(route.services),
        )

    def _instance(self, seen: Seen, *, whole: bool) -> platform_pb2.AdapterInstance:
        """An instance serves all tenants: where it is and how busy is for administrators of the installation."""
        description = seen.description
        low, high = description.contract if description else seen.instance.contract
        instance = platform_pb2.AdapterInstance(
            id=seen.instance.instance_id,
            address=seen.instance.address if whole else "",
            state=seen.state,
            reason=seen.reason,
            build=(description.build if description else "") or seen.instance.build,
            contract_min=low,
            contract_max=high,
            in_flight=self._table.channels.in_flight(seen.endpoint) if whole else 0,
        )
        if description:
            instance.describe_time.FromNanoseconds(round(description.at * 1e9))
        return instance


def platform_tag(name: str, field: str) -> str:
    """Return the tag in `platforms/{platform}`, which may be the wildcard.

    Raises:
        InvalidRequest: Another form.
    """
    match = _PLATFORM.fullmatch(name)
    if match is None:
        raise malformed(name, field, "platforms/{platform}")
    return match[1]
