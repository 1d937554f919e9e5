"""Frames made to slip past the anti-spoofing rules: what is forbidden, hidden behind headers of other protocols."""

import socket
import struct
import time
from collections.abc import Iterator
from ipaddress import IPv6Address

import pytest
from netns import lab as wire
from netns.lab import Lab, Place, bridge, link, ready, sniffer
from podnet_kni_server.datapath import announce

OWN, OTHER = "02:00:00:00:00:05", "02:00:00:00:00:06"
LOCAL, ROUTER_ADVERTISEMENT, ADVERTISEMENT, SOLICITATION = "fe80::ff:fe00:5", 134, 136, 135
ICMPV6, HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION = 58, 0, 43, 44, 60
MARK, AFTER = b"<the mark of this frame>", b"<the one behind it>"
PAD = b"\1\4" + bytes(4)


def option(following: int) -> bytes:
    """A header of options that says nothing (RFC 8200 4.3, 4.6)."""
    return bytes((following, 0)) + PAD


def atomic_fragment(following: int) -> bytes:
    """A fragment that is the whole packet (RFC 6946)."""
    return struct.pack("!BBHI", following, 0, 0, 7)


def first_fragment(following: int) -> bytes:
    """The first of several."""
    return struct.pack("!BBHI", following, 0, 1, 7)


ROUTER = wire.icmpv6(ROUTER_ADVERTISEMENT, "::")
CLAIM = wire.icmpv6(ADVERTISEMENT, "fd00:1::6")


def frames() -> Iterator[tuple[str, bytes]]:
    for what, source, message in (
        ("router advertisement", LOCAL, ROUTER),
        ("claim of a neighbour", "fd00:1::5", CLAIM),
    ):
        for name, number, header in (
            ("hop-by-hop options", HOP_BY_HOP, option(ICMPV6)),
            ("destination options", DESTINATION, option(ICMPV6)),
            ("two headers", HOP_BY_HOP, option(DESTINATION) + option(ICMPV6)),
            ("an atomic fragment", FRAGMENT, atomic_fragment(ICMPV6)),
            ("a first fragment", FRAGMENT, first_fragment(ICMPV6)),
            ("options and a fragment", DESTINATION, option(FRAGMENT) + atomic_fragment(ICMPV6)),
        ):
            yield f"{what} behind {name}", wire.ipv6(OWN, source, MARK, following=number, payload=header + message)
    for what, source in (("address", "fd00:1::6"), ("link-local address", "fe80::ff:fe00:6")):
        yield (
            f"a neighbour's {what} behind options",
            wire.ipv6(OWN, source, MARK, following=HOP_BY_HOP, payload=option(17) + bytes(8)),
        )
        yield (
            f"a solicitation from a neighbour's {what}",
            wire.ipv6(OWN, source, MARK, following=ICMPV6, payload=wire.icmpv6(SOLICITATION, "fd00:1::7")),
        )
    reply = bytearray(wire.arp(OWN, OWN, "10.1.0.6", MARK))
    reply[21] = 2
    yield "an ARP reply for a neighbour", bytes(reply)
    probe = wire.arp(OWN, OTHER, "0.0.0.0", MARK)
    yield "an ARP probe with a neighbour's MAC", probe
    yield "IPv4 in 802.3 with LLC and SNAP", wire.ethernet(OWN, 40, b"\xaa\xaa\3\0\0\0\x08\0" + MARK)
    yield "a service tag", wire.ethernet(OWN, 0x88A8, b"\0\5\x08\0" + wire.ipv4(OTHER, "10.1.0.6", MARK)[14:])
    yield "a group address as source", wire.ipv4("03:00:00:00:00:05", "10.1.0.5", MARK)
    yield "an IPv4 address of all nodes as source", wire.ipv4(OWN, "10.1.0.255", MARK)
    yield "no IPv4 address", wire.ipv4(OWN, "0.0.0.0", MARK)
    mapped = str(IPv6Address("::ffff:10.1.0.6"))
    yield "an IPv4 address in an IPv6 one", wire.ipv6(OWN, mapped, MARK)


@pytest.fixture
async def pods(lab: Lab) -> tuple[Place, Place]:
    """Two guarded Pods on one bridge."""
    node = lab.place()
    datapath = lab.datapath(node)
    await ready(datapath, bridge(anti_spoof=True))
    made = lab.place(), lab.place()
    for number, pod in zip((5, 6), made, strict=True):
        await datapath.attach(pod.path, [link(number, anti_spoof=True)])
    return made


async def test_nothing_slips_past(pods: tuple[Place, Place]) -> None:
    pod, other = pods
    assert wire.crosses(pod, other, "fd00:1::6")
    for what, frame in frames():
        with sniffer(other, "net1") as heard:
            wire.send(pod, "net1", frame)
            wire.send(pod, "net1", wire.ipv4(OWN, "10.1.0.5", AFTER))
            assert heard(AFTER, 2), what
        with sniffer(other, "net1") as heard:
            wire.send(pod, "net1", frame)
            assert not heard(MARK, 0.05), what


async def test_what_receivers_ignore(lab: Lab, pods: tuple[Place, Place]) -> None:
    """A claim in fragments so small that the first one has no ICMPv6 header passes a bridge, which judges packets one
    by one. Receivers drop such packets (RFC 7112) and NDP in any fragments (RFC 6980)."""
    pod, other = pods
    assert wire.crosses(pod, other, "fd00:1::6")
    first = struct.pack("!BBHI", DESTINATION, 0, 1, 9) + option(ICMPV6)
    rest = struct.pack("!BBHI", DESTINATION, 0, 8, 9)
    override = struct.pack("!BBHI", ADVERTISEMENT, 0, 0, 0x20000000) + IPv6Address("fd00:1::99").packed
    lladdr = b"\2\1" + wire.mac(OWN)
    message = _checked("fd00:1::5", override + lladdr)
    small = [wire.ipv6(OWN, "fd00:1::5", b"", following=FRAGMENT, payload=p) for p in (first, rest + message)]
    whole = wire.ipv6(OWN, "fd00:1::5", b"", following=ICMPV6, payload=message)
    other.ip("neigh", "replace", "fd00:1::99", "lladdr", OTHER, "dev", "net1", "nud", "stale")
    with sniffer(other, "net1") as heard:
        for frame in small:
            wire.send(pod, "net1", frame)
        assert heard(lladdr, 2), "if this fails the bridge has learned to judge them: say so in DESIGN"
    assert OTHER in other.ip("neigh", "show", "fd00:1::99")
    # The same in one piece, from somewhere that nobody guards, is believed: nothing else is wrong with it.
    with other.inside(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)) as mouth:
        other.ip("link", "add", "back", "type", "veth", "peer", "name", "front")
        for name in ("back", "front"):
            other.ip("link", "set", name, "up")
        other.ip("neigh", "replace", "fd00:1::99", "lladdr", OTHER, "dev", "front", "nud", "stale")
        mouth.bind(("back", 0))
        mouth.send(whole)
        time.sleep(0.2)
    assert OWN in other.ip("neigh", "show", "fd00:1::99", "dev", "front")


def _checked(source: str, message: bytes) -> bytes:
    """An ICMPv6 message to all nodes with the right checksum, so that nothing else is wrong with it."""
    pseudo = IPv6Address(source).packed + IPv6Address("ff02::1").packed + struct.pack("!II", len(message), ICMPV6)
    return message[:2] + struct.pack("!H", announce.checksum(pseudo + message)) + message[4:]
