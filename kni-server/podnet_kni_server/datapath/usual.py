"""The messages of the usual attach, packed whole: veths with a MAC address and an MTU, addresses, routes. Pure.

links.py and inet.py make the samples; here they are filled in. attach.py sends them, and goes the ordinary way
whenever a Pod wants more than this.
"""

import dataclasses
import functools
import random
import struct
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

from podnet_kni_server.datapath import inet, links, netlink
from podnet_kni_server.datapath.channel import Request
from podnet_kni_server.datapath.model import Interface, Link, Route
from podnet_kni_server.datapath.template import Template

FIRST_INDEX, INDEX_BITS = 1 << 20, 30
"""Indices that we choose; the kernel's own count up from 1."""
_INDEX_MASK = (1 << INDEX_BITS) - 1
_SHAPES = 256
"""Of batches that are kept ready: a node's networks have few."""


def _sample(request: Request, flags: int = 0) -> tuple[int, int, bytes]:
    return request.kind, request.flags | flags, request.body


_FOUR, _SIX = IPv4Interface("10.1.2.3/24"), IPv6Interface("fd00:1::1:2/64")
_LINK = Link("veth", "p" * 15, "h" * 15, "b", "02:00:00:00:00:01", 1500, (_FOUR, _SIX))
_GUARDED = dataclasses.replace(_LINK, anti_spoof=True)
# Of both names the whole field of 16 bytes is sent: the kernel takes the zeros behind a shorter one.
_PAIR_FIELDS = "4xi8x 4x16s 4xI 4xI 8x 24x 4xi8x 4x16s 4x6s2x 8x 4xI 4xI"
_PAIR, _GUARDED_PAIR = (
    Template(_sample(links.make_veth(link, 1, 1, 1, 1), netlink.ACK), _PAIR_FIELDS) for link in (_LINK, _GUARDED)
)
_UP = Template(_sample(links.set_up(1, "")), "4xi8x")
_READ = Template(_sample(links.get(1, "")), "4xi8x 8x")
_READ_ADDRESSES = Template(_sample(inet.get_addresses()), "8x")
_ADDRESS4 = Template(_sample(inet.add_address(1, "", _FOUR)), "xBxxI 4x4s 4x4s 4x4s")
_ADDRESS4_ALONE = Template(_sample(inet.add_address(1, "", IPv4Interface("10.1.2.3/32"))), "xBxxI 4x4s 4x4s")
_ADDRESS6 = Template(_sample(inet.add_address(1, "", _SIX)), "xBxxI 4x16s")
_TO4 = Route(IPv4Network("10.2.0.0/16"), IPv4Address("10.1.2.1"))
_TO6 = Route(IPv6Network("fd00:2::/64"), IPv6Address("fd00:1::1"))
_ROUTE4 = Template(_sample(inet.add_route(1, "", _TO4, (_FOUR,))), "xB6xI 4xI 4x4s 4x4s")
_ROUTE6 = Template(_sample(inet.add_route(1, "", _TO6, (_SIX,))), "xB6xI 4xI 4x16s 4x16s")
_SEEN4, _SEEN6 = struct.Struct("=BBBBIHH4sHH4s"), struct.Struct("=BBBBIHH16s")
"""How an address that was added begins in what the kernel tells."""
_PERMANENT, _NO_DAD = 0x80, 0x02
_HEAD = struct.Struct("=4xH14xiI")
"""Kind of a message that was read about a link, index and flags of the link."""
_MAC_HEADER = netlink.attr(links.ADDRESS, bytes(6))[:4]
_u32 = struct.Struct("=HHI").pack

Indices = tuple[int, int]
"""Of the host end and of the link in the Pod."""


def fits(wanted: Sequence[Link]) -> bool:
    """Whether these links are made by the messages here and by no others."""
    for link in wanted:
        if link.kind != "veth" or not link.mac or not link.mtu or link.extras is not None:
            return False
        if link.default_gateways or link.vlan or link.hairpin or link.isolated:
            return False
        for route in link.routes:
            if route.gateway is None or not route.destination.prefixlen:
                return False
    return bool(wanted)


def draw(count: int) -> list[Indices]:
    """Indices for new pairs."""
    bits = [random.getrandbits(2 * INDEX_BITS) for _ in range(count)]
    return [(FIRST_INDEX + (one >> INDEX_BITS), FIRST_INDEX + (one & _INDEX_MASK)) for one in bits]


