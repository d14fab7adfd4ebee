"""The parts of a fake cloud, put together: read top to bottom, it says who needs whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_zstack_fake import seed
from cloudspan_zstack_fake.api.changes import Changes
from cloudspan_zstack_fake.api.gate import Gate
from cloudspan_zstack_fake.api.jobs import JobDesk
from cloudspan_zstack_fake.api.lists import Lists
from cloudspan_zstack_fake.api.query import Queries
from cloudspan_zstack_fake.api.reference import Reference
from cloudspan_zstack_fake.api.views import Views
from cloudspan_zstack_fake.compute.flavors import Offerings
from cloudspan_zstack_fake.compute.key_pairs import SshKeys
from cloudspan_zstack_fake.compute.server_create import VmCreation
from cloudspan_zstack_fake.compute.server_parts import VmSettings
from cloudspan_zstack_fake.compute.server_power import VmPower
from cloudspan_zstack_fake.compute.servers import Machines
from cloudspan_zstack_fake.identity.projects import Accounts
from cloudspan_zstack_fake.identity.quotas import Quotas
from cloudspan_zstack_fake.identity.sessions import Sessions
from cloudspan_zstack_fake.identity.system import System
from cloudspan_zstack_fake.image.images import Images
from cloudspan_zstack_fake.network.addresses import Addresses
from cloudspan_zstack_fake.network.floating_ips import Vips
from cloudspan_zstack_fake.network.l2_networks import L2Networks
from cloudspan_zstack_fake.network.networks import L3Networks
from cloudspan_zstack_fake.network.ports import VmNics
from cloudspan_zstack_fake.network.security_groups import SecurityGroups
from cloudspan_zstack_fake.network.subnets import IpRanges
from cloudspan_zstack_fake.store import Settings, Store, Timing
from cloudspan_zstack_fake.volume.snapshots import Snapshots
from cloudspan_zstack_fake.volume.volumes import Volumes

if TYPE_CHECKING:
    from cloudspan_common.clock import Clock
    from cloudspan_zstack_fake.wire import Handler


class Building:
    """One installation, without its HTTP door."""

    def __init__(self, name: str, clock: Clock, timing: Timing, settings: Settings) -> None:
        self.store = store = Store(name, clock, timing, settings)
        views, addresses, quotas = Views(store), Addresses(store), Quotas(store)
        self.sessions, self.jobs = Sessions(store), JobDesk(store)
        machines, groups = Machines(store, addresses), SecurityGroups(store, views, quotas)
        vips = Vips(store, views, addresses, quotas)
        l3 = L3Networks(store, views, machines, quotas, vips)
        l2, ranges = L2Networks(store, views, l3), IpRanges(store, views, addresses, machines, vips)
        creation = VmCreation(store, views, machines, quotas, groups)
        volumes, snapshots = Volumes(store, views, machines, quotas), Snapshots(store, views, quotas)
        images, offerings = Images(store, views, quotas), Offerings(store, views)
        accounts = Accounts(store, views, self.sessions, quotas)
        self.handlers: dict[str, Handler] = {}
        for part in (
            self.sessions, quotas, groups, vips, l3, l2, ranges, creation, volumes, snapshots, images, offerings,
            accounts, VmPower(store, views, machines, quotas), VmSettings(store, views, machines),
            VmNics(store, views, machines), SshKeys(store, views, quotas),
            System(store, views, self.handlers), Changes(store, views),
        ):  # fmt: skip
            self.handlers.update(part.handlers)
        self.tools = seed.Tools(
            store, self.sessions, quotas, machines, creation, volumes, snapshots, images, offerings, l2, l3, ranges,
            groups,
        )  # fmt: skip
        seed.foundation(self.tools)
        self._open(views, accounts)

    def _open(self, views: Views, accounts: Accounts) -> None:
        reference = Reference(commercial=self.store.settings.commercial)
        queries = Queries(self.store, views, reference.inventories)
        self.handlers.update(Lists(self.store, queries, accounts).handlers)
        self.gate = Gate(self.store, reference, self.sessions, self.jobs, self.handlers)
