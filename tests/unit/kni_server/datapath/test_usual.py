"""What is filled in is what the ordinary functions would have made, and what is verified is what was asked for."""

import dataclasses
import sys
from ipaddress import ip_address, ip_interface, ip_network

import pytest
from podnet_kni_server.datapath import links, netlink, prepare, usual
from podnet_kni_server.datapath.channel import Request
from podnet_kni_server.datapath.model import Link, Route
from podnet_kni_server.datapath.template import Template
from podnet_kni_server.details import Extras

pytestmark = pytest.mark.skipif(
    sys.byteorder != "little", reason="what the kernel tells is written as on such machines"
)

PLAIN = Link(
    "veth", "net1", "pnv0123456789ab", "br0", "02:00:00:00:00:05", 1500,
    (ip_interface("10.1.0.5/24"), ip_interface("fd00:1::5/64")),
    (
        Route(ip_network("10.2.0.0/16"), ip_address("10.1.0.1")),
        Route(ip_network("fd00:2::/48"), ip_address("fd00:1::1")),
    ),
)  # fmt: skip
LINKS = {
    "plain": PLAIN,
    "guarded": dataclasses.replace(PLAIN, anti_spoof=True, name="a23456789012345", mtu=9000),
    "host addresses": dataclasses.replace(
        PLAIN, addresses=(ip_interface("10.1.0.5/32"), ip_interface("fd00:1::5/128"))
    ),
    "gateways elsewhere": dataclasses.replace(PLAIN, addresses=(ip_interface("192.0.2.1/31"),)),
    "near gateway": dataclasses.replace(PLAIN, routes=(Route(ip_network("fd00:2::/48"), ip_address("fe80::1")),)),
    "no address": dataclasses.replace(PLAIN, addresses=(), routes=()),
}


def _messages(data: bytes) -> list[tuple[int, int, int, bytes]]:
    return list(netlink.messages(data))


def _sent(requests: list[Request], first: int) -> list[tuple[int, int, int, bytes]]:
    return [(one.kind, one.flags, first + at, one.body) for at, one in enumerate(requests)]


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
def test_settings_are_those_of_prepare(link: Link) -> None:
    indices = usual.draw(2)
    both = [link, dataclasses.replace(link, name="net2")]
    prepared = prepare.prepare(both, indices)
    packed, last = usual.settings(both, indices, 7)
    assert _messages(packed) == _sent([*prepared.settings, *prepared.reads], 7)
    assert last == 7 + len(prepared.settings) + len(prepared.reads) - 1


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
def test_pairs_are_those_of_make_veth(link: Link) -> None:
    """But for the zeros behind a name, and an acknowledgement for each."""
    full = dataclasses.replace(link, name=link.name.ljust(15, "x"))
    ((host, index),) = usual.draw(1)
    wanted = links.make_veth(full, host, index, 3, 4)
    packed = usual.pairs([full], [(host, index)], [3], 4, 9)
    assert _messages(packed) == [(wanted.kind, wanted.flags | netlink.ACK, 9, wanted.body)]
    short = usual.pairs([link], [(host, index)], [3], 4, 9)
    assert short == packed.replace(full.name.encode(), link.name.encode().ljust(15, b"\0"))


@pytest.mark.parametrize(
    ("changed", "fits"),
    [
        ({}, True),
        ({"anti_spoof": True}, True),
        ({"kind": "macvlan"}, False),
        ({"mac": ""}, False),
        ({"vlan": 7}, False),
        ({"hairpin": True}, False),
        ({"isolated": True}, False),
        ({"mtu": 0}, False),
        ({"extras": Extras(promiscuous=True)}, False),
        ({"default_gateways": (ip_address("10.1.0.1"),)}, False),
        ({"routes": (Route(ip_network("10.2.0.0/16")),)}, False),
        ({"routes": (Route(ip_network("0.0.0.0/0"), ip_address("10.1.0.1")),)}, False),
    ],
)
def test_what_fits(changed: dict[str, object], fits: bool) -> None:
    assert usual.fits([PLAIN, dataclasses.replace(PLAIN, **changed)]) is fits  # type: ignore[arg-type]


