"""What is wanted and what was found, as plain values. Pure.

The planner makes Link and NodeLink, the core hands them to a Datapath, which answers with Observed and
NodeLinkState, read back from the kernel.
"""

import dataclasses
import hashlib
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Literal

from podnet_kni_server.details import Detail, Device, DhcpRecord, Extras, HostDeviceDetail, NpwgRow, Senders

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network

HOST_PREFIX = "pnv"
"""How the name of every host end begins. Sweeping looks at it and at the group of the link."""
PLUGINS_PREFIX = "cni/"
"""How the name of a NodeLink begins that stands for plugins: no interface can be called so."""
NAME_LIMIT = 15
"""Bytes of an interface name (IFNAMSIZ less its zero)."""


def host_name(sandbox: str, interface: str) -> str:
    """Name of the host end of `interface` in the sandbox with this id: the same for the same pair, 15 bytes."""
    digest = hashlib.sha256(f"{sandbox}/{interface}".encode()).hexdigest()
    return HOST_PREFIX + digest[: NAME_LIMIT - len(HOST_PREFIX)]


@dataclasses.dataclass(frozen=True)
class Route:
    """A route in the Pod; without a gateway the destination is on the link."""

    destination: Network
    gateway: Address | None = None


@dataclasses.dataclass(frozen=True)
class Link:
    """One interface that a Pod is to have."""

    kind: str
    """veth and macvlan are made together in one batch (attach.py); any other kind has a maker of its own
    (makers), but for cni, which composite hands to the executor."""
    name: str
    """In the Pod."""
    host_name: str
    """Name of the host end, see host_name(); empty where the node keeps no link of ours for it."""
    master: str
    """The bridge that the host end joins, or the uplink of a link without one."""
    mac: str
    """Empty: what the kernel or the device gives."""
    mtu: int
    """0: what the master has."""
    addresses: tuple[Interface, ...] = ()
    routes: tuple[Route, ...] = ()
    default_gateways: tuple[Address, ...] = ()
    """The default route of that family leads here; it replaces the one that the Pod has, e.g. through eth0."""
    mode: str = "bridge"
    """Of a macvlan or macvtap: bridge, private, vepa or passthru; of an ipvlan: l2, l3 or l3s."""
    hairpin: bool = False
    """veth: whether a frame may leave through the port where it came in."""
    isolated: bool = False
    """veth: whether the port talks only to ports that are not isolated."""
    anti_spoof: bool = False
    """veth: whether frames with another source MAC or IP address than the link's own are dropped."""
    vlan: int = 0
    """veth and tap: access VLAN of the port on a bridge that filters VLANs; 0: what the bridge gives. vlan: its
    identifier."""
    senders: Senders | None = None
    """veth: who may send through the port instead of the link's own MAC address and addresses."""
    dhcp: DhcpRecord | None = None
    """Whether an address comes by DHCP once the link is there; composite sees to it."""
    detail: Detail | None = None
    """What of it belongs to the kind alone."""
    extras: Extras | None = None
    """What it has on top; None: nothing."""


