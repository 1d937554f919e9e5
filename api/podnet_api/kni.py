"""NetworkConfig, AttachmentConfig, NodeNetwork and IPBlock: the parameters and state of podnet's provider.

Group kni.multinetwork.x-k8s.io. A PodNetwork of provider ``multinetwork.x-k8s.io/kni`` references one
NetworkConfig, a PodNetworkAttachment at most one AttachmentConfig. The pool and the links belong to the
NetworkConfig: two PodNetworks may share one.

Longer than our files are, because a reviewer reads the specification of one group on one page.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta, field

from podnet_api import multinetwork, names
from podnet_api.meta import (
    SET,
    Address,
    Cidr,
    Column,
    InterfaceName,
    Mac,
    Model,
    Mtu,
    Name,
    ObjectMeta,
    Resource,
    Rule,
    Text,
)

DATAPATHS = (
    "bridge", "vxlan", "macvlan", "vlan", "ipvlan", "routed", "hostDevice", "sriov", "tap", "macvtap",
    "bond", "vrf", "userspace", "cni",
)  # fmt: skip
"""Every datapath, by its key in a NetworkConfig's spec."""
ON_UPLINK = ("macvlan", "macvtap", "ipvlan", "vlan")
"""Datapaths that are nothing without an uplink."""
IN_POD = ("bond", "vrf", "userspace")
"""Datapaths that live in the Pod alone."""
GUESTS = ("tap", "macvtap")
"""Datapaths with a virtual machine behind them, which has the addresses."""
_ON_LINKS = {
    "routes": "self.routes.size() == 0",
    "policyRouting": "!self.policyRouting",
    "promiscuous": "!self.promiscuous",
    "allMulticast": "!self.allMulticast",
    "bandwidth": "false",
    "sysctls": "self.sysctls.size() == 0",
}
"""What is put upon a link, and the test for none of it."""
_FILTERED = ("bridge", "vxlan", "vlan", "tap")

Labels = Annotated[dict[str, Annotated[str, Meta(max_length=63)]], Meta(max_length=64)]
Sysctls = Annotated[dict[str, Annotated[str, Meta(max_length=256)]], Meta(max_length=64)]
Guid = Annotated[str, Meta(pattern=r"^([0-9a-f]{2}:){7}[0-9a-f]{2}$", max_length=23)]
Rate = Annotated[int, Meta(ge=0, le=10**13)]
Count = Annotated[int, Meta(ge=0, le=2**31)]


def _all_ip(key: str, test: str) -> Rule:
    rule = f"!has(self.{key}) || self.{key}.all(x, {test})"
    return Rule(rule, f"{key} must be readable addresses", path=f".{key}")


def _ip(key: str) -> Rule:
    return Rule(f"!has(self.{key}) || isIP(self.{key})", f"{key} must be an IP address", path=f".{key}")


def _block(version: int) -> Rule:
    key = f"blockPrefix{version}"
    return Rule(
        f"!has(self.{key}) || !has(self.ranges) || self.ranges.all(r, !isCIDR(r.cidr) || "
        f"cidr(r.cidr).ip().family() != {version} || cidr(r.cidr).prefixLength() <= self.{key})",
        "a block must not be larger than any range of its family",
        path=f".{key}",
    )


_SYSCTL_RULE = Rule(
    "!has(self.sysctls) || self.sysctls.all(k, k.matches('^net([./][A-Za-z0-9_-]+)+$'))",
    "sysctls must be parameters below net., which belong to the Pod's own namespace",
    path=".sysctls",
)


class Uplink(Model, frozen=True, kw_only=True):
    """The node's interface that carries the network off the node."""

    interface: InterfaceName
    """Name of the interface on the node. A node without it reports the network as UplinkMissing."""


class Bridge(Model, frozen=True, kw_only=True):
    """A Linux bridge on each node; without an uplink the network ends at the node."""

    name: Annotated[str, Meta(max_length=15, pattern=r"^[^/:\s%]*$")] = ""
    """Name of the bridge on the node; empty: derived from the NetworkConfig. A bridge of that name that
    exists already is used and never deleted."""
    hairpin: bool = False
    """Whether a frame may leave through the port where it came in."""
    port_isolation: bool = False
    """Whether ports may talk only to the uplink and the bridge itself, not to each other."""
    gateway: bool = False
    """Whether the bridge holds the gateway addresses of the ranges, so that Pods reach the node."""
    ip_masq: bool = False
    """Whether what leaves the ranges for elsewhere takes the node's address. Needs ``gateway``."""
    vlan: Annotated[int, Meta(ge=0, le=4094)] = 0
    """Access VLAN of the Pods' ports, which the uplink carries tagged; 0: none. Networks with the same ``name`` and
    different VLANs share a bridge. Needs bridge VLAN filtering in the kernel."""


