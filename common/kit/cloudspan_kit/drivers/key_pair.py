"""KeyPairService, as a driver implements it.

Generated from the protos by `make proto`; not to be edited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from cloudspan_kit.cluster import Driver, not_driven

if TYPE_CHECKING:
    from cloudspan.v1.key_pair_pb2 import CreateKeyPairRequest, DeleteKeyPairRequest, GetKeyPairRequest, KeyPair
    from cloudspan_kit.cluster import Call
    from cloudspan_kit.kind import Page, Query
    from cloudspan_kit.operation import Operation


class KeyPairDriver(Driver, Protocol):
    """Functions of KeyPairService; those that a driver leaves out are not served."""

    async def get_key_pair(self, call: Call, request: GetKeyPairRequest) -> KeyPair:
        raise not_driven("get_key_pair")

    async def list_key_pairs(self, call: Call, query: Query) -> Page[KeyPair]:
        raise not_driven("list_key_pairs")

    async def create_key_pair(self, op: Operation, request: CreateKeyPairRequest) -> KeyPair:
        raise not_driven("create_key_pair")

    async def delete_key_pair(self, op: Operation, request: DeleteKeyPairRequest) -> None:
        raise not_driven("delete_key_pair")
