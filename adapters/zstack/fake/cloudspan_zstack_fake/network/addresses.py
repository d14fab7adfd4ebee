"""Addresses of L3 networks: ranges, which of their addresses are used, and by what."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from cloudspan_zstack_fake.wire import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudspan_kit.fakes.wire import Json
    from cloudspan_zstack_fake.store import Store


class Addresses:
    """Takes and gives back addresses."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def take(self, l3: Json, wanted: str | None = None, *, for_vip: bool = False) -> Json:
        """Return a new used-IP row of an L3 network, of a wanted address or the next free one.

        Address pools are for VIPs only.

        Raises:
            Failure: The wanted address is in no range or used, or nothing is free.
        """
        for span in self._store.ip_ranges.some(l3["_ranges"]):
            if span["_pool"] and not for_vip:
                continue
            number = _number(wanted) if wanted else self._next_free(span)
            if number is not None and span["_start"] <= number <= span["_end"]:
                if number in span["_used"]:
                    raise Failure("SYS.1006", f"there is already a vip[{wanted}] on l3Network[uuid:{l3['uuid']}]")
                return self._occupy(l3, span, number)
        if wanted:
            text = f"cannot find ip range that has ip[{wanted}] in l3Network[uuid:{l3['uuid']}]"
            raise Failure("L3.1000", text)
        text = f"no ip is available in this l3Network[name:{l3['name']}, uuid:{l3['uuid']}]"
        raise Failure("L3.1000", f"IP allocator strategy[RandomIpAllocatorStrategy] failed, because {text}")

    def check(self, l3: Json, wanted: str | None) -> None:
        """Refuse an address that a NIC asks for and can't have.

        Raises:
            Failure: SYS.1007, it is in no range of the L3 network, or used.
        """
        if wanted is None:
            return
        number = _number(wanted)
        spans = self._store.ip_ranges.some(l3["_ranges"])
        span = next((span for span in spans if span["_start"] <= number <= span["_end"]), None)
        if span is None or number in span["_used"]:
            why = "it is used" if span else "it is not in this range"
            text = f"IP[{wanted}] is not available on the L3 network[uuid:{l3['uuid']}] because: {why}"
            raise Failure("SYS.1007", text)

    def release(self, used_ip: str) -> None:
        """Give an address back."""
        row = self._store.used_ips.remove(used_ip)
        span = self._store.ip_ranges.get(row["ipRangeUuid"]) if row else None
        if row is not None and span is not None:
            span["_used"].discard(row["ipInLong"])

    def free(self, span: Json) -> Iterator[str]:
        """Iterate the free addresses of a range."""
        numbers = range(span["_start"], span["_end"] + 1)
        return (str(ipaddress.ip_address(number)) for number in numbers if number not in span["_used"])

    def _next_free(self, span: Json) -> int | None:
        """Go on after the last one taken, so that thousands are taken without a search from the start each time."""
        count = span["_end"] - span["_start"] + 1
        for step in range(count):
            number = span["_start"] + (span["_next"] - span["_start"] + step) % count
            if number not in span["_used"]:
                span["_next"] = number + 1
                return int(number)
        return None

    def _occupy(self, l3: Json, span: Json, number: int) -> Json:
        span["_used"].add(number)
        address = ipaddress.ip_address(number)
        # As Java writes bytes.
        signed = [byte - 256 if byte > 127 else byte for byte in address.packed]
        # Every account sees these rows, whosever they are.
        return self._store.new_row(
            self._store.used_ips, "", ipRangeUuid=span["uuid"], l3NetworkUuid=l3["uuid"], ipVersion=4,
            ip=str(address), netmask=span["netmask"], gateway=span["gateway"], ipInLong=number, ipInBinary=signed,
            vmNicUuid=None,
        )  # fmt: skip


def _number(address: str) -> int:
    try:
        return int(ipaddress.IPv4Address(address))
    except ValueError:
        raise Failure("SYS.1007", f"invalid IP[{address}]") from None
