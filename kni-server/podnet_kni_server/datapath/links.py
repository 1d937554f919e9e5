"""rtnetlink requests about links: make, set, delete, read. Pure; numbers of include/uapi/linux/if_link.h."""

import struct
from collections.abc import Collection, Iterable
from ipaddress import IPv4Address, IPv6Address

from podnet_kni_server.datapath import netlink
from podnet_kni_server.datapath.channel import Request
from podnet_kni_server.datapath.model import HOST_PREFIX, Link

NEWLINK, DELLINK, GETLINK = 16, 17, 18
CREATE = netlink.REQUEST | netlink.CREATE | netlink.EXCL

IFF_UP, IFF_LOWER_UP = 0x1, 0x10000
(ADDRESS, IFNAME, MTU, LINK, MASTER, LINKINFO, IFALIAS, GROUP, NET_NS_FD, EXT_MASK, AF_SPEC) = (
    1, 3, 4, 5, 10, 18, 20, 27, 28, 29, 26,
)  # fmt: skip
INFO_KIND, INFO_DATA, INFO_SLAVE_KIND, INFO_SLAVE_DATA = 1, 2, 4, 5
SKIP_STATS = 1 << 3
"""RTEXT_FILTER_SKIP_STATS: counting is the dear part of reading a link."""
_PEER = 1
_MACVLAN_MODE = 1
_MACVLAN_MODES = {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8}
_PORT_HAIRPIN, _PORT_ISOLATED = 4, 33
_AF_INET6, _ADDR_GEN_MODE, _ADDR_GEN_NONE = 10, 8, 1

# Groups mark what is ours, in the kernel itself. A group can also be matched by nftables and deleted at once.
GROUP_PORT = 0x706E01
GROUP_GUARDED = 0x706E02
"""A port whose frames are checked (spoof.py)."""
GROUP_POD = 0x706E03
"""The end inside a Pod, and macvlans."""
GROUP_NODE = 0x706E04
"""Bridges and VXLAN devices."""
GROUP_DOOMED = 0x706E05
"""About to be deleted."""
HOST_GROUPS = (GROUP_PORT, GROUP_GUARDED, GROUP_DOOMED)

_HEADER = struct.Struct("=BxHiII")
_head = struct.Struct("=HH").pack
# Parts of the message of every attach, made once.
_VETH = netlink.text(INFO_KIND, "veth")
_KINDS = {kind: netlink.text(INFO_KIND, kind) for kind in ("veth", "macvlan")}
_MAC_HEADER = netlink.attr(ADDRESS, bytes(6))[:4]
_AFTER_MAC = b"\0\0" + netlink.u32(GROUP, GROUP_POD)
_PORT_GROUP, _GUARDED_GROUP = netlink.u32(GROUP, GROUP_PORT), netlink.u32(GROUP, GROUP_GUARDED)
_SKIP_STATS = netlink.u32(EXT_MASK, SKIP_STATS)


def header(index: int = 0, flags: int = 0, change: int = 0, family: int = 0) -> bytes:
    """struct ifinfomsg."""
    return _HEADER.pack(family, 0, index, flags, change)


def mac_bytes(mac: str) -> bytes:
    """A MAC address as it crosses the wire."""
    return bytes.fromhex(mac.replace(":", ""))


def make_veth(link: Link, host: int, pod: int, master: int, netns: int) -> Request:
    """The pair at once: `host` up and a port of `master`, its peer `pod` inside the namespace.

    Both indices are chosen by us, so that what follows needs no lookup. The kernel does not create a peer up.
    """
    mtu = netlink.u32(MTU, link.mtu)
    peer = b"".join(
        (
            header(pod),
            netlink.text(IFNAME, link.name),
            _MAC_HEADER,
            mac_bytes(link.mac),
            _AFTER_MAC,
            mtu,
            netlink.u32(NET_NS_FD, netns),
        )
    )
    # LINKINFO { "veth", INFO_DATA { PEER { peer } } }
    inner = len(peer) + 4
    body = (
        header(host, IFF_UP, IFF_UP),
        netlink.text(IFNAME, link.host_name),
        mtu,
        netlink.u32(MASTER, master),
        _GUARDED_GROUP if link.anti_spoof else _PORT_GROUP,
        _head(inner + 4 + len(_VETH) + 4, LINKINFO | netlink.NESTED),
        _VETH,
        _head(inner + 4, INFO_DATA | netlink.NESTED),
        _head(inner, _PEER | netlink.NESTED),
        peer,
    )
    return Request(NEWLINK, CREATE, b"".join(body), ("make %s on %s", link.name, link.master))


