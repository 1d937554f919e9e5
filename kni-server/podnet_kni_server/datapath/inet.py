"""rtnetlink requests about addresses and routes. Pure; numbers of if_addr.h and rtnetlink.h."""

import struct
from collections.abc import Iterable
from ipaddress import IPv4Interface, IPv6Interface, ip_address

from podnet_kni_server.datapath import netlink
from podnet_kni_server.datapath.channel import Request
from podnet_kni_server.datapath.model import Address, Interface, Network, Route

NEWADDR, DELADDR, GETADDR = 20, 21, 22
NEWROUTE, DELROUTE, GETROUTE = 24, 25, 26
CREATE = netlink.REQUEST | netlink.CREATE | netlink.EXCL
REPLACE = netlink.REQUEST | netlink.CREATE | netlink.REPLACE
AF_INET, AF_INET6, AF_UNSPEC = 2, 10, 0

_IFADDR = struct.Struct("=BBBBI")
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_PROTO = 1, 2, 4, 11
_WANTED_OF_ADDRESS = frozenset((IFA_ADDRESS, IFA_LOCAL, IFA_PROTO))
_LOCAL4, _ADDRESS4, _BROADCAST4, _ADDRESS6 = (
    netlink.attr(kind, bytes(size))[:4]
    for kind, size in ((IFA_LOCAL, 4), (IFA_ADDRESS, 4), (IFA_BROADCAST, 4), (IFA_ADDRESS, 16))
)
"""Attribute headers, made once."""
_IFA_F_NODAD = 0x02
_KERNEL_LINK_LOCAL = b"\x03"
"""IFAPROT_KERNEL_LL."""
_SCOPE_UNIVERSE, _SCOPE_LINK = 0, 253

_RTMSG = struct.Struct("=BBBBBBBBI")
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_TABLE = 1, 4, 5, 6, 15
_TABLE_MAIN = 254
_PROTO_STATIC = 4
_TYPE_UNICAST = 1
ONLINK = 4
_STATE_FLAGS = 1 | 16
"""RTNH_F_DEAD and RTNH_F_LINKDOWN: the kernel reports them and refuses them."""
_METRICS = {AF_INET: 0, AF_INET6: 1024}
"""What a route has when none is asked for."""


def family(version: int) -> int:
    """AF_INET or AF_INET6."""
    return AF_INET if version == 4 else AF_INET6


def add_address(index: int, name: str, address: Interface) -> Request:
    """An address with its prefix length; an IPv6 one is usable at once (the pool already knows it is unique)."""
    packed = address.packed
    length = address.network.prefixlen
    if address.version == 6:
        body = _IFADDR.pack(AF_INET6, length, _IFA_F_NODAD, _SCOPE_UNIVERSE, index) + _ADDRESS6 + packed
    else:
        body = _IFADDR.pack(AF_INET, length, 0, _SCOPE_UNIVERSE, index) + _LOCAL4 + packed + _ADDRESS4 + packed
        if length < 31:
            body += _BROADCAST4 + (int(address) | (1 << 32 - length) - 1).to_bytes(4, "big")
    return Request(NEWADDR, CREATE, body, ("add address %s to %s", address, name))


def add_next_hop(index: int, name: str, address: Address) -> Request:
    """An address that holds on this link alone: the next hop of the other end."""
    if address.version == 6:
        body = _IFADDR.pack(AF_INET6, _LINK_LOCAL_LENGTH, _IFA_F_NODAD, _SCOPE_LINK, index) + _ADDRESS6
        body += address.packed
    else:
        body = _IFADDR.pack(AF_INET, address.max_prefixlen, 0, _SCOPE_LINK, index) + _LOCAL4 + address.packed
    return Request(NEWADDR, CREATE, body, ("add address %s to %s", address, name))


_LINK_LOCAL_LENGTH = 64


def delete_address(index: int, name: str, address: Interface) -> Request:
    """Take an address away."""
    body = _IFADDR.pack(family(address.version), address.network.prefixlen, 0, 0, index)
    body += netlink.attr(IFA_LOCAL, address.packed)
    return Request(DELADDR, netlink.REQUEST, body, ("delete address %s of %s", address, name))


def get_addresses() -> Request:
    """Read all addresses of a namespace, of both families."""
    return _GET_ADDRESSES


_GET_ADDRESSES = Request(GETADDR, netlink.DUMP, _IFADDR.pack(AF_UNSPEC, 0, 0, 0, 0), ("list the addresses",))


def link_of_address(body: bytes) -> int:
    """Index of the link whose address was read."""
    return int(_IFADDR.unpack_from(body)[4])


def is_link_local(body: bytes) -> bool:
    """Whether an address that was read holds on its link only, as those do that the kernel makes by itself."""
    return body[0] == AF_INET6 and body[3] == _SCOPE_LINK


def is_address(body: bytes, address: Interface) -> bool:
    """Whether an address that was read is `address`, compared as bytes."""
    head = _LOCAL4 if address.version == 4 else _ADDRESS6
    return body[1] == address.network.prefixlen and head + address.packed in body


