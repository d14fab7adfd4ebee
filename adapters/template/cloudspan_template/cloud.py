"""The platform's API, in its own words. Here it is a dictionary, so that the adapter runs before there is a cloud.

`compute` calls it. Put HTTP calls in place of the bodies: `cloudspan_kit.http.transport` has the client
with its limits, deadlines and records, and turn the platform's errors into those of `cloudspan_common.errors` there.
"""

import uuid
from dataclasses import dataclass


@dataclass
class Machine:
    """A virtual machine as the platform reports it."""

    id: str
    label: str
    status: str
    tag: str = ""
    """Free text that the platform keeps: the marker travels in it."""


class Cloud:
    """The calls that the adapter makes."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        first = Machine("m-1", "hello", "up")
        self._machines = {first.id: first}

    def __repr__(self) -> str:
        return f"<Cloud at {self._endpoint}: {len(self._machines)} machines>"

    async def machines(self, *, after: str = "", limit: int = 100) -> list[Machine]:
        """Return at most `limit` machines, by id, beginning after the one of that id."""
        ids = sorted(machine_id for machine_id in self._machines if machine_id > after)
        return [self._machines[machine_id] for machine_id in ids[:limit]]

    async def machine(self, machine_id: str) -> Machine | None:
        """Return one machine, or None. What was booted is up when it is looked at again."""
        machine = self._machines.get(machine_id)
        if machine is not None and machine.status == "booting":
            self._machines[machine_id] = Machine(machine.id, machine.label, "up", machine.tag)
        return machine

    async def tagged(self, beginning: str) -> list[Machine]:
        """Return the machines whose tag begins so, oldest first."""
        return [machine for machine in self._machines.values() if machine.tag.startswith(beginning)]

    async def boot(self, label: str, tag: str) -> Machine:
        """Make a machine."""
        machine = Machine(f"m-{uuid.uuid4().hex[:8]}", label, "booting", tag)
        self._machines[machine.id] = machine
        return machine

    async def destroy(self, machine_id: str) -> None:
        """Take a machine away; nothing happens when there is none."""
        self._machines.pop(machine_id, None)
