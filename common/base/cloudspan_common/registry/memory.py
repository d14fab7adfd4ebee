"""A registry inside one process, for tests and for gateway and adapters in one program.

Share the object: two `MemoryRegistry` know nothing of each other.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cloudspan_common.clock import SystemClock
from cloudspan_common.errors import AlreadyExists
from cloudspan_common.registry.base import Feed, Instance, Registration, View, describe, view_of
from cloudspan_common.registry.context_keys import ContextKeys, MemoryKeys
from cloudspan_common.registry.coordination import LEASE_S
from cloudspan_common.registry.coordination.memory import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from cloudspan_common.clock import Clock
    from cloudspan_common.registry.services import ServiceAddress


class MemoryRegistry:
    """A dict and its followers."""

    def __init__(self, clock: Clock | None = None) -> None:
        clock = clock or SystemClock()
        self.context_keys = ContextKeys(MemoryKeys(), clock)
        self.coordinator = World(clock).coordinator(LEASE_S)
        self._instances: dict[str, Instance] = {}
        self._services: dict[str, Sequence[ServiceAddress]] = {}
        self._registered: set[str] = set()
        self._feed = Feed()
        self._feed.publish(())

    def __repr__(self) -> str:
        return f"<MemoryRegistry {describe(view_of(self._instances.values()))}>"

    async def register(self, instance: Instance) -> Registration:
        if instance.instance_id in self._registered:
            raise AlreadyExists(f"instance {instance.instance_id} is registered here already; deregister it first")
        self._registered.add(instance.instance_id)
        self.put(instance)
        return MemoryRegistration(self, instance)

    async def service(self, name: str) -> Sequence[ServiceAddress]:
        return self._services.get(name, ())

    def put_service(self, name: str, *addresses: ServiceAddress) -> None:
        """Enter a service, or replace what it was."""
        self._services[name] = addresses

    def watch(self) -> AsyncIterator[View]:
        return self._feed.follow()

    async def close(self) -> None:
        await self.coordinator.close()
        self._instances.clear()
        self._feed.close()

    def put(self, instance: Instance) -> None:
        """Enter or replace an instance without a registration; tests make one suspect this way."""
        self._instances[instance.instance_id] = instance
        self._feed.publish(view_of(self._instances.values()))

    def remove(self, instance_id: str) -> None:
        """Take an instance out, as if it had died; an unknown id is already out."""
        self._instances.pop(instance_id, None)
        self._registered.discard(instance_id)
        self._feed.publish(view_of(self._instances.values()))


class MemoryRegistration(Registration):
    def __init__(self, registry: MemoryRegistry, instance: Instance) -> None:
        self._registry, self._instance = registry, instance
        self._active = True

    @property
    def instance(self) -> Instance:
        return self._instance

    async def drain(self) -> None:
        self._instance = replace(self._instance, draining=True)
        if self._active:
            self._registry.put(self._instance)

    async def deregister(self) -> None:
        if self._active:
            self._active = False
            self._registry.remove(self._instance.instance_id)

    def _state(self) -> str:
        return "registered" if self._active else "deregistered"