@dataclasses.dataclass(frozen=True)
class Observed:
    """One interface of a Pod as the kernel has it."""

    name: str
    mac: str
    mtu: int
    up: bool
    addresses: tuple[Interface, ...] = ()
    """Without the link-local addresses that the kernel makes by itself."""
    index: int = 0
    kind: str = ""
    host_ifindex: int = 0
    """veth: index of the host end; macvlan: of the uplink."""
    device: Device | None = None
    """The character device that containers need for it."""
    gateways: tuple[Address, ...] = ()
    """What plugins gave; podnet's own gateways are in the plan."""
    nameservers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    rows: tuple[NpwgRow, ...] | None = None
    """What plugins made, interface by interface; None: no plugin was asked."""
    device_info: str = ""
    """NPWG device information of the device behind it, as JSON."""
    dns_options: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something that is not as it was made: somebody or something else changed it."""

    what: str
    """As in "net1 is down"; on the node with the name of the link that it is about."""
    repaired: bool = True
    why: str = ""
    """What keeps it from being repaired."""


@dataclasses.dataclass(frozen=True)
class Checked:
    """What a look at a Pod's links gave: `outside` are addresses by link that came from elsewhere (SLAAC), without
    those that are tentative, deprecated, temporary or hold on the link only."""

    findings: tuple[Finding, ...] = ()
    outside: dict[str, tuple[Interface, ...]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class NodeLink:
    """What a network needs on the node before Pods attach."""

    kind: Literal["bridge", "vxlan", "uplink", "device", "functions", "routed", "none"]
    name: str
    """Of the bridge, or of the uplink where a network needs nothing else (macvlan); functions: of the physical
    function; routed, none: of the NetworkConfig. routed: the node has to forward; none: it needs nothing but
    its kernel."""
    vxlan_name: str = ""
    vni: int = 0
    port: int = 4789
    local: Address | None = None
    """vxlan: the node's own address in the underlay."""
    peers: frozenset[Address] = frozenset()
    """vxlan: the other nodes' addresses; unknown destinations are flooded to all of them."""
    uplink: str = ""
    """bridge: interface that becomes a port of it; empty: the network ends at the node. routed: interface on
    which the node answers for the Pods."""
    parent: str = ""
    """bridge: the uplink is a VLAN of this interface, and is made where it is missing."""
    vid: int = 0
    """The identifier of that VLAN."""
    vlan: int = 0
    """bridge: access VLAN of the network on a bridge that filters VLANs; the uplink carries it tagged."""
    use: str = ""
    """uplink: what the network makes of it, e.g. "ipvlan l2"; the kernel lets an interface have one use only."""
    versions: tuple[int, ...] = ()
    """routed: families that the node has to forward."""
    mtu: int = 0
    """0: the uplink's; vxlan: the underlay's less 50 (IPv4) or 70 (IPv6)."""
    gateways: tuple[Interface, ...] = ()
    """Addresses of the bridge itself."""
    masquerade: tuple[Network, ...] = ()
    """What leaves these networks for elsewhere takes the node's address."""
    anti_spoof: bool = False
    """Whether links of this network will ask for anti-spoofing: not ready where the node cannot do that."""
    plugins: str = ""
    """none: a configuration of CNI plugins, which must be ready on the node."""
    device: HostDeviceDetail | None = None
    """device: which device of the node; `name` is its name where it is chosen by that."""
    needs: tuple[str, ...] = ()
    """Kinds of links that the kernel must have, see Datapath.kinds; a node without one says so."""

    @property
    def key(self) -> str:
        """Tells what the node needs from what else it needs: two networks may ask for the same."""
        if self.device is not None:
            return "/".join(("device", self.device.name, self.device.mac, self.device.pci_address))
        if self.kind == "functions":
            return f"functions/{self.name}"
        if self.kind in ("bridge", "vxlan"):
            return f"{self.name}/{self.vlan}" if self.vlan else self.name
        return "/".join(word for word in (self.name, *self.needs, self.use) if word)

    @property
    def names(self) -> set[str]:
        """Links of the node that it depends on."""
        own = "" if self.kind in ("routed", "none") else self.name
        return {name for name in (own, self.uplink, self.vxlan_name, self.parent) if name}


@dataclasses.dataclass(frozen=True)
class NodeLinkState:
    """Whether Pods can attach; `reason` is a word of podnet_api.reasons, `mtu` what the links may have."""

    ready: bool
    reason: str
    message: str
    mtu: int = 0
    free: int | None = None
    """How many more Pods can attach; None: as many as the kind can carry."""


@dataclasses.dataclass(frozen=True)
class LinkEvent:
    """A link of the node changed. `up`: it is set up and has a carrier. `present`: it exists."""

    name: str
    up: bool
    present: bool
