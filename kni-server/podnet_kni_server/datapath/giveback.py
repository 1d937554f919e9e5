"""Giving devices back to the node: at detach, after a crash, and when a namespace ended first.

A note of what was lent goes only when the device is again what it was. A physical device that is not back yet is
marked; ``recover`` restores it when it is, before the next device is lent and whenever the node is looked at.
"""

import contextlib

import msgspec

from podnet_kni_server.datapath import devices, functions, links, netlink
from podnet_kni_server.datapath.attach import Node
from podnet_kni_server.datapath.devices import Device
from podnet_kni_server.datapath.errors import NetlinkError
from podnet_kni_server.datapath.functions import Settings
from podnet_kni_server.datapath.lent import Function, Lent
from podnet_kni_server.datapath.worker import Pod


def give_back(node: Node, pod: Pod | None, lent: Lent) -> None:
    """Make a device what it was on the node, and forget that it was lent. One of software that is nowhere ended
    with its Pod. Raises: DatapathError; the note stays then."""
    if lent.name and pod is not None:
        devices.bring_home(pod, lent)
    device = devices.await_home(node, lent) if lent.name else None
    if device is None and lent.name and lent.address:
        node.lent.write(msgspec.structs.replace(lent, returning=True))
        return
    _finish(node, device, lent)


def recover(node: Node) -> None:
    """Restore devices that were not back in time, as far as they are by now."""
    for lent in node.lent:
        device = devices.at_home(node, lent) if lent.returning else None
        if device is not None:
            _finish(node, device, lent)


def sweep(node: Node, keep: frozenset[str]) -> None:
    """Give back what is lent under tokens that no record has, as far as it is on the node."""
    for lent in node.lent:
        if lent.token not in keep:
            give_back(node, None, lent)


def _finish(node: Node, device: Device | None, lent: Lent) -> None:
    if lent.function is not None:
        _restore_function(node, device, lent, lent.function)
    if device is not None:
        devices.restore(node, device, lent)
    node.lent.remove(lent.token)


def _restore_function(node: Node, device: Device | None, lent: Lent, function: Function) -> None:
    try:
        physical = node.index_of(function.physical)
    except OSError:
        return  # its driver was unloaded: the function and what was set for it are gone
    present = settings_of(node, physical, function.physical).get(function.number)
    if present is None:
        return
    if device is not None and device.seen.mac != lent.mac:
        set_own_mac(node, physical, function, device, lent.mac)
    former = function.former
    node.route.batch(functions.changes(physical, function.physical, function.number, present, former)).check()
    _restore_pinned(node, physical, function)


def _restore_pinned(node: Node, physical: int, function: Function) -> None:
    """The MAC address that the physical function has for it. Where none was set, the function may set its own."""
    name, number, former = function.physical, function.number, function.former
    if former.mac == functions.NO_MAC:
        unpin(node, physical, function)
    elif settings_of(node, physical, name).get(number, former).mac != former.mac:
        node.route.run(functions.set_mac(physical, name, number, former.mac))


def settings_of(node: Node, physical: int, name: str) -> dict[int, Settings]:
    """What a physical function has set, by number of the virtual function."""
    answer = node.route.batch([functions.read(physical, name)]).check()
    return functions.parse(answer.data[0][2]) if answer.data else {}


def set_own_mac(node: Node, physical: int, function: Function, device: Device, mac: str) -> None:
    """Change a function's own MAC address; while its physical function has set one, it would be refused."""
    unpin(node, physical, function)
    index = device.seen.index
    what = ("give %s the MAC address %s", device.name, mac)
    node.route.run(links.change(index, what, netlink.attr(links.ADDRESS, links.mac_bytes(mac)), up=False))


def unpin(node: Node, physical: int, function: Function) -> None:
    """Let a function set its own MAC address. Drivers that know no such thing refuse: then it may already."""
    with contextlib.suppress(NetlinkError):
        node.route.run(functions.set_mac(physical, function.physical, function.number, functions.NO_MAC))