class Vxlan(Model, frozen=True, kw_only=True):
    """An overlay across nodes: a VXLAN device (RFC 7348) and a bridge on each node, flooding by
    head-end replication to every other node of the network."""

    vni: Annotated[int, Meta(ge=1, le=16777215)]
    """VXLAN network identifier."""
    port: Annotated[int, Meta(ge=1, le=65535)] = 4789
    """UDP port."""
    port_isolation: bool = False
    """Whether ports of one node may not talk to each other."""


class Macvlan(Model, frozen=True, kw_only=True):
    """A macvlan interface on the uplink."""

    mode: Literal["bridge", "private", "vepa", "passthru"] = "bridge"
    """How the interfaces of one uplink see each other."""


class Vlan(Model, frozen=True, kw_only=True):
    """A VLAN of the uplink (IEEE 802.1Q)."""

    vid: Annotated[int, Meta(ge=1, le=4094)]
    """VLAN identifier."""
    mode: Literal["bridge", "direct"] = "bridge"
    """bridge: a bridge over the node's VLAN interface, with a port for each Pod. direct: the VLAN interface
    itself is the Pod's; the kernel has one for each uplink and identifier, so one Pod on each node."""
    port_isolation: bool = False
    """Mode bridge: whether ports of one node may not talk to each other."""


class Ipvlan(Model, frozen=True, kw_only=True):
    """An ipvlan interface on the uplink: the Pod shares the uplink's MAC address."""

    mode: Literal["l2", "l3", "l3s"] = "l2"
    """At which layer the kernel forwards between interfaces."""


class Routed(Model, frozen=True, kw_only=True):
    """A point-to-point link to the node, which routes.

    The Pod has its addresses without their subnet; the subnet, the network's routes and a default route lead
    through a link-local next hop, the node (whatever gateways the ranges and routes name). The node has a route to
    each address, and drops packets from any other source."""

    proxy: bool = False
    """Whether the node answers ARP and NDP for the Pods on the uplink. Else others need routes to the Pods."""


class HostDevice(Model, frozen=True, kw_only=True):
    """An existing device of the node, moved into the Pod."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("[has(self.name), has(self.mac), has(self.pciAddress)].exists_one(x, x)",
             "exactly one of name, mac and pciAddress must be set"),
    )  # fmt: skip

    name: InterfaceName | None = None
    """The device with this name."""
    mac: Mac | None = None
    """The device with this MAC address."""
    pci_address: Annotated[str, Meta(max_length=12, pattern=r"^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$")] | None = (
        None
    )
    """The device at this PCI address."""


class Sriov(Model, frozen=True, kw_only=True):
    """A virtual function of an SR-IOV device."""

    resource: Annotated[str, Meta(max_length=253)] = ""
    """Resource name of the device plugin that hands out the functions; empty: any free function of the uplink."""
    vlan: Annotated[int, Meta(ge=0, le=4094)] = 0
    """VLAN that the device puts the function in; 0: none."""
    qos: Annotated[int, Meta(ge=0, le=7)] = 0
    """Priority (IEEE 802.1p) of the frames of that VLAN."""
    vlan_protocol: Literal["802.1Q", "802.1ad"] = "802.1Q"
    """Tag of that VLAN."""
    trust: bool = False
    """Whether the function may change its MAC address and receive all multicast."""
    spoof_check: bool = True
    """Whether the device drops frames from other MAC addresses."""
    link_state: Literal["auto", "enable", "disable"] = "auto"
    """Carrier that the function sees; auto: that of the physical function."""
    min_tx_rate: Annotated[int, Meta(ge=0, le=1000000)] = 0
    """Least rate of sending that the device keeps free, in Mbit/s; 0: none."""
    max_tx_rate: Annotated[int, Meta(ge=0, le=1000000)] = 0
    """Most rate of sending, in Mbit/s; 0: no limit."""


class Tap(Model, frozen=True, kw_only=True):
    """A tap device for a virtual machine, with a port on a bridge of the node.

    The device has the interface's name in the Pod, and the Pod's containers may open /dev/net/tun. MAC address and
    addresses are the guest's: the Pod's status tells them, whoever starts the guest gives them to it, and with
    ``antiSpoof`` (the default) nothing else gets through; the device itself has none of them. Routes are the guest's
    affair: the Pod gets none, and a default gateway is only told."""

    bridge: Annotated[str, Meta(max_length=15, pattern=r"^[^/:\s%]*$")] = ""
    """Name of the bridge on the node, as for datapath bridge: a network of that datapath with the same name shares
    it. Empty: derived from the NetworkConfig."""
    owner: Annotated[int, Meta(ge=0, le=4294967294)] | None = None
    """User id that may open it, e.g. 107 for KubeVirt; absent: any."""
    group: Annotated[int, Meta(ge=0, le=4294967294)] | None = None
    """Group id that may open it; absent: any. With ``owner``, both must fit."""
    multi_queue: bool = False
    """Whether it may be opened several times."""


class Macvtap(Model, frozen=True, kw_only=True):
    """A macvtap device on the uplink, for a virtual machine.

    The Pod's containers get its character device, /dev/tap and the interface's index, which may be opened several
    times (multi-queue). The guest has the interface's MAC address; its addresses are told in the Pod's status and
    configured on no link of the Pod."""

    mode: Literal["bridge", "private", "vepa", "passthru"] = "bridge"
    """How the interfaces of one uplink see each other."""
    owner: Annotated[int, Meta(ge=0, le=4294967294)] | None = None
    """Owner of the character device in the containers; absent: root."""
    group: Annotated[int, Meta(ge=0, le=4294967294)] | None = None
    """Its group; absent: root's."""