def marks(link: Link, lower: int) -> tuple[bytes, ...]:
    """Attributes, as bytes, that reading the link in the Pod gives when it is as wanted, upon `lower`."""
    return (
        netlink.text(IFNAME, link.name),
        _MAC_HEADER + mac_bytes(link.mac),
        netlink.u32(MTU, link.mtu),
        netlink.u32(LINK, lower),
        _KINDS[link.kind],
    )


def set_port(link: Link, host: int) -> Request:
    """Hairpin and isolation of a bridge port; they cannot ride on the message that makes it."""
    data = netlink.nested(
        INFO_SLAVE_DATA,
        netlink.u8(_PORT_HAIRPIN, link.hairpin),
        netlink.u8(_PORT_ISOLATED, link.isolated),
    )
    info = netlink.nested(LINKINFO, netlink.text(INFO_SLAVE_KIND, "bridge"), data)
    what = ("set hairpin and isolation of %s on %s", link.name, link.master)
    return Request(NEWLINK, netlink.REQUEST, header(host) + info, what)


def port_of(slave: bytes) -> tuple[bool, bool]:
    """Hairpin and isolation of a bridge port, out of what was read of it."""
    found = netlink.attributes(slave)
    hairpin, isolated = (netlink.number(found.get(kind, b"")) for kind in (_PORT_HAIRPIN, _PORT_ISOLATED))
    return bool(hairpin), bool(isolated)


def set_vlan(link: Link, host: int) -> list[Request]:
    """The port `host` in the access VLAN of `link` and in no other (linux/if_bridge.h): frames without a tag."""
    what = ("put %s into VLAN %s", link.name, link.vlan)
    clear = set_vlans(host, ((_FIRST_VLAN, _RANGE_BEGIN), (_LAST_VLAN, _RANGE_END)), what, kind=DELLINK)
    return [clear, set_vlans(host, ((link.vlan, ACCESS_VLAN),), what)]


def set_vlans(
    index: int,
    vlans: Iterable[tuple[int, int]],
    what: tuple[object, ...],
    *,
    kind: int = NEWLINK,
    of_bridge: bool = False,
) -> Request:
    """Add VLANs with their flags to a port, or to the bridge itself; `kind` DELLINK: take them away."""
    flags = netlink.u16(_BRIDGE_FLAGS, _BRIDGE_FLAGS_SELF) if of_bridge else b""
    infos = (netlink.attr(_BRIDGE_VLAN_INFO, _VLAN_INFO.pack(mark, vid)) for vid, mark in vlans)
    family = header(index, family=_AF_BRIDGE)
    number = _SETLINK if kind == NEWLINK else kind
    return Request(number, netlink.REQUEST, family + netlink.nested(AF_SPEC, flags, *infos), what)


def get_vlans() -> Request:
    """Read the VLANs of all bridges and ports."""
    body = header(family=_AF_BRIDGE) + netlink.u32(EXT_MASK, _EXT_VLANS)
    return Request(GETLINK, netlink.DUMP, body, ("list the VLANs of bridges",))


def parse_vlans(body: bytes) -> tuple[int, dict[int, int]]:
    """(index of the port, its VLANs with their flags) of what get_vlans gives."""
    index: int = _HEADER.unpack_from(body)[2]
    spec = netlink.attributes(body, 16).get(AF_SPEC, b"")
    return index, {
        vid: flags for kind, value in netlink.each(spec) if kind == _BRIDGE_VLAN_INFO
        for flags, vid in (_VLAN_INFO.unpack_from(value),)
    }  # fmt: skip


