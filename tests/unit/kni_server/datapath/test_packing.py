"""Bytes of the messages, as the kernel's headers define them. Written for little-endian machines."""

import dataclasses
import struct
import sys
from ipaddress import ip_address, ip_interface, ip_network

import pytest
from podnet_kni_server.datapath import announce, fdb, inet, links, netlink, spoof
from podnet_kni_server.datapath.channel import Request
from podnet_kni_server.datapath.model import Link, Route, host_name
from podnet_kni_server.details import Senders

pytestmark = pytest.mark.skipif(sys.byteorder != "little", reason="the tables are little-endian")

LINK = Link(
    "veth", "net1", "pnv0", "br0", "02:00:00:00:00:05", 1500,
    (ip_interface("10.1.0.5/24"), ip_interface("fd00:1::5/64")), anti_spoof=True,
)  # fmt: skip


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace(" ", ""))


@pytest.mark.parametrize(
    ("packed", "wanted"),
    [
        (netlink.attr(1, b""), "0400 0100"),
        (netlink.attr(1, b"a"), "0500 0100 61 000000"),
        (netlink.attr(1, b"abc"), "0700 0100 616263 00"),
        (netlink.attr(1, b"abcd"), "0800 0100 61626364"),
        (netlink.u8(2, 7), "0500 0200 07 000000"),
        (netlink.u16(2, 7), "0600 0200 0700 0000"),
        (netlink.u32(2, 7), "0800 0200 07000000"),
        (netlink.text(3, "br0"), "0800 0300 62723000"),
        (netlink.nested(4, netlink.u32(2, 7)), "0c00 0480 0800 0200 07000000"),
    ],
)
def test_attributes(packed: bytes, wanted: str) -> None:
    assert packed == _bytes(wanted)


MAC, UP = "0a00 0100 0200 00000005 0000", "01000000 01000000"
GUARDED, POD = "0800 1b00 026e7000", "0800 1b00 036e7000"
PEER = (
    "00 00 0000 22000000 00000000 00000000" + "0900 0300 6e657431 00 000000" + MAC + POD
    + "0800 0400 dc050000" + "0800 1c00 09000000"
)  # fmt: skip
VETH = (
    "00 00 0000 11000000" + UP + "0900 0300 706e7630 00 000000" + "0800 0400 dc050000" + "0800 0a00 05000000"
    + GUARDED + "5800 1280" + "0900 0100 76657468 00 000000" + "4800 0280" + "4400 0180" + PEER
)  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "kind", "flags", "body"),
    [
        (links.make_veth(LINK, 0x11, 0x22, 5, 9), 16, 0x601, VETH),
        (links.set_up(0x22, "net1"), 16, 1, "00 00 0000 22000000" + UP),
        (links.get(0x22, "net1"), 18, 1, "00 00 0000 22000000 00000000 00000000 0800 1d00 08000000"),
        (links.delete_named("pnv0"), 17, 1, "00" * 16 + "0900 0300 706e7630 00 000000"),
        (
            inet.add_address(0x22, "net1", LINK.addresses[0]), 20, 0x601,
            "02 18 00 00 22000000 0800 0200 0a010005 0800 0100 0a010005 0800 0400 0a0100ff",
        ),
        (
            inet.add_address(0x22, "net1", ip_interface("10.1.0.5/32")), 20, 0x601,
            "02 20 00 00 22000000 0800 0200 0a010005 0800 0100 0a010005",
        ),
        (
            inet.add_address(0x22, "net1", LINK.addresses[1]), 20, 0x601,
            "0a 40 02 00 22000000 1400 0100 fd000001000000000000000000000005",
        ),
        (
            inet.add_route(0x22, "net1", Route(ip_network("10.9.0.0/16"), ip_address("10.1.0.1")), LINK.addresses),
            24, 0x601,
            "02 10 00 00 fe 04 00 01 00000000 0800 0400 22000000 0800 0100 0a090000 0800 0500 0a010001",
        ),
        (
            inet.add_route(0x22, "net1", Route(ip_network("10.9.0.0/16")), LINK.addresses), 24, 0x601,
            "02 10 00 00 fe 04 fd 01 00000000 0800 0400 22000000 0800 0100 0a090000",
        ),
        (
            inet.default_route(0x22, "net1", ip_address("169.254.1.1"), LINK.addresses), 24, 0x501,
            "02 00 00 00 fe 04 00 01 04000000 0800 0400 22000000 0800 0500 a9fe0101",
        ),
        (
            fdb.add(7, "vx7", ip_address("192.0.2.1")), 28, 0xC01,
            "07 00 0000 07000000 c000 02 00 0800 0100 c0000201 0a00 0200 000000000000 0000",
        ),
    ],
)  # fmt: skip
def test_requests(request_: Request, kind: int, flags: int, body: str) -> None:
    assert (request_.kind, request_.flags) == (kind, flags)
    assert request_.body.hex() == _bytes(body).hex()