class Bond(Model, frozen=True, kw_only=True):
    """A bond of interfaces that earlier entries of the Pod's list attach.

    These have neither addresses nor routes, whatever their networks say: the bond has. Without ``mtu`` it has the
    least of theirs."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("!has(self.failOverMac) || self.failOverMac == 'none' || !has(self.mode) || self.mode == 'active-backup'",
             "failOverMac needs mode active-backup", "FieldValueForbidden", ".failOverMac"),
        Rule("!has(self.miimon) || self.miimon > 0 || !has(self.mode) || "
             "!(self.mode in ['802.3ad', 'balance-tlb', 'balance-alb'])",
             "this mode needs to look at its links: miimon must not be 0", path=".miimon"),
    )  # fmt: skip

    mode: Literal["balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb",
                  "balance-alb"] = "active-backup"  # fmt: skip
    """How the links share the traffic."""
    links: Annotated[list[InterfaceName], Meta(min_length=2, max_length=8, extra_json_schema=SET)]
    """Names of the links in the Pod."""
    miimon: Annotated[int, Meta(ge=0, le=60000)] = 100
    """How often the links are looked at, in milliseconds."""
    xmit_hash_policy: Literal["layer2", "layer2+3", "layer3+4", "encap2+3", "encap3+4", "vlan+srcmac"] = "layer2"
    """What of a frame chooses the link that it leaves by (balance-xor, 802.3ad, balance-tlb)."""
    fail_over_mac: Literal["none", "active", "follow"] = "none"
    """Whose MAC address an active-backup bond has."""


class Vrf(Model, frozen=True, kw_only=True):
    """A virtual routing table for interfaces that earlier entries of the Pod's list attach.

    These keep their addresses; routes and default routes over them stand in the VRF's table. The network's own
    routes stand in the main table and lead into the VRF."""

    table: Annotated[int, Meta(ge=1, le=4294967295)]
    """Number of the routing table."""
    members: Annotated[list[InterfaceName], Meta(max_length=16, extra_json_schema=SET)] = []
    """Names of the interfaces in the Pod."""


class Userspace(Model, frozen=True, kw_only=True):
    """A socket in a directory that a user-space switch of the node and the Pod share; no link of the kernel.

    Containers find the directory at /run/podnet/ and the interface's name, the socket in it is vhost-user.sock or
    memif.sock. On the node it is /run/kni/userspace/SANDBOX/INTERFACE, and INTERFACE.json beside it describes the
    interface for the switch. The NPWG network-status has it as device-info."""

    type: Literal["vhost-user", "memif"] = "vhost-user"
    """What is spoken over the socket."""
    role: Literal["server", "client"] = "server"
    """Who makes the socket: the Pod (server) or the switch (client)."""


class Cni(Model, frozen=True, kw_only=True):
    """A CNI plugin or chain of plugins."""

    config: Annotated[str, Meta(min_length=2, max_length=65536)]
    """The network configuration as JSON (CNI specification): a plugin (type) or a chain (plugins). With neither,
    its name is that of a configuration file on the nodes."""
    resource: Annotated[str, Meta(max_length=253)] = ""
    """Extended resource whose devices the kubelet gave the Pod: each attachment takes the next one, in the order of
    the Pod's list and of the sorted ids, before its deviceID. Empty: none."""


