"""The keys of the CNI plugins that make an interface -> native datapaths. Pure; called by ``nad``.

bridge and macvlan are here, the others in ``links`` and ``devices``; ``MAKERS`` has them all. What a NetworkConfig
cannot say is refused by name, unless its value means what absence means; then the nodes' plugins take over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, cast, get_args

from msgspec import structs
from podnet_api import kni

from podnet_compat import devices, links, userspace
from podnet_compat.links import Datapath
from podnet_compat.reader import Reader

Mode = Literal["bridge", "private", "vepa", "passthru"]


def _bridge(reader: Reader) -> Datapath:
    default_gateway = reader.boolean("isDefaultGateway")
    if default_gateway:
        message = "eth0 keeps the default route, unless the Pod asks by 'default-route'"
        reader.notes.warn(reader.at("isDefaultGateway"), message)
    gateway = reader.boolean("isGateway") or default_gateway
    vlan = reader.integer("vlan", 1, 4094)
    if gateway and vlan and reader.has("ipam"):
        message = "a bridge with gateways in one VLAN cannot have a name, which others may share"
        reader.notes.unsupported(reader.at("vlan"), vlan, message)
    made = kni.Bridge(
        name=links.interface(reader, "bridge") or "cni0",
        hairpin=reader.boolean("hairpinMode"),
        port_isolation=reader.boolean("portIsolation"),
        gateway=gateway,
        ip_masq=_masquerade(reader, gateway),
        vlan=vlan,
    )
    reader.refuse("promiscMode", "forceAddress", "vlanTrunk", "enabledad", "disableContainerInterface")
    reader.ignore("preserveDefaultVlan", why="a Pod's port is in the VLAN that 'vlan' names, or in none")
    reader.ignore("ipMasqBackend", why="masquerading is done by nftables")
    return Datapath(kni.NetworkConfigSpec(bridge=made, anti_spoof=_anti_spoof(reader)))


def _macvlan(reader: Reader) -> Datapath:
    mode = reader.string("mode") or "bridge"
    if mode not in get_args(Mode):
        reader.notes.fault(reader.at("mode"), f"must be one of {', '.join(get_args(Mode))}", mode)
        mode = "bridge"
    uplink = links.uplink(reader)
    reader.refuse("linkInContainer", "mac", "bcqueuelen")
    spec = kni.NetworkConfigSpec(macvlan=kni.Macvlan(mode=cast(Mode, mode)), uplink=uplink, anti_spoof=False)
    return Datapath(spec, leaves_node=True)


MAKERS: dict[str, Callable[[Reader], Datapath]] = {
    "bridge": _bridge,
    "cnv-bridge": _bridge,
    "macvlan": _macvlan,
    "vlan": links.vlan,
    "ipvlan": links.ipvlan,
    "ptp": links.ptp,
    "bond": links.bond,
    "host-device": devices.host_device,
    "sriov": devices.sriov,
    "userspace": userspace.userspace,
}
"""By plugin type; cnv-bridge is another name of bridge."""
NOT_NATIVE = {
    "tap": "the plugin's tap ends in the Pod, that of datapath tap is a port on a bridge of the node",
    "dummy": "no datapath makes a dummy interface",
    "loopback": "every Pod has its loopback interface",
    "vrf": "datapath vrf is an entry of its own in a Pod's list, behind the interfaces that it takes",
}
"""Plugins that are known, and why no datapath does what they do."""


def without_pool(reader: Reader, bridge: kni.Bridge | None) -> kni.Bridge | None:
    """``bridge`` where no addresses are given: then the plugin makes no gateway and masks nothing."""
    if bridge is None or not bridge.gateway:
        return bridge
    keys = [key for key in ("isGateway", "isDefaultGateway", "ipMasq") if reader.boolean(key)]
    for key in keys:
        reader.notes.warn(reader.at(key), "has no effect without addresses: 'ipam' gives none")
    return structs.replace(bridge, gateway=False, ip_masq=False)


def _masquerade(reader: Reader, gateway: bool) -> bool:
    wanted = reader.boolean("ipMasq")
    if wanted and not gateway:
        reader.notes.unsupported(reader.at("ipMasq"), wanted, "needs isGateway: compat does not cover it without yet")
    return wanted and gateway


def _anti_spoof(reader: Reader) -> bool:
    """The plugins do not filter unless told to; antiSpoof then holds the Pod to its IP addresses as well."""
    wanted = reader.boolean("macspoofchk")
    if wanted:
        reader.notes.warn(reader.at("macspoofchk"), "becomes antiSpoof, which checks the Pod's IP addresses too")
    return wanted