TAGGED_VLAN, ACCESS_VLAN = 0, 2 | 4
"""Flags of a VLAN of a port: none; or BRIDGE_VLAN_INFO_PVID and _UNTAGGED."""
_RANGE_BEGIN, _RANGE_END = 8, 16
_FIRST_VLAN, _LAST_VLAN = 1, 4094
_SETLINK, _AF_BRIDGE, _EXT_VLANS = 19, 7, 1 << 1
_BRIDGE_FLAGS, _BRIDGE_VLAN_INFO, _BRIDGE_FLAGS_SELF = 0, 2, 2
_VLAN_INFO = struct.Struct("=HH")


def make_macvlan(link: Link, pod: int, uplink: int, netns: int) -> Request:
    """A macvlan on `uplink`, made inside the namespace by a message on the node's side."""
    return make_upon(link, pod, uplink, netns, "macvlan", macvlan_data(link.mode))


def macvlan_data(mode: str) -> bytes:
    """Attributes of a macvlan or macvtap."""
    return netlink.u32(_MACVLAN_MODE, _MACVLAN_MODES[mode])


def ipvlan_data(mode: str) -> bytes:
    """Attributes of an ipvlan."""
    return netlink.u16(_IPVLAN_MODE, _IPVLAN_MODES[mode])


def vlan_data(vid: int) -> bytes:
    """Attributes of a VLAN device."""
    return netlink.u16(_VLAN_ID, vid)


_IPVLAN_MODE, _VLAN_ID = 1, 1
_IPVLAN_MODES = {"l2": 0, "l3": 1, "l3s": 2}


def make_upon(link: Link, pod: int, lower: int, netns: int, kind: str, data: bytes) -> Request:
    """A link of `kind` upon `lower` of the node, made inside the namespace by a message on the node's side."""
    body = (
        header(pod),
        netlink.text(IFNAME, link.name),
        netlink.attr(ADDRESS, mac_bytes(link.mac)) if link.mac else b"",
        netlink.u32(MTU, link.mtu) if link.mtu else b"",
        netlink.u32(LINK, lower),
        netlink.u32(GROUP, GROUP_POD),
        netlink.u32(NET_NS_FD, netns),
        netlink.nested(LINKINFO, netlink.text(INFO_KIND, kind), netlink.nested(INFO_DATA, data)),
    )
    return Request(NEWLINK, CREATE, b"".join(body), ("make %s on %s", link.name, link.master))


def make(name: str, kind: str, data: bytes, *extra: bytes, group: int = GROUP_NODE) -> Request:
    """A link of `kind`, marked as ours; `data` are the attributes of the kind."""
    body = (
        header(),
        netlink.text(IFNAME, name),
        netlink.u32(GROUP, group),
        *extra,
        netlink.nested(LINKINFO, netlink.text(INFO_KIND, kind), netlink.nested(INFO_DATA, data)),
    )
    return Request(NEWLINK, CREATE, b"".join(body), ("make the %s %s", kind, name))


def change(index: int, what: tuple[object, ...], *parts: bytes, up: bool | None = None) -> Request:
    """Set attributes of a link, and set it up or down."""
    flags = (0, 0) if up is None else (IFF_UP if up else 0, IFF_UP)
    return Request(NEWLINK, netlink.REQUEST, header(index, *flags) + b"".join(parts), what)


def set_up(index: int, name: str) -> Request:
    """Set a link up."""
    return Request(NEWLINK, netlink.REQUEST, header(index, IFF_UP, IFF_UP), ("set %s up", name))


def no_link_local() -> bytes:
    """Attribute: the kernel gives the link no IPv6 address by itself."""
    inet6 = netlink.nested(_AF_INET6, netlink.u8(_ADDR_GEN_MODE, _ADDR_GEN_NONE))
    return netlink.nested(AF_SPEC, inet6)


def delete(index: int, name: str) -> Request:
    """Delete one link."""
    return Request(DELLINK, netlink.REQUEST, header(index), ("delete %s", name))


