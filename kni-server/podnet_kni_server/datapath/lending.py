"""What the node has to lend: devices and virtual functions, how many are free. Runs in the worker's thread."""

from collections.abc import Sequence

from podnet_api import reasons

from podnet_kni_server.datapath import devices, giveback, physical
from podnet_kni_server.datapath.attach import Node
from podnet_kni_server.datapath.devices import Device
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.makers import hostdevice, sriov
from podnet_kni_server.datapath.model import NodeLink, NodeLinkState
from podnet_kni_server.details import HostDeviceDetail

KINDS = ("device", "functions")
"""Kinds of NodeLink that are looked at here; nothing is made for them."""


def ensure(node: Node, wanted: Sequence[NodeLink]) -> dict[str, NodeLinkState]:
    """States of those of `wanted` that lend something, by NodeLink.key."""
    mine = [link for link in wanted if link.kind in KINDS]
    if not mine:
        return {}
    giveback.recover(node)
    present = devices.find_all(node.route)
    return {link.key: _state(node, link, present) for link in mine}


def _state(node: Node, link: NodeLink, present: Sequence[Device]) -> NodeLinkState:
    try:
        mtu, free = _functions(node, link, present) if link.device is None else _device(node, link.device, present)
    except DatapathError as error:
        return NodeLinkState(False, error.reason, str(error))
    return NodeLinkState(True, reasons.READY, "", link.mtu or mtu, free)


def _device(node: Node, wanted: HostDeviceDetail, present: Sequence[Device]) -> tuple[int, int]:
    """MTU of a device, and 1 when it is free. Raises: DatapathError when it is absent or the node's own."""
    found = next((one for one in present if hostdevice.matches(wanted, one)), None)
    if found is not None:
        devices.refuse_busy(node, found, present)
        return found.seen.mtu, 0 if devices.holder(node, found) else 1
    lent = next((one for one in node.lent if hostdevice.is_lent(wanted, one)), None)
    if lent is None:
        raise devices.missing(hostdevice.words(wanted))
    return lent.mtu, 0


def _functions(node: Node, link: NodeLink, present: Sequence[Device]) -> tuple[int, int]:
    """MTU of a physical function, and how many of its virtual functions are free."""
    found = next((one for one in present if one.name == link.name), None)
    if found is None:
        raise devices.missing(f"the uplink {link.name}", "the node has no such interface")
    if not found.seen.running:
        raise DatapathError(f"cannot use the uplink {link.name}: it is down or has no carrier", reasons.UPLINK_DOWN)
    virtual = physical.functions_of(link.name)
    if not virtual:
        raise devices.missing(f"the uplink {link.name}", "it has no virtual functions: see sriov_numvfs in sysfs")
    return found.seen.mtu, len([one for one in virtual if not sriov.hindrance(node, one, present)])
