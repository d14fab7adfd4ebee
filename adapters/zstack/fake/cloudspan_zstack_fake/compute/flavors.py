"""Instance and disk offerings, made by the administrator and shared with accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_zstack_fake.wire import Call, Failure, Handler

if TYPE_CHECKING:
    from cloudspan_kit.fakes.wire import Json
    from cloudspan_zstack_fake.api.views import Views
    from cloudspan_zstack_fake.store import Store, Table


class Offerings:
    """The offering calls."""

    def __init__(self, store: Store, views: Views) -> None:
        self._store, self._views = store, views
        self.handlers: dict[str, Handler] = {
            "CreateInstanceOffering": self._create_instance,
            "DeleteInstanceOffering": self._delete_instance,
            "CreateDiskOffering": self._create_disk,
            "DeleteDiskOffering": self._delete_disk,
        }

    def _table(self, call: Call) -> Table:
        return self._store.instance_offerings if "Instance" in call.name else self._store.disk_offerings

    def _result(self, row: Json) -> Json:
        return {"inventory": self._views.plain(row)}

    def _create_instance(self, call: Call) -> Json:
        params = call.params
        if params["memorySize"] <= 0:
            raise Failure("SYS.1007", f"memorySize[{params['memorySize']}] must be greater than 0")
        row = self.instance_row(params["cpuNum"], params["memorySize"])
        row["type"] = params.get("type", "UserVm")
        return self._result(self._store.create(self._store.instance_offerings, call, **row))

    def instance_row(self, cpu_num: int, memory: int) -> Json:
        """Return the fields of an instance offering beside those that every resource has."""
        return {
            "cpuNum": cpu_num, "cpuSpeed": 0, "memorySize": memory, "reservedMemorySize": 0, "type": "UserVm",
            "allocatorStrategy": "LeastVmPreferredHostAllocatorStrategy", "sortKey": 0, "state": "Enabled",
        }  # fmt: skip

    def disk_row(self, size: int) -> Json:
        """Return the fields of a disk offering beside those that every resource has."""
        return {
            "diskSize": size, "sortKey": 0, "state": "Enabled", "type": "DefaultDiskOfferingType",
            "allocatorStrategy": "DefaultPrimaryStorageAllocationStrategy",
        }  # fmt: skip

    def _create_disk(self, call: Call) -> Json:
        if call.params["diskSize"] <= 0:
            raise Failure("SYS.1007", f"diskSize[{call.params['diskSize']}] must be greater than 0")
        return self._result(
            self._store.create(self._store.disk_offerings, call, **self.disk_row(call.params["diskSize"]))
        )

    def _delete_instance(self, call: Call) -> Json:
        # VMs of a deleted offering keep their size and lose the reference.
        for vm in self._store.vms.where(instanceOfferingUuid=call.uuid()):
            vm["instanceOfferingUuid"] = None
        self._store.drop(self._store.instance_offerings, call.uuid())
        return {}

    def _delete_disk(self, call: Call) -> Json:
        for volume in self._store.volumes.where(diskOfferingUuid=call.uuid()):
            volume["diskOfferingUuid"] = None
        self._store.drop(self._store.disk_offerings, call.uuid())
        return {}
