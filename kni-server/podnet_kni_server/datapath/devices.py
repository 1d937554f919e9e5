"""Devices of the node that are moved into Pods, and back: hostDevice and sriov share it. Runs in the worker's thread.

A physical device whose namespace ends comes back to the first namespace of the machine by itself, under the name and
with the settings that it had in the Pod; a device of software ends with the namespace. So what is lent is found by
its address on the bus, or by the index that we gave it in the Pod.
"""

import dataclasses
import os
import random
import time
from collections.abc import Sequence

from podnet_api import reasons

from podnet_kni_server.datapath import inet, links, netlink, observe
from podnet_kni_server.datapath.attach import Node
from podnet_kni_server.datapath.channel import Channel, Request
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.lent import Function, Lent
from podnet_kni_server.datapath.model import Link
from podnet_kni_server.datapath.worker import Pod

_NEW_INDEX, _PARENT_NAME = 49, 56
"""IFLA_NEW_IFINDEX (Linux 5.13) and IFLA_PARENT_DEV_NAME (Linux 5.14)."""
_RTA_MULTIPATH, _NEXT_HOP_SIZE = 9, 8
_FIRST_INDEX, _INDEX_BITS = 1 << 20, 30
_RESET_FLAGS = 0x1 | 0x80 | 0x100 | 0x200
"""IFF_UP, IFF_NOARP, IFF_PROMISC, IFF_ALLMULTI: what a Pod may have set."""
_HOME = "/proc/thread-self/ns/net"
_COMES_BACK, _LOOK = 1.0, 0.02
"""Seconds that a device may take to come back from a namespace that ended, and between two looks."""


@dataclasses.dataclass(frozen=True)
class Device:
    """A link of the node that may be lent."""

    seen: observe.Seen
    address: str
    """On its bus; empty: a device of software."""

    @property
    def name(self) -> str:
        """Its name now."""
        return self.seen.name


def find_all(channel: Channel) -> list[Device]:
    """Every link of the channel's namespace."""
    bodies = channel.dump(links.get_all())
    return [Device(observe.parse_link(body), _address(body)) for body in bodies]


def _address(body: bytes) -> str:
    return netlink.string(netlink.pick(body, 16, frozenset((_PARENT_NAME,))).get(_PARENT_NAME, b""))


def refuse_busy(node: Node, device: Device, others: Sequence[Device]) -> None:
    """Raises: DatapathError when the node itself uses the device."""
    if why := busy(node, device, others):
        raise DatapathError(f"cannot lend {device.name} to a Pod: {why}")


def busy(node: Node, device: Device, others: Sequence[Device]) -> str:
    """What the node itself does with a device; empty: nothing."""
    index = device.seen.index
    by_index = {other.seen.index: other for other in others}
    if device.name == "lo":
        return "it is the node's loopback interface"
    if held := observe.parse_addresses(node.route.dump(inet.get_addresses())).get(index):
        return f"it has the node's address {held[0]}"
    if any(index in _ways(body) for version in (4, 6) for body in node.route.dump(inet.get_routes(version))):
        return "the node's default route leads over it"
    if device.seen.master:
        master = by_index.get(device.seen.master)
        return f"it is a port of {master.name if master else 'another link'}"
    upper = next((o for o in others if o.seen.peer == index and o.seen.kind != "veth"), None)
    return f"{upper.name} stands upon it" if upper else ""


def _ways(body: bytes) -> set[int]:
    """Indices of the links of a default route; empty for any other route."""
    if not inet.is_default(body):
        return set()
    found = netlink.attributes(body, 12)
    ways = {netlink.number(found.get(inet.RTA_OIF, b""))}
    hops = found.get(_RTA_MULTIPATH, b"")
    while len(hops) >= _NEXT_HOP_SIZE:
        size = netlink.number(hops[:2])
        ways.add(netlink.number(hops[4:8]))
        hops = hops[max(size, _NEXT_HOP_SIZE) :]
    return ways


def note(link: Link, pod: str, device: Device, function: Function | None = None) -> Lent:
    """What is to be known of a device before it is moved."""
    seen = device.seen
    return Lent(
        token=link.host_name,
        pod=pod,
        inside=link.name,
        inside_index=_FIRST_INDEX + random.getrandbits(_INDEX_BITS),
        address=device.address,
        name=seen.name,
        mac=seen.mac,
        mtu=seen.mtu,
        group=seen.group,
        up=seen.up,
        function=function,
    )


def inside(pod: Pod, lent: Lent) -> Device | None:
    """A lent device in its Pod, whatever the Pod calls it now."""
    for device in find_all(pod.channel):
        same_address = bool(lent.address) and device.address == lent.address
        if same_address or device.seen.index == lent.inside_index:
            return device
    return None