class Range(Model, frozen=True, kw_only=True):
    """Addresses of one subnet that Pods may get."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("isCIDR(self.cidr) && cidr(self.cidr) == cidr(self.cidr).masked()",
             "cidr must be a subnet whose host bits are zero, e.g. 10.1.0.0/24 or fd00:1::/64", path=".cidr"),
        *(Rule(f"!has(self.{key}) || (isIP(self.{key}) && isCIDR(self.cidr) && cidr(self.cidr).containsIP(self.{key}))",
               f"{key} must be an address of cidr", path=f".{key}") for key in ("gateway", "start", "end")),
        Rule("!has(self.exclude) || !isCIDR(self.cidr) || self.exclude.all(x, "
             "(isIP(x) && cidr(self.cidr).containsIP(x)) || (isCIDR(x) && cidr(self.cidr).containsCIDR(x)))",
             "exclude must be addresses or subnets of cidr", path=".exclude"),
    )  # fmt: skip

    cidr: Cidr
    """The subnet. Its length becomes the prefix length of the Pods' addresses."""
    start: Address | None = None
    """First address to give; absent: the first usable one."""
    end: Address | None = None
    """Last address to give; absent: the last usable one."""
    gateway: Address | None = None
    """The gateway of the subnet; never given to a Pod."""
    exclude: Annotated[list[Cidr], Meta(max_length=64, extra_json_schema=SET)] = []
    """Addresses or subnets never given to a Pod."""


class Dhcp(Model, frozen=True, kw_only=True):
    """A DHCP server on the network gives IPv4 addresses; the node keeps the leases."""

    host_name: bool = True
    """Whether the server is told the name of the Pod (option 12)."""


class Ipam(Model, frozen=True, kw_only=True):
    """Where addresses come from."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("has(self.dhcp) || (has(self.ranges) && size(self.ranges) > 0)",
             "must have ranges, or dhcp", "FieldValueRequired", ".ranges"),
        Rule("!has(self.dhcp) || !has(self.ranges) || self.ranges.all(r, !isCIDR(r.cidr) || "
             "cidr(r.cidr).ip().family() == 6)", "with dhcp, ranges may be of IPv6 alone", path=".ranges"),
        _block(4),
        _block(6),
        Rule("!has(self.sticky) || !self.sticky || !has(self.scope) || self.scope == 'cluster'",
             "sticky needs scope cluster", "FieldValueForbidden", ".sticky"),
        Rule("!has(self.sticky) || !self.sticky || !(has(self.blockPrefix4) || has(self.blockPrefix6))",
             "sticky addresses are claimed one by one, without blocks", "FieldValueForbidden", ".sticky"),
    )  # fmt: skip

    dhcp: Dhcp | None = None
    """IPv4 addresses by DHCP, kept by the CNI plugin dhcp, which the nodes must have. Nothing is dropped there as
    spoofed (antiSpoof false): the node cannot know the address before the Pod has it."""
    ranges: Annotated[list[Range], Meta(max_length=16)] = []
    """The ranges. A Pod gets one address per family, from the first range of the family with room. They
    must not overlap."""
    scope: Literal["cluster", "node"] = "cluster"
    """cluster: an address is given once in the cluster. node: each node gives the whole range by itself,
    which is right only where the network does not leave the node."""
    block_prefix4: Annotated[int, Meta(ge=8, le=32)] | None = field(name="blockPrefix4", default=None)
    """Prefix length of the IPv4 blocks that nodes claim; absent: 28, 26 where a range has 1,024 blocks of that
    size, or single addresses where it has fewer than 16 blocks of 28."""
    block_prefix6: Annotated[int, Meta(ge=16, le=128)] | None = field(name="blockPrefix6", default=None)
    """The same for IPv6; absent: 124, or 122 where a range has 1,024 blocks of that size."""
    sticky: bool = False
    """Whether a member of a StatefulSet gets the same addresses again, also on another node, until it is scaled
    down or deleted. Nodes claim single addresses of such a pool. Needs scope cluster."""
    space: Annotated[str, Meta(max_length=63, pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$")] = ""
    """Name of the address space. Pools of one space must not share an address; pools of different spaces may,
    as their networks never meet. Empty: the space that all such pools have in common."""


class Route(Model, frozen=True, kw_only=True):
    """One route in the Pod."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("isCIDR(self.destination) && cidr(self.destination) == cidr(self.destination).masked()",
             "destination must be a subnet whose host bits are zero, e.g. 10.2.0.0/16", path=".destination"),
        _ip("gateway"),
    )  # fmt: skip

    destination: Cidr
    """The subnet that it leads to."""
    gateway: Address | None = None
    """Next hop; absent: the destination is on the link."""


class Dns(Model, frozen=True, kw_only=True):
    """Name servers of a network: told in the Pod's network status and, where the Pod's default route leads over it,
    in its resolv.conf."""

    rules: ClassVar[tuple[Rule, ...]] = (_all_ip("nameservers", "isIP(x)"),)

    nameservers: Annotated[list[Address], Meta(max_length=3)] = []
    """Addresses of the servers."""
    search: Annotated[list[Annotated[str, Meta(max_length=253)]], Meta(max_length=32)] = []
    """Search list."""
    options: Annotated[list[Annotated[str, Meta(max_length=253)]], Meta(max_length=32)] = []
    """Options of the resolver, e.g. "ndots:2"."""
    resolv_conf: bool = True
    """Whether resolv.conf has them where the default route leads over the network. False: they are told in the status
    alone, also those that CNI plugins name; networks made from NetworkAttachmentDefinitions are so."""


