"""Forwarding entries of a VXLAN device: one for "whatever is unknown" to each peer (head-end replication).

Requests and parsing are pure; sync() compares with the kernel and changes the difference.
"""

import struct
from collections.abc import Collection
from ipaddress import ip_address

from podnet_kni_server.datapath import links, netlink
from podnet_kni_server.datapath.channel import Channel, Request
from podnet_kni_server.datapath.model import Address

NEWNEIGH, DELNEIGH, GETNEIGH = 28, 29, 30
_AF_BRIDGE = 7
_DST, _LLADDR = 1, 2
_PERMANENT, _NOARP = 0x80, 0x40
_SELF = 0x02
_FLOOD = bytes(6)
_HEADER = struct.Struct("=BBHiHBB")


def _entry(kind: int, flags: int, index: int, peer: Address, what: tuple[object, ...]) -> Request:
    body = _HEADER.pack(_AF_BRIDGE, 0, 0, index, _PERMANENT | _NOARP, _SELF, 0)
    body += netlink.attr(_DST, peer.packed) + netlink.attr(_LLADDR, _FLOOD)
    return Request(kind, netlink.REQUEST | flags, body, what)


def add(index: int, name: str, peer: Address) -> Request:
    """Flood to `peer` too."""
    return _entry(NEWNEIGH, netlink.CREATE | netlink.APPEND, index, peer, ("add peer %s to %s", peer, name))


def delete(index: int, name: str, peer: Address) -> Request:
    """Flood to `peer` no more."""
    return _entry(DELNEIGH, 0, index, peer, ("remove peer %s from %s", peer, name))


def get(index: int, name: str) -> Request:
    """Read the entries of a device."""
    return Request(GETNEIGH, netlink.DUMP, links.header(index, family=_AF_BRIDGE), ("list the peers of %s", name))


def parse_peer(body: bytes, index: int) -> Address | None:
    """The peer of a flooding entry of the device; None for any other entry."""
    found = netlink.attributes(body, _HEADER.size)
    if _HEADER.unpack_from(body)[3] != index or found.get(_LLADDR) != _FLOOD or _DST not in found:
        return None
    return ip_address(found[_DST])


def sync(channel: Channel, index: int, name: str, wanted: Collection[Address]) -> None:
    """Make the device flood to `wanted` and nobody else."""
    parsed = (parse_peer(body, index) for body in channel.dump(get(index, name)))
    present = {peer for peer in parsed if peer is not None}
    new, old = set(wanted) - present, present - set(wanted)
    channel.run(*(add(index, name, peer) for peer in new), *(delete(index, name, peer) for peer in old))
