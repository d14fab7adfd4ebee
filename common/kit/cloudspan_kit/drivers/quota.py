"""QuotaService, as a driver implements it.

Generated from the protos by `make proto`; not to be edited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cloudspan_kit.cluster import Driver, not_driven

if TYPE_CHECKING:
    from cloudspan.v1.quota_pb2 import GetQuotaRequest, Quota
    from cloudspan_kit.cluster import Call
    from cloudspan_kit.kind import Page, Query


class QuotaDriver(Driver, Protocol):
    """Functions of QuotaService; those that a driver leaves out are not served."""

    async def get_quota(self, call: Call, request: GetQuotaRequest) -> Quota:
        raise not_driven("get_quota")

    async def list_quotas(self, call: Call, query: Query) -> Page[Quota]:
        raise not_driven("list_quotas")
