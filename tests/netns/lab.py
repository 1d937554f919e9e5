"""Nodes and Pods made of network namespaces, and packets that really cross between them.

Sockets are made inside a namespace by a thread that ends there; they stay in it, wherever they are used.
"""

import contextlib
import functools
import itertools
import os
import pathlib
import re
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface, ip_network
from typing import TypeVar

from podnet_kni_server.datapath import announce, worker
from podnet_kni_server.datapath.kernel import KernelDatapath
from podnet_kni_server.datapath.lent import Ledger
from podnet_kni_server.datapath.model import Link, NodeLink, NodeLinkState, Route, host_name

T = TypeVar("T")
ETH_P_ALL = 0x0003
_numbers = itertools.count()
_NETNS = pathlib.Path("/run/netns")
_OWNED = re.compile(r"pd[a-z](\d+)x\d+")
"""Names of namespaces that tell whose they are: a process's number, and one of its own."""


@functools.cache
def sweep() -> None:
    """Take away what processes that were killed left behind: a thousand namespaces make a kernel slow. Once."""
    for path in _NETNS.glob("pd*"):
        owned = _OWNED.fullmatch(path.name)
        if owned and not pathlib.Path("/proc", owned[1]).exists():
            subprocess.run(["ip", "netns", "delete", path.name], check=False, capture_output=True)


class Place:
    """One namespace."""

    def __init__(self, name: str) -> None:
        sweep()
        self.name = name
        self.path = f"/run/netns/{name}"
        subprocess.run(["ip", "netns", "add", name], check=True)
        self.ip("link", "set", "lo", "up")

    def ip(self, *words: str) -> str:
        """Run ip inside."""
        return subprocess.run(["ip", "-n", self.name, *words], check=True, capture_output=True, text=True).stdout

    def run(self, *words: str, text: str = "") -> str:
        """Run a program inside."""
        command = ["ip", "netns", "exec", self.name, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, input=text).stdout

    def inside(self, function: Callable[[], T]) -> T:
        """Call a function inside."""
        results: list[T] = []

        def body() -> None:
            fd = os.open(self.path, os.O_RDONLY)
            worker.setns(fd)
            os.close(fd)
            results.append(function())

        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        return results[0]

    def links(self) -> set[str]:
        """Names of the links inside."""
        return {line.split(": ")[1].split("@")[0] for line in self.ip("-o", "link").splitlines()}

    def delete(self) -> None:
        """Take it away."""
        subprocess.run(["ip", "netns", "delete", self.name], check=False, capture_output=True)


class Lab:
    """Namespaces and datapaths of one test, all gone at its end."""

    def __init__(self) -> None:
        self._places: list[Place] = []
        self._datapaths: list[KernelDatapath] = []

    def place(self) -> Place:
        """A namespace that plays a node or a Pod."""
        self._places.append(Place(f"pdt{os.getpid()}x{next(_numbers)}"))
        return self._places[-1]

    def datapath(self, node: Place | None, lent: Ledger | None = None) -> KernelDatapath:
        """The datapath of a node; None: the machine's own namespace. `lent`: which of its devices Pods have."""
        self._datapaths.append(KernelDatapath(node.path if node else None, lent=lent))
        return self._datapaths[-1]

    def cable(self, one: Place, other: Place, name: str = "up0") -> None:
        """A link between two namespaces, up at both ends."""
        one.ip("link", "add", name, "type", "veth", "peer", "name", name, "netns", other.name)
        for place in (one, other):
            place.ip("link", "set", name, "up")

    async def close(self) -> None:
        """Everything gone."""
        for datapath in self._datapaths:
            await datapath.close()
        for place in self._places:
            place.delete()


def link(number: int, *, master: str = "br0", kind: str = "veth", name: str = "net1", **changed: object) -> Link:
    """A dual-stack link with the address .number of 10.1.0.0/24 and fd00:1::/64."""
    values: dict[str, object] = {
        "kind": kind,
        "name": name,
        "host_name": host_name(f"sandbox-{number}", name) if kind == "veth" else "",
        "master": master,
        "mac": f"02:00:00:00:00:{number:02x}",
        "mtu": 1500,
        "addresses": (ip_interface(f"10.1.0.{number}/24"), ip_interface(f"fd00:1::{number:x}/64")),
    }
    return Link(**{**values, **changed})  # type: ignore[arg-type]