def pairs(
    wanted: Sequence[Link], indices: Sequence[Indices], masters: Sequence[int], netns: int, sequence: int
) -> bytes:
    """links.make_veth for each link, with sequence numbers from `sequence` on, all acknowledged."""
    made: list[bytes] = []
    for link, (host, index), master in zip(wanted, indices, masters, strict=True):
        template, mac, mtu = _GUARDED_PAIR if link.anti_spoof else _PAIR, links.mac_bytes(link.mac), link.mtu
        names = link.host_name.encode(), link.name.encode()
        made.append(template.fill(sequence, host, names[0], mtu, master, index, names[1], mac, mtu, netns))
        sequence += 1
    return b"".join(made)


def settings(wanted: Sequence[Link], indices: Sequence[Indices], sequence: int) -> tuple[bytes, int]:
    """The batch inside the namespace, and its last sequence number: up, addresses and routes of each link, reading
    each, reading all addresses. In the order of prepare.py."""
    shape: list[Template] = []
    values: list[int | bytes] = []
    for link, (_, index) in zip(wanted, indices, strict=True):
        addresses = link.addresses
        shape.append(_UP)
        values += (sequence, index)
        for address in addresses:
            sequence += 1
            shape.append(_put_address(values, address, index, sequence))
        for route in link.routes:
            sequence += 1
            shape.append(_put_route(values, route, addresses, index, sequence))
        sequence += 1
    for _, index in indices:
        shape.append(_READ)
        values += (sequence, index)
        sequence += 1
    shape.append(_READ_ADDRESSES)
    values.append(sequence)
    return _batch(tuple(shape)).fill(*values), sequence


@functools.lru_cache(_SHAPES)
def _batch(shape: tuple[Template, ...]) -> Template:
    return Template.joined(shape)


def _put_address(values: list[int | bytes], address: Interface, index: int, sequence: int) -> Template:
    packed, length = address.packed, address.network.prefixlen
    if address.version == 6:
        values += (sequence, length, index, packed)
        return _ADDRESS6
    if length >= 31:
        values += (sequence, length, index, packed, packed)
        return _ADDRESS4_ALONE
    broadcast = int.from_bytes(packed, "big") | (1 << 32 - length) - 1
    values += (sequence, length, index, packed, packed, broadcast.to_bytes(4, "big"))
    return _ADDRESS4


def _put_route(
    values: list[int | bytes], route: Route, addresses: Sequence[Interface], index: int, sequence: int
) -> Template:
    to, gateway = route.destination, route.gateway
    assert gateway is not None, "see fits"
    flags = inet.ONLINK if inet.needs_onlink(gateway, addresses) else 0
    values += (sequence, to.prefixlen, flags, index, to.network_address.packed, gateway.packed)
    return _ROUTE4 if to.version == 4 else _ROUTE6


def as_wanted(wanted: Sequence[Link], indices: Sequence[Indices], told: Sequence[bytes]) -> bool:
    """Whether what the batch inside read is, byte by byte, what was asked for. `told`: what came, in pieces as it came.

    If not, it has to be taken apart: another kernel may say the same in another order.
    """
    addresses = b"".join(told[len(wanted) :])
    for link, (host, index), body in zip(wanted, indices, told, strict=False):
        kind, found, flags = _HEAD.unpack_from(body)
        name = netlink.text(links.IFNAME, link.name)
        if kind != links.NEWLINK or found != index or not flags & links.IFF_UP or name not in body:
            return False
        mac = _MAC_HEADER + links.mac_bytes(link.mac)
        mtu, lower = _u32(8, links.MTU, link.mtu), _u32(8, links.LINK, host)
        if mac not in body or mtu not in body or lower not in body:
            return False
        for address in link.addresses:
            if _seen(address, index) not in addresses:
                return False
    return True


def _seen(address: Interface, index: int) -> bytes:
    packed, length = address.packed, address.network.prefixlen
    if address.version == 6:
        return _SEEN6.pack(inet.AF_INET6, length, _PERMANENT | _NO_DAD, 0, index, 20, inet.IFA_ADDRESS, packed)
    return _SEEN4.pack(
        inet.AF_INET, length, _PERMANENT, 0, index, 8, inet.IFA_ADDRESS, packed, 8, inet.IFA_LOCAL, packed
    )