def test_nothing_is_left_to_the_ordinary_way() -> None:
    assert not usual.fits([])


def _told(link: Link, host: int, index: int, up: bool = True) -> list[bytes]:
    """As a kernel tells of it."""
    attributes = b"".join((*links.marks(link, host), netlink.u32(links.GROUP, links.GROUP_POD)))
    body = links.header(index, links.IFF_UP if up else 0) + attributes
    texts = [b"\x02\x18\x80\x00", b"\x0a\x40\x82\x00"]
    attributes4 = netlink.attr(1, link.addresses[0].packed) + netlink.attr(2, link.addresses[0].packed)
    bodies = [
        texts[0] + index.to_bytes(4, "little") + attributes4,
        texts[1] + index.to_bytes(4, "little") + netlink.attr(1, link.addresses[1].packed),
    ]
    messages = [netlink.HEADER.pack(16 + len(one), kind, 2, 1, 1) + one for kind, one in
                [(links.NEWLINK, body), *((20, one) for one in bodies)]]  # fmt: skip
    return [messages[0], b"".join(messages[1:])]


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({}, True),
        ({"mac": "02:00:00:00:00:06"}, False),
        ({"mtu": 1400}, False),
        ({"name": "net2"}, False),
        ({"addresses": (*PLAIN.addresses, ip_interface("10.1.0.6/24"))}, False),
        ({"addresses": (ip_interface("10.1.0.5/25"),)}, False),
    ],
)
def test_what_is_as_wanted(changed: dict[str, object], same: bool) -> None:
    told = _told(PLAIN, 4, 5)
    assert usual.as_wanted([dataclasses.replace(PLAIN, **changed)], [(4, 5)], told) is same  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("indices", "up"), [((4, 5), False), ((4, 6), True), ((3, 5), True)], ids=["down", "another link", "another peer"]
)
def test_what_is_not(indices: tuple[int, int], up: bool) -> None:
    assert not usual.as_wanted([PLAIN], [indices], _told(PLAIN, 4, 5, up))


def test_a_template_has_a_place_for_every_byte() -> None:
    with pytest.raises(ValueError, match="cannot fill in a message of 20 bytes by a format of 24"):
        Template((1, 0, bytes(4)), "8x")
    assert (
        Template((1, 2, b"\xaa\xbb\xcc\xdd"), "xBxx").fill(7, 9)
        == netlink.HEADER.pack(20, 1, 2, 7, 0) + b"\xaa\x09\xcc\xdd"
    )


def _message(kind: int, sequence: int, body: bytes) -> bytes:
    return netlink.HEADER.pack(16 + len(body), kind, 0, sequence, 0) + body


def _number(number: int) -> bytes:
    return number.to_bytes(4, "little", signed=True)


@pytest.mark.parametrize(
    ("data", "outcome"),
    [
        (_message(2, 7, _number(0) + bytes(16)), (True, False)),
        (_message(2, 7, _number(-17) + bytes(16)), (True, True)),
        (_message(2, 6, _number(-17) + bytes(99)), (False, True)),
        (_message(2, 6, _number(0) + bytes(16)), (False, False)),
        (_message(16, 7, bytes(64)), (False, False)),
        (_message(3, 7, _number(0)), (True, False)),
        (_message(20, 7, bytes(24)) + _message(3, 7, _number(0)), (True, False)),
        (_message(20, 6, bytes(24)) + _message(3, 6, _number(0)), (False, False)),
        (_message(20, 7, bytes(24)), (False, False)),
        (b"", (False, False)),
        (bytes(19), (False, False)),
    ],
)
def test_outcome(data: bytes, outcome: tuple[bool, bool]) -> None:
    assert netlink.outcome(data, 7) == outcome