def parse_address(body: bytes) -> Interface | None:
    """An address that was read; None for a link-local one that the kernel made by itself."""
    kind, length, _, scope, _ = _IFADDR.unpack_from(body)
    found = netlink.pick(body, 8, _WANTED_OF_ADDRESS)
    packed = found.get(IFA_LOCAL) or found.get(IFA_ADDRESS)
    if packed is None:
        return None
    if kind == AF_INET:
        return IPv4Interface((packed, length))
    made_by_kernel = scope == _SCOPE_LINK and found.get(IFA_PROTO, _KERNEL_LINK_LOCAL) == _KERNEL_LINK_LOCAL
    return None if made_by_kernel else IPv6Interface((packed, length))


def _route(
    index: int, destination: Network | None, version: int, gateway: Address | None, onlink: bool, table: int = 0
) -> bytes:
    length = destination.prefixlen if destination is not None else 0
    scope = _SCOPE_LINK if gateway is None and version == 4 else _SCOPE_UNIVERSE
    flags = ONLINK if onlink else 0
    body = _RTMSG.pack(
        family(version), length, 0, 0, 0 if table else _TABLE_MAIN, _PROTO_STATIC, scope, _TYPE_UNICAST, flags
    ) + netlink.u32(RTA_OIF, index)  # fmt: skip
    if table:
        body += netlink.u32(RTA_TABLE, table)
    if destination is not None and length:
        body += netlink.attr(RTA_DST, destination.network_address.packed)
    if gateway is not None:
        body += netlink.attr(RTA_GATEWAY, gateway.packed)
    return body


def needs_onlink(gateway: Address | None, addresses: Iterable[Interface]) -> bool:
    """Whether the kernel must be told that the gateway is on the link: no address of the link covers it."""
    if gateway is None or (gateway.version == 6 and gateway.is_link_local):
        return False
    return not any(a.version == gateway.version and gateway in a.network for a in addresses)


def add_route(index: int, name: str, route: Route, addresses: Iterable[Interface], table: int = 0) -> Request:
    """A route over the link, in the main table or in another."""
    destination = route.destination
    onlink = needs_onlink(route.gateway, addresses)
    body = _route(index, destination, destination.version, route.gateway, onlink, table)
    return Request(NEWROUTE, CREATE, body, ("add route to %s over %s", destination, name))


def default_route(index: int, name: str, gateway: Address, addresses: Iterable[Interface]) -> Request:
    """The default route of the gateway's family, in place of the one with the usual metric."""
    body = _route(index, None, gateway.version, gateway, needs_onlink(gateway, addresses))
    return Request(NEWROUTE, REPLACE, body, ("set the default route over %s through %s", name, gateway))


def get_routes(version: int) -> Request:
    """Read all routes of a family."""
    body = _RTMSG.pack(family(version), 0, 0, 0, 0, 0, 0, 0, 0)
    return Request(GETROUTE, netlink.DUMP, body, ("list the routes",))


def table_of(body: bytes) -> int:
    """The number of the table that a route that was read stands in."""
    return netlink.number(netlink.attributes(body, 12).get(RTA_TABLE, b"")) or int(_RTMSG.unpack_from(body)[4])


def is_default(body: bytes) -> bool:
    """Whether a route that was read is a default route of the main table."""
    _, length, _, _, table, _, _, kind, _ = _RTMSG.unpack_from(body)
    return bool(length == 0 and table == _TABLE_MAIN and kind == _TYPE_UNICAST)


def is_main(body: bytes) -> bool:
    """Whether a route that was read is one of the main table."""
    return bool(_RTMSG.unpack_from(body)[4] == _TABLE_MAIN)


def has_usual_metric(body: bytes) -> bool:
    """Whether a route that was read would be replaced by default_route, having the metric of that one."""
    priority = netlink.attributes(body, 12).get(RTA_PRIORITY, b"\0")
    return netlink.number(priority) == _METRICS.get(body[0])


def restore_route(body: bytes) -> Request:
    """Make a route again that was read before it was replaced."""
    fields = _RTMSG.unpack_from(body)
    clean = _RTMSG.pack(*fields[:8], fields[8] & ~_STATE_FLAGS) + body[12:]
    return Request(NEWROUTE, netlink.REQUEST | netlink.CREATE, clean, ("put back the default route",))


def delete_route(body: bytes) -> Request:
    """Delete a route that was read."""
    return Request(DELROUTE, netlink.REQUEST, body, ("delete the former default route",))


def delete_route_to(index: int, name: str, destination: Network) -> Request:
    """Delete a route on the link."""
    body = _route(index, destination, destination.version, None, False)
    return Request(DELROUTE, netlink.REQUEST, body, ("delete route to %s over %s", destination, name))


def parse_route(body: bytes) -> tuple[int, int, str, int, Address | None]:
    """(family, index of the link, destination's bytes as text and length, gateway) of a route that was read."""
    kind, length, _, _, _, _, _, _, _ = _RTMSG.unpack_from(body)
    found = netlink.attributes(body, 12)
    gateway = found.get(RTA_GATEWAY)
    destination = found.get(RTA_DST)
    return (
        kind,
        netlink.number(found.get(RTA_OIF, b"")),
        str(ip_address(destination)) if destination else "",
        length,
        ip_address(gateway) if gateway else None,
    )
