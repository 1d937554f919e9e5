"""The keys of the plugins vlan, ipvlan, ptp and bond -> native datapaths. Pure; listed in ``datapath``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast, get_args

from podnet_api import kni
from podnet_api import names as api_names

from podnet_compat.reader import Reader

Layer = Literal["l2", "l3", "l3s"]
BondMode = Literal[
    "balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"
]  # fmt: skip
Hash = Literal["layer2", "layer2+3", "layer3+4", "encap2+3", "encap3+4", "vlan+srcmac"]
FailOver = Literal["none", "active", "follow"]


@dataclass(frozen=True)
class Datapath:
    """``spec`` has one datapath and what belongs to it. ``leaves_node``: Pods of several nodes are on it.
    ``resource``: it takes its devices from a device plugin, by the NAD's annotation."""

    spec: kni.NetworkConfigSpec
    leaves_node: bool = False
    resource: bool = False

    @property
    def gateway(self) -> bool:
        """Whether the node holds the gateway addresses."""
        return self.spec.bridge is not None and self.spec.bridge.gateway


def vlan(reader: Reader) -> Datapath:
    """A VLAN interface of the node is the Pod's own, as with the plugin: one Pod on each node."""
    vid = reader.integer("vlanId", 0, 4094)
    if not vid and not reader.notes.faulty(reader.at("vlanId")):
        reader.notes.unsupported(reader.at("vlanId"), vid, "is no VLAN: datapath vlan begins with 1")
    reader.refuse("linkInContainer")
    made = kni.Vlan(vid=vid or 1, mode="direct")
    spec = kni.NetworkConfigSpec(vlan=made, uplink=uplink(reader), anti_spoof=False)
    return Datapath(spec, leaves_node=True)


def ipvlan(reader: Reader) -> Datapath:
    """Mode l2 unless said."""
    mode = choice(reader, "mode", get_args(Layer), "l2")
    reader.refuse("linkInContainer")
    made = kni.Ipvlan(mode=cast(Layer, mode))
    return Datapath(kni.NetworkConfigSpec(ipvlan=made, uplink=uplink(reader), anti_spoof=False), leaves_node=True)


def ptp(reader: Reader) -> Datapath:
    """A routed link. The node's end has a link-local address in place of the gateway's."""
    if not reader.has("ipam"):
        reader.notes.unsupported(reader.at("ipam"), message="a routed link is nothing without addresses")
    else:
        message = "the node has no address of the range: its end is link-local, and nobody answers at the gateway's"
        reader.notes.warn(reader.at("ipam"), message)
    reader.refuse("ipMasq", why="datapath routed does not masquerade")
    if not reader.boolean("ipMasq"):
        reader.ignore("ipMasqBackend", why="nothing is masqueraded")
    return Datapath(kni.NetworkConfigSpec(routed=kni.Routed(), anti_spoof=False))


def bond(reader: Reader) -> Datapath:
    """Over interfaces of the Pod; over those of the node there is none."""
    if not reader.boolean("linksInContainer"):
        message = "the links are interfaces of the node, datapath bond takes those of the Pod"
        reader.notes.unsupported(reader.at("linksInContainer"), message=message)
    mode = choice(reader, "mode", get_args(BondMode), "")
    hashed = choice(reader, "xmitHashPolicy", get_args(Hash), "layer2")
    number = reader.integer("failOverMac", 0, 2)
    if number and mode != "active-backup":
        reader.notes.unsupported(reader.at("failOverMac"), number, "needs mode active-backup")
    reader.refuse("allSlavesActive", "tlbDynamicLb")
    made = kni.Bond(
        mode=cast(BondMode, mode or "active-backup"),
        links=_links(reader),
        miimon=_miimon(reader, mode),
        xmit_hash_policy=cast(Hash, hashed),
        fail_over_mac=get_args(FailOver)[number],
    )
    return Datapath(kni.NetworkConfigSpec(bond=made, anti_spoof=False), leaves_node=True)


def _links(reader: Reader) -> list[str]:
    found = []
    for item in reader.children("links"):
        found.append(interface(item, "name"))
        if not item.has("name"):
            item.notes.fault(item.at("name"), "a link must be named")
        item.finish(refuse=True)
    if len(set(found)) < 2 or len(found) > len(set(found)) or len(found) > 8:
        reader.notes.unsupported(reader.at("links"), found, "must be two to eight different interfaces")
    return found


def _miimon(reader: Reader, mode: str) -> int:
    """The plugin has it as a string."""
    text = reader.string("miimon")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else -1
    if not 0 <= number <= 60000:
        message = 'must be a string of digits, milliseconds up to 60000, e.g. "100"'
        reader.notes.unsupported(reader.at("miimon"), text, message)
        return 0
    if not number and mode in {"802.3ad", "balance-tlb", "balance-alb"}:
        reader.notes.unsupported(reader.at("miimon"), text, f"mode {mode} needs to look at its links")
    return number


def uplink(reader: Reader, key: str = "master") -> kni.Uplink | None:
    """The interface of the node at ``key``, which must be there."""
    name = interface(reader, key)
    if not reader.string(key) and not reader.notes.faulty(reader.at(key)):
        message = "names no interface, which means that of the node's default route: compat does not cover it yet"
        reader.notes.unsupported(reader.at(key), message=message)
    return kni.Uplink(interface=name) if name else None


def interface(reader: Reader, key: str) -> str:
    """The name of an interface at ``key``; "" when absent, or wrong (which is a fault)."""
    name = reader.string(key)
    problem = api_names.interface_name_problem(name) if name else ""
    if problem:
        reader.notes.fault(reader.at(key), problem, name)
    return "" if problem else name


def choice(reader: Reader, key: str, known: tuple[str, ...], default: str) -> str:
    """One of ``known`` at ``key``; ``default`` when absent, or wrong (which is a fault)."""
    found = reader.string(key)
    if (found and found not in known) or not (found or default or reader.notes.faulty(reader.at(key))):
        reader.notes.fault(reader.at(key), f"must be one of {', '.join(known)}", found)
        return default
    return found or default