class NodeRequirement(Model, frozen=True, kw_only=True):
    """One requirement on a node's labels."""

    key: Annotated[str, Meta(min_length=1, max_length=316)]
    """Label key."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"] = "In"
    """How the label is compared."""
    values: Annotated[list[Annotated[str, Meta(max_length=63)]], Meta(max_length=1000)] = []
    """Values for In and NotIn."""


class NodeSelector(Model, frozen=True, kw_only=True):
    """Which nodes carry the network. All that is listed must hold."""

    match_labels: Labels = {}
    """Labels with the value that they must have."""
    match_expressions: Annotated[list[NodeRequirement], Meta(max_length=32)] = []
    """Further requirements."""


class Capacity(Model, frozen=True, kw_only=True):
    """How much of the network one node carries."""

    attachments: Annotated[int, Meta(ge=0, le=100000)] | None = None
    """Most attachments on one node; absent: what the datapath allows (a Linux bridge: 1023 ports)."""


class Bandwidth(Model, frozen=True, kw_only=True):
    """Limits in bits per second and bits, held at the node's end of the link: of bridge, vxlan, vlan (mode bridge),
    routed and tap. Without a burst: what 20 ms carry, at least 32 KiB."""

    ingress_rate: Rate = 0
    """Towards the Pod; 0: no limit."""
    ingress_burst: Rate = 0
    """Burst towards the Pod."""
    egress_rate: Rate = 0
    """From the Pod; 0: no limit."""
    egress_burst: Rate = 0
    """Burst from the Pod."""


class NetworkConfigSpec(Model, frozen=True, kw_only=True):
    """How a network is made on each node. Exactly one datapath must be set."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("[" + ", ".join(f"has(self.{d})" for d in DATAPATHS) + "].exists_one(x, x)",
             "exactly one datapath must be set: " + ", ".join(DATAPATHS)),
        Rule(" && ".join(f"has(self.{d}) == has(oldSelf.{d})" for d in DATAPATHS),
             "the datapath is immutable: create another NetworkConfig", "FieldValueForbidden"),
        *(Rule(f"!has(self.{d}) || has(self.uplink)", f"{d} needs an uplink", "FieldValueRequired", ".uplink")
          for d in ON_UPLINK),
        Rule("!has(self.antiSpoof) || !self.antiSpoof || " + " || ".join(f"has(self.{d})" for d in _FILTERED),
             "antiSpoof needs a port on a bridge of the node, which only bridge, vxlan, vlan and tap have",
             "FieldValueForbidden", ".antiSpoof"),
        Rule("!has(self.antiSpoof) || !self.antiSpoof || !has(self.vlan) || !has(self.vlan.mode) || "
             "self.vlan.mode == 'bridge'", "antiSpoof needs mode bridge", "FieldValueForbidden", ".antiSpoof"),
        Rule("!has(self.mtu) || self.mtu >= 1280 || !has(self.ipam) || "
             "!has(self.ipam.ranges) || !self.ipam.ranges.exists(r, isCIDR(r.cidr) && cidr(r.cidr).ip().family() == 6)",
             "IPv6 needs an MTU of at least 1280 (RFC 8200)", path=".mtu"),
        Rule("!has(self.bridge) || !has(self.bridge.ipMasq) || !self.bridge.ipMasq || "
             "(has(self.bridge.gateway) && self.bridge.gateway)", "ipMasq needs gateway: true", path=".bridge"),
        Rule("!has(self.bridge) || !has(self.bridge.vlan) || self.bridge.vlan == 0 || !has(self.bridge.name) || "
             "self.bridge.name == '' || !has(self.bridge.gateway) || !self.bridge.gateway",
             "a bridge with a name may be shared, and has gateways in one VLAN only: gateway needs no name with vlan",
             "FieldValueForbidden", ".bridge.gateway"),
        Rule("!has(self.routed) || !has(self.routed.proxy) || !self.routed.proxy || has(self.uplink)",
             "proxy needs an uplink", "FieldValueRequired", ".uplink"),
        Rule("!has(self.uplink) || !(" + " || ".join(f"has(self.{d})" for d in IN_POD) + ")",
             "this datapath has no uplink: " + ", ".join(IN_POD), "FieldValueForbidden", ".uplink"),
        *(Rule(f"!has(self.userspace) || !has(self.{key}) || {empty}",
               f"{key} needs a link of the kernel, which userspace has not", "FieldValueForbidden", f".{key}")
          for key, empty in _ON_LINKS.items()),
        Rule("!has(self.bandwidth) || has(self.bridge) || has(self.vxlan) || has(self.routed) || has(self.tap) || "
             "has(self.userspace) || (has(self.vlan) && (!has(self.vlan.mode) || self.vlan.mode == 'bridge'))",
             "bandwidth needs an end of the link on the node: bridge, vxlan, vlan (mode bridge), routed, tap",
             "FieldValueForbidden", ".bandwidth"),
        *(Rule(f"!has(self.cni) || !has(self.{key}) || {empty}", f"{key} is for the plugins of datapath cni to do",
               "FieldValueForbidden", f".{key}")
          for key, empty in _ON_LINKS.items() if key not in ("routes", "bandwidth")),
        *(Rule(f"!has(self.{d}) || !has(self.routes)", f"routes are the guest's affair with {d}",
               "FieldValueForbidden", ".routes") for d in GUESTS),
        Rule("has(self.ipam) == has(oldSelf.ipam) && (!has(self.ipam) || self.ipam == oldSelf.ipam)",
             "ipam is immutable, addresses are given out of it: create another NetworkConfig",
             "FieldValueForbidden", ".ipam"),
        Rule("!has(self.ipam) || !has(self.ipam.dhcp) || (has(self.antiSpoof) && !self.antiSpoof) || "
             + " && ".join(f"!has(self.{d})" for d in _FILTERED),
             "ipam.dhcp needs antiSpoof: false: the node cannot know the address before the Pod has it",
             path=".antiSpoof"),
        Rule("!has(self.ipam) || !has(self.cni)",
             "the plugins of datapath cni give addresses", "FieldValueForbidden", ".ipam"),
        _SYSCTL_RULE,
    )  # fmt: skip

    bridge: Bridge | None = None
    """Datapath: a bridge on each node."""
    vxlan: Vxlan | None = None
    """Datapath: an overlay across nodes."""
    macvlan: Macvlan | None = None
    """Datapath: macvlan on the uplink."""
    vlan: Vlan | None = None
    """Datapath: a VLAN of the uplink."""
    ipvlan: Ipvlan | None = None
    """Datapath: ipvlan on the uplink."""
    routed: Routed | None = None
    """Datapath: a routed link."""
    host_device: HostDevice | None = None
    """Datapath: a device of the node."""
    sriov: Sriov | None = None
    """Datapath: a virtual function."""
    tap: Tap | None = None
    """Datapath: a tap device."""
    macvtap: Macvtap | None = None
    """Datapath: macvtap on the uplink."""
    bond: Bond | None = None
    """Datapath: a bond of the Pod's own interfaces."""
    vrf: Vrf | None = None
    """Datapath: a VRF over the Pod's own interfaces."""
    userspace: Userspace | None = None
    """Datapath: a socket of a user-space switch."""
    cni: Cni | None = None
    """Datapath: CNI plugins."""

    node_selector: NodeSelector | None = None
    """Nodes that carry the network; absent: all."""
    uplink: Uplink | None = None
    """The node's interface that carries the network; for bridge, tap and routed optional, for vxlan unused."""
    mtu: Mtu | None = None
    """MTU of the Pods' interfaces; absent: the uplink's, less the overhead of the datapath."""
    ipam: Ipam | None = None
    """Where addresses come from; absent: none are given."""
    routes: Annotated[list[Route], Meta(max_length=64)] = []
    """Routes in every Pod of the network."""
    dns: Dns | None = None
    """Name servers of the network: told in the Pod's status and in its networks.json. A Pod whose default route leads
    over the network (isDefaultGW4, isDefaultGW6, or eth0) has them in its resolv.conf as well: behind the cluster's
    with dnsPolicy ClusterFirst, before the node's with Default. One with a dnsConfig or dnsPolicy None has not."""
    anti_spoof: Annotated[bool, Meta(extra={"shown": False})] = True
    """Whether the node drops frames from a Pod whose MAC or IP address is not the one it was given. Absent:
    true for the datapaths bridge, vxlan, vlan (mode bridge) and tap; no other datapath can do it, there true is
    refused."""
    policy_routing: bool = False
    """Whether the network has a routing table of its own in each Pod, so that answers leave where the question
    came in. Then ports of the node (portMappings) tell the Pod who asks; else the gateway stands in for them."""
    promiscuous: bool = False
    """Whether the Pods' interfaces receive every frame."""
    all_multicast: bool = False
    """Whether the Pods' interfaces receive every multicast frame."""
    bandwidth: Bandwidth | None = None
    """Limits of each Pod's interface, unless its attachment has its own."""
    sysctls: Sysctls = {}
    """Kernel parameters of the Pods' namespaces; ``IFNAME`` in a name stands for the Pod's interface. Nodes say which
    are allowed (--allowed-sysctls). Those of a whole namespace stay as long as the Pod."""
    capacity: Capacity | None = None
    """How much of the network one node carries."""


