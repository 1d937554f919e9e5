"""Makes links of kind sriov: a virtual function, set by its physical function, moved into the Pod and given back."""

from collections.abc import Sequence

import msgspec

from podnet_kni_server.datapath import devices, functions, giveback, physical
from podnet_kni_server.datapath.attach import Node
from podnet_kni_server.datapath.devices import Device
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.functions import Settings
from podnet_kni_server.datapath.lent import Function, Lent
from podnet_kni_server.datapath.model import Link
from podnet_kni_server.datapath.observe import Seen
from podnet_kni_server.datapath.physical import Virtual
from podnet_kni_server.datapath.worker import Pod
from podnet_kni_server.details import SriovDetail


class Sriov:
    """See maker.Maker. What the function was is noted before it is touched, and restored when it is back."""

    kernel_kind = "*"

    def make(self, node: Node, pod: Pod, link: Link) -> int:
        """See Maker. 0 for a function that a program in the Pod drives: it has no interface."""
        giveback.recover(node)
        detail = _detail(link)
        lent = node.lent.get(link.host_name)
        if lent is not None and lent.function is not None:
            found = devices.inside(pod, lent) if lent.name else None
            if found is not None:
                _configure(node, detail, lent, link.mac or found.seen.mac)
                return devices.correct(pod, link, found)
            if not lent.name and physical.driver_of(lent.address) in physical.USER_SPACE:
                _configure(node, detail, lent, link.mac or lent.function.former.mac)
                return 0
            giveback.give_back(node, pod, lent)
        return _lend(node, pod, link, detail)

    def remove(self, node: Node, pod: Pod | None, link: Link) -> None:
        """See Maker."""
        lent = node.lent.get(link.host_name)
        if lent is not None:
            giveback.give_back(node, pod, lent)

    def fits(self, link: Link, found: Seen, on_node: dict[str, Seen]) -> bool:
        """See Maker: what the function is cannot have changed; its name and state are looked at by others."""
        return True


def _lend(node: Node, pod: Pod, link: Link, detail: SriovDetail) -> int:
    present = devices.find_all(node.route)
    virtual = _choose(node, detail, present)
    former = _settings(node, virtual)
    function = Function(physical=virtual.physical, number=virtual.number, former=former)
    device = next((one for one in present if one.address == virtual.address), None)
    lent = _note(link, detail, virtual, function, device)
    node.lent.write(lent)
    if device is None:
        _configure(node, detail, lent, link.mac or former.mac)
        return 0
    if link.mac and link.mac.lower() != device.seen.mac:
        index = node.index_of(virtual.physical)
        giveback.set_own_mac(node, index, function, device, link.mac)
    _configure(node, detail, lent, link.mac or device.seen.mac)
    fresh = next(one for one in devices.find_all(node.route) if one.address == virtual.address)
    return devices.move(node, pod, link, fresh, lent)


def _note(link: Link, detail: SriovDetail, virtual: Virtual, function: Function, device: Device | None) -> Lent:
    if device is None:
        return Lent(
            token=link.host_name,
            pod=detail.pod,
            inside=link.name,
            inside_index=0,
            address=virtual.address,
            function=function,
        )
    return devices.note(link, detail.pod, device, function)


def _settings(node: Node, virtual: Virtual) -> Settings:
    found = giveback.settings_of(node, node.index_of(virtual.physical), virtual.physical)
    if virtual.number not in found:
        raise DatapathError(f"cannot read the settings of virtual function {virtual.number} of {virtual.physical}")
    return found[virtual.number]


def _configure(node: Node, detail: SriovDetail, lent: Lent, mac: str) -> None:
    """Set the function as the network asks. One that is not trusted cannot change its MAC address.

    What is set already is left alone: drivers (i40e) reset a function when its MAC address is set, also to the same.
    """
    function = lent.function
    assert function is not None, lent
    name, number = function.physical, function.number
    index = node.index_of(name)
    present = giveback.settings_of(node, index, name)[number]
    node.route.batch(functions.changes(index, name, number, present, _wanted(detail))).check()
    mac = mac.lower()
    if not detail.trust and mac != functions.NO_MAC and (function.pinned, present.mac) != (mac, mac):
        node.route.run(functions.set_mac(index, name, number, mac))
        pinned = msgspec.structs.replace(function, pinned=mac)
        node.lent.write(msgspec.structs.replace(lent, function=pinned))


def _wanted(detail: SriovDetail) -> Settings:
    return Settings(
        vlan=detail.vlan,
        qos=detail.qos,
        vlan_protocol=functions.PROTOCOLS[detail.vlan_protocol],
        spoof_check=detail.spoof_check,
        trust=detail.trust,
        link_state=functions.LINK_STATES.index(detail.link_state),
        min_tx_rate=detail.min_tx_rate,
        max_tx_rate=detail.max_tx_rate,
    )


def _choose(node: Node, detail: SriovDetail, present: Sequence[Device]) -> Virtual:
    """A function that is free. Raises: DatapathError with what hinders the last of them, if any."""
    why = "it has no virtual functions"
    for virtual in _candidates(detail):
        why = hindrance(node, virtual, present)
        if not why:
            return virtual
    wanted = detail.device_id or detail.resource or f"a virtual function of {detail.uplink}"
    raise devices.missing(wanted, why)


def _candidates(detail: SriovDetail) -> list[Virtual]:
    if not (detail.device_id or detail.resource or detail.uplink):
        text = "its network has neither uplink nor resource, so its attachment must have a deviceID"
        raise DatapathError(f"cannot choose a virtual function for Pod {detail.pod}: {text}")
    if not (detail.device_id or detail.resource):
        return physical.functions_of(detail.uplink)
    return [_function(detail, address) for address in ([detail.device_id] if detail.device_id else detail.devices)]


def _function(detail: SriovDetail, address: str) -> Virtual:
    found = physical.function_at(address)
    if found is None:
        raise devices.missing(f"the device {address}", "the node has no virtual function with this PCI address")
    if detail.uplink and found.physical != detail.uplink:
        raise devices.missing(f"the device {address}", f"it is a function of {found.physical}, not of {detail.uplink}")
    return found


def hindrance(node: Node, virtual: Virtual, present: Sequence[Device]) -> str:
    """Why a function cannot be lent now; empty when it can."""
    pod = next((lent.pod for lent in node.lent if lent.address == virtual.address), "")
    if pod:
        return f"Pod {pod} has it"
    device = next((one for one in present if one.address == virtual.address), None)
    if device is not None:
        return devices.busy(node, device, present)
    driven = physical.driver_of(virtual.address) in physical.USER_SPACE
    return "" if driven else "it has no interface on the node"


def _detail(link: Link) -> SriovDetail:
    if not isinstance(link.detail, SriovDetail):
        raise DatapathError(f"cannot make {link.name}: nothing says which function it is")
    return link.detail