def test_errors_name_the_message() -> None:
    assert inet.add_address(1, "net1", LINK.addresses[0]).describe() == "add address 10.1.0.5/24 to net1"
    assert links.make_veth(LINK, 1, 2, 3, 4).describe() == "make net1 on br0"


def test_guard_is_one_transaction_with_a_key_for_each_address() -> None:
    begin, four, six, end = spoof.guard([LINK])
    assert (begin.kind, end.kind) == (16, 17)
    assert begin.body == end.body == _bytes("00 00 000a")
    assert four.kind == six.kind == 10 << 8 | 12
    port = b"pnv0".ljust(16, b"\0") + _bytes("020000000005 0000")
    key = port + _bytes("0a010005")
    element = netlink.nested(1, netlink.nested(1, netlink.attr(1, key)))
    head = _bytes("07 00 0000") + netlink.text(1, "podnet")
    assert four.body == head + netlink.text(2, "from4") + netlink.nested(3, element)
    for address in (bytes(16), _bytes("fe80000000000000 0000 00fffe000005"), LINK.addresses[1].packed):
        assert port + address in six.body
    assert len(six.body) == len(head) + len(netlink.text(2, "from6")) + 4 + 3 * (12 + 40)


def test_release_adds_before_it_deletes() -> None:
    kinds = [request.kind & 0xFF for request in spoof.release([LINK])]
    assert kinds == [16, 12, 12, 14, 14, 17]


def test_what_was_read_is_parsed() -> None:
    body = links.header(7) + netlink.text(3, "net1") + netlink.u32(4, 1500)
    assert netlink.attributes(body, 16) == {3: b"net1\0", 4: struct.pack("=I", 1500)}
    assert netlink.pick(body, 16, frozenset((4,))) == {4: struct.pack("=I", 1500)}
    received = struct.pack("=IHHII", 20, 16, 0, 5, 0) + b"body" + struct.pack("=IHHII", 16, 3, 2, 6, 0)
    assert list(netlink.messages(received)) == [(16, 0, 5, b"body"), (3, 2, 6, b"")]
    assert list(netlink.messages(received[:-1])) == [(16, 0, 5, b"body")]
    assert not inet.has_usual_metric(bytes(12)), "of a family that has no usual one (found by fuzzing)"


@pytest.mark.parametrize("capped", [True, False])
def test_the_kernels_own_words(capped: bool) -> None:
    request = struct.pack("=IHHII", 20, 16, 0, 5, 0)
    body = struct.pack("=i", -17) + request + (b"" if capped else b"body") + netlink.text(1, "no such thing")
    assert netlink.error(body, 0x200 | (0x100 if capped else 0)) == (17, "no such thing")
    assert netlink.error(struct.pack("=i", 0) + request, 0) == (0, "")


def test_announcements() -> None:
    arp, advertisement = announce.frames(LINK, bytes.fromhex(LINK.mac.replace(":", "")))
    assert arp[:42] == _bytes(
        "ffffffffffff 020000000005 0806 0001 0800 06 04 0001 020000000005 0a010005 000000000000 0a010005"
    )
    pseudo = advertisement[22:54] + struct.pack("!II", 32, 58) + advertisement[54:]
    assert announce.checksum(pseudo) == 0
    assert advertisement[54:58][:1] == b"\x88"


def test_host_names_are_stable_short_and_apart() -> None:
    names = {host_name(sandbox, interface) for sandbox in ("a", "b") for interface in ("net1", "net2")}
    assert len(names) == 4
    assert all(len(name) == 15 and name.startswith("pnv") for name in names)
    assert host_name("a", "net1") == host_name("a", "net1")


def test_a_port_under_a_bond_lets_through_what_the_bond_sends() -> None:
    macs = ["02:00:00:00:00:05", "02:00:00:00:00:06"]
    under = dataclasses.replace(LINK, addresses=(), senders=Senders(macs=macs, addresses=["10.1.0.5/24"]))
    four, six = spoof.keys(under)
    port = b"pnv0".ljust(16, b"\0")
    assert four == [port + links.mac_bytes(mac) + b"\0\0" + ip_address("10.1.0.5").packed for mac in macs]
    assert len(six) == 4, "unspecified and link-local of each"


def test_an_access_vlan_is_the_only_one_of_its_port() -> None:
    clear, put = links.set_vlan(dataclasses.replace(LINK, vlan=10), 0x11)
    head = _bytes("07 00 0000 11000000 00000000 00000000")
    assert (clear.kind, clear.body) == (17, head + _bytes("1400 1a80 0800 0200 0800 0100 0800 0200 1000 fe0f"))
    assert (put.kind, put.body) == (19, head + _bytes("0c00 1a80 0800 0200 0600 0a00"))
    told = head + netlink.nested(
        links.AF_SPEC, *(netlink.attr(2, struct.pack("=HH", *one)) for one in ((6, 10), (0, 20)))
    )
    assert links.parse_vlans(told) == (0x11, {10: links.ACCESS_VLAN, 20: links.TAGGED_VLAN})