def delete_named(name: str) -> Request:
    """Delete the link of this name."""
    return Request(DELLINK, netlink.REQUEST, header() + netlink.text(IFNAME, name), ("delete %s", name))


def doom(name: str) -> Request:
    """Put a link into the group that delete_doomed removes."""
    body = header() + netlink.text(IFNAME, name) + netlink.u32(GROUP, GROUP_DOOMED)
    return Request(NEWLINK, netlink.REQUEST, body, ("mark %s for deletion", name))


def delete_doomed(names: Collection[str]) -> Request:
    """Delete the whole group: 32 links cost hardly more than one (a grace period of the kernel each message)."""
    body = header() + netlink.u32(GROUP, GROUP_DOOMED)
    return Request(DELLINK, netlink.REQUEST, body, ("delete %s", ", ".join(sorted(names))))


def forwarding() -> bytes:
    """The attribute with what IPv4 needs of the node's end of a routed link: forwarding, no redirects (two Pods are
    never neighbours of each other), and no frame from an address that is not routed there."""
    conf = (netlink.u32(_FORWARDING, 1), netlink.u32(_SEND_REDIRECTS, 0), netlink.u32(_RP_FILTER, 1))
    return netlink.nested(AF_SPEC, netlink.nested(_AF_INET, netlink.nested(_INET_CONF, *conf)))


_AF_INET, _INET_CONF = 2, 1
_FORWARDING, _SEND_REDIRECTS, _RP_FILTER = 1, 6, 8


def get(index: int, name: str) -> Request:
    """Read one link."""
    body = header(index) + _SKIP_STATS
    return Request(GETLINK, netlink.REQUEST, body, ("read %s", name))


def get_named(name: str) -> Request:
    """Read the link of this name."""
    body = header() + netlink.text(IFNAME, name) + _SKIP_STATS
    return Request(GETLINK, netlink.REQUEST, body, ("read %s", name))


def get_all() -> Request:
    """Read all links of a namespace."""
    body = header() + _SKIP_STATS
    return Request(GETLINK, netlink.DUMP, body, ("list the links",))


def ours(name: str, group: int) -> bool:
    """Whether a link of the node is a host end of ours: both marks must fit."""
    return name.startswith(HOST_PREFIX) and group in HOST_GROUPS


def vxlan_data(vni: int, port: int, local: IPv4Address | IPv6Address) -> bytes:
    """Attributes of a VXLAN device: learning, any underlay link, flooding by its FDB entries."""
    return b"".join(
        (
            netlink.u32(VXLAN_ID, vni),
            netlink.attr(VXLAN_LOCAL if local.version == 4 else VXLAN_LOCAL6, local.packed),
            netlink.u8(VXLAN_LEARNING, 1),
            netlink.attr(VXLAN_PORT, port.to_bytes(2, "big")),
        )
    )


VXLAN_ID, VXLAN_LOCAL, VXLAN_LEARNING, VXLAN_PORT, VXLAN_LOCAL6 = 1, 4, 7, 15, 17


def filters_vlans(data: bytes) -> bool:
    """Whether a bridge with these attributes filters VLANs."""
    return netlink.number(netlink.attributes(data).get(BR_VLAN_FILTERING, b"")) == 1


BR_VLAN_FILTERING = 7


def bridge_data() -> bytes:
    """Attributes of a bridge: no spanning tree, ports forward at once, IP tables of the node left out."""
    return b"".join(
        (
            netlink.u32(_BR_FORWARD_DELAY, 0),
            netlink.u32(_BR_STP, 0),
            netlink.u8(_BR_NF_IPTABLES, 0),
            netlink.u8(_BR_NF_IP6TABLES, 0),
            netlink.u8(_BR_NF_ARPTABLES, 0),
        )
    )


_BR_FORWARD_DELAY, _BR_STP, _BR_NF_IPTABLES, _BR_NF_IP6TABLES, _BR_NF_ARPTABLES = 1, 5, 36, 37, 38