class NetworkConfig(Model, frozen=True, kw_only=True):
    """NetworkConfig holds the parameters of a network of provider multinetwork.x-k8s.io/kni."""

    resource: ClassVar[Resource] = Resource(
        "NetworkConfig",
        "networkconfigs",
        names.KNI_GROUP,
        names.VERSION,
        False,
        ("netcfg",),
        (
            Column("Uplink", ".spec.uplink.interface"),
            Column("Range", ".spec.ipam.ranges[0].cidr"),
            Column("MTU", ".spec.mtu", "integer", 1),
        ),
        (),
    )
    metadata: ObjectMeta
    spec: NetworkConfigSpec
    """How the network is made on each node."""


class PortMapping(Model, frozen=True, kw_only=True):
    """A port of the node that leads to the Pod, on a network in which the node has an address: bridge with gateway, or
    routed. Not by the node's loopback addresses. A port that another Pod or a process of the node has is refused."""

    rules: ClassVar[tuple[Rule, ...]] = (_ip("hostIP"),)

    host_port: Annotated[int, Meta(ge=1, le=65535)]
    """Port on the node."""
    container_port: Annotated[int, Meta(ge=1, le=65535)]
    """Port in the Pod."""
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"
    """Transport protocol."""
    host_ip: Address | None = field(name="hostIP", default=None)
    """Address on the node; absent: all."""