def move(node: Node, pod: Pod, link: Link, device: Device, lent: Lent) -> int:
    """Move a device into the Pod and give it its name, MAC address and MTU there; its index in the Pod."""
    if any(found.name == link.name for found in find_all(pod.channel)):
        raise DatapathError(f"cannot move {device.name} into the Pod: there is another {link.name}")
    parts = [netlink.u32(links.NET_NS_FD, pod.fd), netlink.u32(_NEW_INDEX, lent.inside_index)]
    parts += [netlink.text(links.IFNAME, link.name), netlink.u32(links.GROUP, links.GROUP_POD)]
    parts += _wanted(link, device.seen)
    what = ("move %s into the Pod as %s", device.name, link.name)
    node.route.run(links.change(device.seen.index, what, *parts, up=False))
    found = inside(pod, lent)
    if found is None:
        raise DatapathError(f"cannot find {device.name} in the Pod after it was moved there")
    return found.seen.index


def correct(pod: Pod, link: Link, found: Device) -> int:
    """Give a device that is in the Pod already what it is to have there; its index."""
    parts = _wanted(link, found.seen)
    if found.name != link.name:
        pod.channel.run(links.change(found.seen.index, ("set %s down", found.name), up=False))
        parts.append(netlink.text(links.IFNAME, link.name))
    if parts:
        pod.channel.run(links.change(found.seen.index, ("correct %s", link.name), *parts))
    return found.seen.index


def _wanted(link: Link, seen: observe.Seen) -> list[bytes]:
    """Attributes for the MAC address and MTU, as far as they differ."""
    parts = []
    if link.mac and link.mac.lower() != seen.mac:
        parts.append(netlink.attr(links.ADDRESS, links.mac_bytes(link.mac)))
    if link.mtu and link.mtu != seen.mtu:
        parts.append(netlink.u32(links.MTU, link.mtu))
    return parts


def bring_home(pod: Pod, lent: Lent) -> None:
    """Move a device from the Pod to the node under its own name; nothing when it is not in the Pod."""
    found = inside(pod, lent)
    if found is None:
        return
    home = os.open(_HOME, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = netlink.u32(links.NET_NS_FD, home), netlink.text(links.IFNAME, lent.name)
        what = ("give %s back to the node as %s", found.name, lent.name)
        pod.channel.run(links.change(found.seen.index, what, *parts, up=False))
    finally:
        os.close(home)


def at_home(node: Node, lent: Lent) -> Device | None:
    """A lent device on the node."""
    for device in find_all(node.route):
        if (lent.address and device.address == lent.address) or (not lent.address and device.name == lent.name):
            return device
    return None


def await_home(node: Node, lent: Lent) -> Device | None:
    """The same, for a device that may be on its way back from a namespace that just ended."""
    end = time.monotonic() + _COMES_BACK
    while (found := at_home(node, lent)) is None and lent.address and time.monotonic() < end:
        time.sleep(_LOOK)
    return found


def restore(node: Node, device: Device, lent: Lent) -> None:
    """Give a device on the node its name, MAC address, MTU and state back. To the end; then the first failure is
    raised. A function's MAC address is its maker's, which must ask its physical function first."""
    seen, name = device.seen, lent.name
    requests: list[Request] = [_reset(seen, name)]
    if seen.name != name:
        requests.append(_back(seen, name, "name", netlink.text(links.IFNAME, name)))
    if seen.mac != lent.mac and lent.function is None:
        requests.append(_back(seen, name, "MAC address", netlink.attr(links.ADDRESS, links.mac_bytes(lent.mac))))
    if seen.mtu != lent.mtu:
        requests.append(_back(seen, name, "MTU", netlink.u32(links.MTU, lent.mtu)))
    if seen.group != lent.group:
        requests.append(_back(seen, name, "group", netlink.u32(links.GROUP, lent.group)))
    if lent.up:
        requests.append(links.set_up(seen.index, name))
    node.route.batch(requests).check()


def _reset(seen: observe.Seen, name: str) -> Request:
    head = links.header(seen.index, 0, _RESET_FLAGS)
    return Request(links.NEWLINK, netlink.REQUEST, head, ("set %s down", name))


def _back(seen: observe.Seen, name: str, what: str, part: bytes) -> Request:
    return links.change(seen.index, ("give %s its %s back", name, what), part)


def holder(node: Node, device: Device) -> str:
    """The Pod that has a device which is (still, or again) on the node; empty: none."""
    for lent in node.lent:
        if (lent.address or lent.name) == (device.address or device.name):
            return lent.pod
    return ""


def missing(what: str, why: str = "the node has no such device") -> DatapathError:
    """The error for a device that is not there."""
    return DatapathError(f"cannot use {what}: {why}", reasons.UPLINK_MISSING)
