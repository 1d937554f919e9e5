"""Which ports processes of the node listen on, as /proc/net tells it. A port that led to a Pod would hide them."""

import sys
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address

from podnet_kni_server.datapath.model import Address
from podnet_kni_server.details import PortRecord

_PROC = "/proc/thread-self/net/"
_LISTENS = {"tcp": "0A", "udp": "07"}
"""State of a socket that takes what comes: TCP_LISTEN; for UDP one that is not connected."""
_STATE, _PORT, _ADDRESSES = 3, 5, 8
"""Columns of /proc/net/sctp/eps."""
_SCTP_LISTENS = "10"
"""TCP_LISTEN, in the decimal of that table."""


def taken(ports: Iterable[PortRecord]) -> Iterator[str]:
    """Those of `ports` that a socket in the thread's namespace has, in words."""
    for port in ports:
        for address, number in _held(port.protocol.lower()):
            if number == port.host_port and _meet(port.host_ip, address):
                yield f"{port.protocol} port {number}"


def _held(protocol: str) -> Iterator[tuple[Address, int]]:
    """Addresses and ports that sockets listen on."""
    if protocol == "sctp":
        yield from endpoints(_read("sctp/eps"))
        return
    for name in (protocol, f"{protocol}6"):
        yield from listeners(_read(name), _LISTENS[protocol])


def endpoints(table: Iterable[str]) -> Iterator[tuple[Address, int]]:
    """The same of SCTP, whose table has names of its own for everything. Pure."""
    for line in table:
        words = line.split()
        if len(words) > _ADDRESSES and words[_STATE] == _SCTP_LISTENS:
            yield from ((ip_address(text.lstrip("*")), int(words[_PORT])) for text in words[_ADDRESSES:])


def listeners(table: Iterable[str], state: str) -> Iterator[tuple[Address, int]]:
    """Addresses and ports of the sockets in this state. Pure."""
    for line in table:
        words = line.split()
        if len(words) > 3 and words[3] == state:
            address, _, port = words[1].partition(":")
            yield _address(address), int(port, 16)


def _address(text: str) -> Address:
    """The kernel writes words of four bytes in its own order."""
    data = bytes.fromhex(text)
    if sys.byteorder == "little":
        data = b"".join(data[at : at + 4][::-1] for at in range(0, len(data), 4))
    return IPv4Address(data) if len(data) == 4 else IPv6Address(data)


def _meet(wanted: str, address: Address) -> bool:
    """Loopback is left alone: what listens there stays reachable there."""
    if address.is_loopback:
        return False
    return not wanted or address.is_unspecified or ip_address(wanted) == address


def _read(name: str) -> list[str]:
    try:
        with open(_PROC + name) as file:
            return file.readlines()[1:]
    except FileNotFoundError:
        return []  # a kernel without IPv6
