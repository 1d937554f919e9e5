"""Tell the neighbours where a new link's addresses live: gratuitous ARP and unsolicited neighbour advertisement.

An address may have belonged to another Pod a moment ago. Sent a little after the attach, outside of its
time, by a thread of its own: the carrier and the bridge port need that moment. Frames are pure; send() runs
inside the namespace.
"""

import contextlib
import fcntl
import socket
import struct
from collections.abc import Iterator, Sequence

from podnet_kni_server.datapath import guest, links
from podnet_kni_server.datapath.model import Link

DELAY = 0.05
"""Seconds from the attach to the announcement."""
_SIOCGIFHWADDR, _IFREQ_SIZE, _HWADDR_AT = 0x8927, 40, 18
_BROADCAST = b"\xff" * 6
_ALL_NODES_MAC = bytes.fromhex("333300000001")
_ALL_NODES = bytes.fromhex("ff020000000000000000000000000001")
_ARP, _IPV6 = b"\x08\x06", b"\x86\xdd"
_ARP_HEAD = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)
_ICMPV6, _ADVERTISEMENT, _OVERRIDE, _TARGET_MAC = 58, 136, 0x20000000, 2


def frames(link: Link, mac: bytes) -> Iterator[bytes]:
    """One frame for each address of the link; a guest announces its addresses itself."""
    for address in guest.own(link).addresses:
        yield gratuitous_arp(mac, address.packed) if address.version == 4 else advertisement(mac, address.packed)


def gratuitous_arp(mac: bytes, address: bytes) -> bytes:
    """A question for the sender's own address."""
    return (_BROADCAST + mac + _ARP + _ARP_HEAD + mac + address + bytes(6) + address).ljust(60, b"\0")


def advertisement(mac: bytes, address: bytes) -> bytes:
    """A neighbour advertisement to all nodes that overrides what they knew."""
    body = struct.pack("!I", _OVERRIDE) + address + bytes((_TARGET_MAC, 1)) + mac
    pseudo = address + _ALL_NODES + struct.pack("!II", len(body) + 4, _ICMPV6)
    own = checksum(pseudo + bytes((_ADVERTISEMENT, 0, 0, 0)) + body)
    icmp = struct.pack("!BBH", _ADVERTISEMENT, 0, own) + body
    head = struct.pack("!IHBB", 6 << 28, len(icmp), _ICMPV6, 255) + address + _ALL_NODES
    return _ALL_NODES_MAC + mac + _IPV6 + head + icmp


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def send(wanted: Sequence[Link]) -> None:
    """Announce the addresses of links. Nothing depends on it: a link that went away is passed over."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC) as mouth:
        for link in wanted:
            with contextlib.suppress(OSError):
                mac = links.mac_bytes(link.mac) if link.mac else _mac(mouth, link.name)
                for frame in frames(link, mac):
                    mouth.sendto(frame, (link.name, 0))


def _mac(control: socket.socket, name: str) -> bytes:
    """The MAC address that a link has, where we did not choose it."""
    answer = fcntl.ioctl(control, _SIOCGIFHWADDR, name.encode().ljust(_IFREQ_SIZE, b"\0"))
    return answer[_HWADDR_AT : _HWADDR_AT + 6]
