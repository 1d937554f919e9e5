"""The keys of the plugins bridge and macvlan -> native datapaths. Pure; called by ``nad``.

What a NetworkConfig cannot say is refused by name, unless its value means what absence means.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast, get_args

from msgspec import structs
from podnet_api import kni
from podnet_api import names as api_names

from podnet_compat.reader import Reader

Mode = Literal["bridge", "private", "vepa", "passthru"]


@dataclass(frozen=True)
class Datapath:
    """One datapath and what belongs to it. ``leaves_node``: Pods of several nodes are on it."""

    bridge: kni.Bridge | None = None
    macvlan: kni.Macvlan | None = None
    uplink: kni.Uplink | None = None
    anti_spoof: bool = False
    leaves_node: bool = False


def _bridge(reader: Reader) -> Datapath:
    default_gateway = reader.boolean("isDefaultGateway")
    if default_gateway:
        message = "eth0 keeps the default route, unless the Pod asks by 'default-route'"
        reader.notes.warn(reader.at("isDefaultGateway"), message)
    gateway = reader.boolean("isGateway") or default_gateway
    made = kni.Bridge(
        name=_interface(reader, "bridge") or "cni0",
        hairpin=reader.boolean("hairpinMode"),
        port_isolation=reader.boolean("portIsolation"),
        gateway=gateway,
        ip_masq=_masquerade(reader, gateway),
        vlan=reader.integer("vlan", 1, 4094),
    )
    reader.refuse("promiscMode", "forceAddress", "vlanTrunk", "enabledad", "disableContainerInterface")
    reader.ignore("preserveDefaultVlan", why="a Pod's port is in the VLAN that 'vlan' names, or in none")
    reader.ignore("ipMasqBackend", why="masquerading is done by nftables")
    return Datapath(bridge=made, anti_spoof=_anti_spoof(reader))


def _macvlan(reader: Reader) -> Datapath:
    mode = reader.string("mode") or "bridge"
    if mode not in get_args(Mode):
        reader.notes.fault(reader.at("mode"), f"must be one of {', '.join(get_args(Mode))}", mode)
        mode = "bridge"
    uplink = _interface(reader, "master")
    if not reader.string("master"):
        message = "names no interface, which means that of the node's default route: compat does not cover it yet"
        reader.notes.unsupported(reader.at("master"), message=message)
    reader.refuse("linkInContainer", "mac", "bcqueuelen")
    return Datapath(
        macvlan=kni.Macvlan(mode=cast(Mode, mode)),
        uplink=kni.Uplink(interface=uplink) if uplink else None,
        leaves_node=True,
    )


MAKERS: dict[str, Callable[[Reader], Datapath]] = {"bridge": _bridge, "cnv-bridge": _bridge, "macvlan": _macvlan}
"""By plugin type; cnv-bridge is another name of bridge."""


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


def _interface(reader: Reader, key: str) -> str:
    name = reader.string(key)
    problem = api_names.interface_name_problem(name) if name else ""
    if problem:
        reader.notes.fault(reader.at(key), problem, name)
    return "" if problem else name
