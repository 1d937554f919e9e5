"""Addresses for which the node answers ARP and NDP on an uplink: proxy entries of its neighbour tables. Pure."""

import struct

from podnet_kni_server.datapath import inet, netlink
from podnet_kni_server.datapath.channel import Request
from podnet_kni_server.datapath.model import Address

NEWNEIGH, DELNEIGH = 28, 29
_DST = 1
_PERMANENT = 0x80
_PROXY = 0x08
_HEADER = struct.Struct("=BBHiHBB")


def _entry(index: int, address: Address) -> bytes:
    head = _HEADER.pack(inet.family(address.version), 0, 0, index, _PERMANENT, _PROXY, 0)
    return head + netlink.attr(_DST, address.packed)


def add(index: int, name: str, address: Address) -> Request:
    """Answer for `address` on the interface; one that is there already stays."""
    what = ("answer for %s on %s", address, name)
    return Request(NEWNEIGH, netlink.REQUEST | netlink.CREATE, _entry(index, address), what)


def delete(index: int, address: Address) -> Request:
    """Answer no more."""
    return Request(DELNEIGH, netlink.REQUEST, _entry(index, address), ("answer for %s no more", address))