class AttachmentConfigSpec(Model, frozen=True, kw_only=True):
    """What one attachment asks for beyond the network's own parameters."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("self == oldSelf", "spec is immutable: create another AttachmentConfig", "FieldValueForbidden"),
        _all_ip("addresses", "isIP(x) || isCIDR(x)"),
        _SYSCTL_RULE,
    )

    addresses: Annotated[list[Cidr], Meta(max_length=8)] = []
    """Static addresses, with or without a prefix length (without: that of the range that holds them). At
    most one per family, in place of the one that would be leased."""
    mac: Mac | None = None
    """MAC address of the interface; absent: derived."""
    routes: Annotated[list[Route], Meta(max_length=64)] = []
    """Further routes of the Pod over this interface."""
    dns: Dns | None = None
    """Name servers in place of those of the network."""
    bandwidth: Bandwidth | None = None
    """Limits of the interface."""
    sysctls: Sysctls = {}
    """Kernel parameters of the Pod's namespace, before those of the network; ``IFNAME`` in a name stands for
    the Pod's interface."""
    promiscuous: bool = False
    """Whether the interface receives every frame."""
    all_multicast: bool = False
    """Whether the interface receives every multicast frame."""
    port_mappings: Annotated[list[PortMapping], Meta(max_length=64)] = []
    """Ports of the node that lead to the Pod."""
    cni_args: Annotated[dict[str, Annotated[str, Meta(max_length=4096)]], Meta(max_length=64)] = {}
    """Arguments for CNI plugins (``args.cni``), each value as JSON."""
    device_id: Annotated[str, Meta(max_length=253)] = field(name="deviceID", default="")
    """The device to attach."""
    infiniband_guid: Guid | None = field(name="infinibandGUID", default=None)
    """GUID of an InfiniBand interface, for CNI plugins that declare the capability infinibandGUID."""
    no_other_default_routes: bool = False
    """Whether the Pod keeps only those default routes that its list asks for; without one, it has none at all."""


class AttachmentConfig(Model, frozen=True, kw_only=True):
    """AttachmentConfig holds the parameters of a PodNetworkAttachment to a network of our provider."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("has(self.spec) == has(oldSelf.spec)", "spec is immutable: create another AttachmentConfig",
             "FieldValueForbidden", ".spec"),
    )  # fmt: skip

    resource: ClassVar[Resource] = Resource(
        "AttachmentConfig",
        "attachmentconfigs",
        names.KNI_GROUP,
        names.VERSION,
        True,
        ("attcfg",),
        (Column("Addresses", ".spec.addresses"), Column("MAC", ".spec.mac")),
        (),
    )
    metadata: ObjectMeta
    spec: AttachmentConfigSpec = AttachmentConfigSpec()
    """What the attachment asks for."""


class AttachmentCount(Model, frozen=True, kw_only=True, omit_defaults=False):
    """How many attachments a node carries."""

    capacity: Count = 0
    """The most that it can carry."""
    used: Count = 0
    """How many it carries now."""


class AddressCount(Model, frozen=True, kw_only=True, omit_defaults=False):
    """Addresses that a node can give at once, out of the blocks that it holds."""

    free4: Count = 0
    """IPv4 addresses."""
    free6: Count = 0
    """IPv6 addresses (at most 2^31)."""


class NodeNetworkEntry(Model, frozen=True, kw_only=True):
    """One network as this node has it."""

    list_key: ClassVar[str] = "name"

    name: Name
    """Name of the PodNetwork."""
    config: Annotated[str, Meta(max_length=253)] = ""
    """Name of its NetworkConfig."""
    ready: bool = False
    """Whether a Pod can attach here."""
    reason: Annotated[str, Meta(max_length=64)] = ""
    """Why not, in one word of podnet_api.reasons; Ready when it can."""
    message: Text = ""
    """Why not, for people."""
    uplink: Annotated[str, Meta(max_length=15)] = ""
    """The node's interface that carries the network."""
    attachments: AttachmentCount = AttachmentCount()
    """Attachments on this node."""
    addresses: AddressCount = AddressCount()
    """Addresses free on this node."""
    numa_nodes: Annotated[list[Annotated[int, Meta(ge=0, le=29)]], Meta(max_length=30, extra_json_schema=SET)] = []
    """NUMA nodes of the devices that carry the network; empty: it has none, or they are not known."""