def route(destination: str, gateway: str | None = None) -> Route:
    """A route from text."""
    return Route(ip_network(destination), ip_address(gateway) if gateway else None)


def bridge(name: str = "br0", **changed: object) -> NodeLink:
    """What a bridge network needs on a node."""
    return NodeLink("bridge", name, **changed)  # type: ignore[arg-type]


async def ready(datapath: KernelDatapath, *wanted: NodeLink) -> dict[str, NodeLinkState]:
    """Set the node up; every network must be ready."""
    states = await datapath.ensure_node(wanted)
    assert all(state.ready for state in states.values()), states
    return states


def crosses(source: Place, target: Place, address: str, patience: float = 15.0, device: str = "") -> bool:
    """Whether a datagram to `address` gets from one namespace into the other, and its answer back, within `patience`
    seconds (a card looks every two seconds whether its wire is there); over `device` of the source, if one is named."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with (
        target.inside(lambda: socket.socket(family, socket.SOCK_DGRAM)) as server,
        source.inside(lambda: socket.socket(family, socket.SOCK_DGRAM)) as client,
    ):
        if device:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        server.bind((address, 7777))
        server.settimeout(0.1)
        client.settimeout(0.1)
        end = time.monotonic() + patience
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                client.sendto(b"ask", (address, 7777))
                _, sender = server.recvfrom(100)
                server.sendto(b"answer", sender)
                return client.recv(100) == b"answer"
            time.sleep(0.02)
    return False


@contextlib.contextmanager
def sniffer(place: Place, interface: str) -> Iterator[Callable[[bytes, float], bool]]:
    """Hear everything on an interface; gives a function that says whether a frame with a mark came in time."""
    with place.inside(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))) as ears:
        ears.bind((interface, ETH_P_ALL))

        def heard(mark: bytes, patience: float) -> bool:
            end = time.monotonic() + patience
            while (left := end - time.monotonic()) > 0:
                ears.settimeout(left)
                with contextlib.suppress(TimeoutError):
                    if mark in ears.recv(4096):
                        return True
            return False

        yield heard


def send(place: Place, interface: str, frame: bytes) -> None:
    """Put a frame on the wire as it is."""
    with place.inside(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)) as mouth:
        mouth.bind((interface, 0))
        mouth.send(frame.ljust(60, b"\0"))


def mac(text: str) -> bytes:
    """A MAC address's bytes."""
    return bytes.fromhex(text.replace(":", ""))


BROADCAST = b"\xff" * 6


def ethernet(source: str, kind: int, payload: bytes, target: bytes = BROADCAST) -> bytes:
    """A frame."""
    return target + mac(source) + kind.to_bytes(2, "big") + payload


def arp(source: str, sender_mac: str, sender: str, mark: bytes) -> bytes:
    """An ARP request that says that `sender` lives at `sender_mac`; the mark stands behind it."""
    head = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)
    addresses = mac(sender_mac) + IPv4Address(sender).packed + bytes(6) + IPv4Address("10.1.0.99").packed
    return ethernet(source, 0x0806, head + addresses + mark)


def ipv4(source: str, sender: str, mark: bytes) -> bytes:
    """A broadcast IPv4 packet of an unused protocol. The checksum is right: br_netfilter drops it otherwise."""
    addresses = IPv4Address(sender).packed + IPv4Address("10.1.0.255").packed
    fields = (0x45, 0, 20 + len(mark), 0, 0, 64, 253)
    checksum = announce.checksum(struct.pack("!BBHHHBBH", *fields, 0) + addresses)
    return ethernet(source, 0x0800, struct.pack("!BBHHHBBH", *fields, checksum) + addresses + mark)


def ipv6(source: str, sender: str, mark: bytes, *, following: int = 253, payload: bytes = b"") -> bytes:
    """A multicast IPv6 packet."""
    body = payload + mark
    head = struct.pack("!IHBB", 6 << 28, len(body), following, 255)
    addresses = IPv6Address(sender).packed + IPv6Address("ff02::1").packed
    return ethernet(source, 0x86DD, head + addresses + body)


def icmpv6(kind: int, target: str) -> bytes:
    """The head of a neighbour solicitation or advertisement (the checksum does not matter to a bridge)."""
    return struct.pack("!BBHI", kind, 0, 0, 0) + IPv6Address(target).packed