class NodeNetworkStatus(Model, frozen=True, kw_only=True):
    """What a node has."""

    networks: Annotated[list[NodeNetworkEntry], Meta(max_length=1000)] = []
    """Every PodNetwork of our provider that selects this node, by name."""
    summary: Annotated[str, Meta(max_length=64)] = ""
    """How many of them are ready, for ``kubectl get``, e.g. ``2 of 3 ready``."""


class NodeNetwork(Model, frozen=True, kw_only=True):
    """NodeNetwork lists the networks that one node has. The KNI server of the node of the same name writes it."""

    resource: ClassVar[Resource] = Resource(
        "NodeNetwork",
        "nodenetworks",
        names.KNI_GROUP,
        names.VERSION,
        False,
        ("nn",),
        (Column("Networks", ".status.summary"),),
        (),
    )
    metadata: ObjectMeta
    status: NodeNetworkStatus = NodeNetworkStatus()
    """What the node has."""


class Member(Model, frozen=True, kw_only=True):
    """A Pod of a StatefulSet, which comes back under the same name, and one of its interfaces."""

    namespace: Annotated[str, Meta(min_length=1, max_length=63)]
    """Namespace of the StatefulSet and the Pod."""
    stateful_set: Name
    """Name of the StatefulSet."""
    pod: Name
    """Name of the Pod: that of the StatefulSet and an ordinal number."""
    interface: InterfaceName
    """Name of the interface in the Pod: a Pod may have two on one NetworkConfig."""


class IPBlockSpec(Model, frozen=True, kw_only=True):
    """Which addresses are claimed by whom. Immutable, a block is claimed and deleted, but for one thing: a
    single address that is kept for a member of a StatefulSet moves with it from node to node."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("self.networkConfig == oldSelf.networkConfig && self.cidr == oldSelf.cidr && "
             "has(self.holder) == has(oldSelf.holder) && (!has(self.holder) || self.holder == oldSelf.holder)",
             "a block is claimed and deleted, never changed", "FieldValueForbidden"),
        Rule("self.nodeName == oldSelf.nodeName || has(oldSelf.holder)",
             "only an address that is kept for a holder moves to another node", "FieldValueForbidden", ".nodeName"),
        Rule("isCIDR(self.cidr)", "cidr must be a subnet", path=".cidr"),
        Rule("!has(self.holder) || !isCIDR(self.cidr) || "
             "cidr(self.cidr).prefixLength() == (cidr(self.cidr).ip().family() == 4 ? 32 : 128)",
             "a holder has a single address", path=".cidr"),
    )  # fmt: skip

    network_config: Name
    """The NetworkConfig whose pool this is a part of."""
    cidr: Cidr
    """The addresses."""
    node_name: Name
    """The node that leases them; with ``holder``: the node where the holder was attached last."""
    holder: Member | None = None
    """Whom the address is kept for, also while no such Pod runs; absent: nobody in particular."""


class IPBlock(Model, frozen=True, kw_only=True):
    """IPBlock is a part of a pool, claimed by one node. Its name is derived from pool and CIDR, so that the
    API server's uniqueness of names is the lock: a second claim of the same addresses cannot be created."""

    resource: ClassVar[Resource] = Resource(
        "IPBlock",
        "ipblocks",
        names.KNI_GROUP,
        names.VERSION,
        False,
        ("ipb",),
        (
            Column("Config", ".spec.networkConfig"),
            Column("CIDR", ".spec.cidr"),
            Column("Node", ".spec.nodeName"),
            Column("Holder", ".spec.holder.pod"),
        ),
        (
            ".spec.nodeName",
            ".spec.networkConfig",
        ),
    )
    metadata: ObjectMeta
    spec: IPBlockSpec
    """The claim."""


def config_name(network: multinetwork.PodNetwork) -> str:
    """The NetworkConfig that a PodNetwork of our provider references, or ``""`` when it references anything else."""
    refs = network.spec.parameters_refs
    ours = [ref for ref in refs if (ref.group, ref.kind) == (names.KNI_GROUP, "NetworkConfig")]
    return ours[0].name if len(refs) == 1 and ours else ""
