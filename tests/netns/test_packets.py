"""Packets that cross, and packets that must not."""

import asyncio
from ipaddress import ip_address, ip_interface, ip_network

import pytest
from netns import lab as wire
from netns.lab import Lab, Place, bridge, crosses, link, ready, sniffer
from podnet_kni_server.datapath.kernel import KernelDatapath
from podnet_kni_server.datapath.model import Link, NodeLink


async def _pods(lab: Lab, *links: Link) -> tuple[Place, KernelDatapath, list[Place]]:
    node = lab.place()
    datapath = lab.datapath(node)
    await ready(datapath, bridge())
    pods = [lab.place() for _ in links]
    for pod, one in zip(pods, links, strict=True):
        await datapath.attach(pod.path, [one])
    return node, datapath, pods


async def test_bridge_on_one_node(lab: Lab) -> None:
    node, _, (one, two) = await _pods(lab, link(5), link(6))
    assert crosses(one, two, "10.1.0.6")
    assert crosses(two, one, "fd00:1::5")
    node.ip("link", "show", "br0")


async def test_bridge_reaches_its_gateway_and_beyond(lab: Lab) -> None:
    node, outside, pod = lab.place(), lab.place(), lab.place()
    lab.cable(node, outside)
    node.ip("addr", "add", "198.51.100.1/24", "dev", "up0")
    outside.ip("addr", "add", "198.51.100.2/24", "dev", "up0")
    datapath = lab.datapath(node)
    gateways = (ip_interface("10.1.0.1/24"), ip_interface("fd00:1::1/64"))
    await ready(datapath, bridge(gateways=gateways, masquerade=(ip_network("10.1.0.0/24"),)))
    await datapath.attach(pod.path, [link(5, default_gateways=(ip_address("10.1.0.1"),))])
    assert crosses(pod, node, "10.1.0.1")
    assert crosses(pod, node, "fd00:1::1")
    assert crosses(pod, outside, "198.51.100.2"), "without masquerading there is no way back"


async def test_isolated_ports_do_not_hear_each_other(lab: Lab) -> None:
    _, _, (one, two, open_) = await _pods(lab, link(5, isolated=True), link(6, isolated=True), link(7))
    assert crosses(one, open_, "10.1.0.7")
    assert crosses(two, open_, "10.1.0.7")
    assert not crosses(one, two, "10.1.0.6", patience=0.5)


@pytest.mark.parametrize("hairpin", [True, False])
async def test_hairpin_sends_a_frame_back_through_its_port(lab: Lab, hairpin: bool) -> None:
    _, _, (pod, other) = await _pods(lab, link(5, hairpin=hairpin), link(6))
    assert crosses(pod, other, "10.1.0.6")
    with sniffer(pod, "net1") as heard:
        with sniffer(other, "net1") as heard_there:
            # From a MAC address that is not the Pod's, or the Pod would take it for its own echo.
            wire.send(pod, "net1", wire.ethernet("02:00:00:00:00:aa", 0x88B5, b"come back" + bytes(60)))
            assert heard_there(b"come back", 1)
        assert heard(b"come back", 1), "what it sent itself"
        assert heard(b"come back", 0.3) == hairpin


async def test_vxlan_across_two_nodes(lab: Lab) -> None:
    nodes = [lab.place(), lab.place()]
    lab.cable(nodes[0], nodes[1])
    local = [ip_address("203.0.113.1"), ip_address("203.0.113.2")]
    pods = [lab.place(), lab.place()]
    datapaths = [lab.datapath(node) for node in nodes]
    for at in (0, 1):
        nodes[at].ip("addr", "add", f"{local[at]}/24", "dev", "up0")
        wanted = NodeLink("vxlan", "br7", "vx7", 7, local=local[at], peers=frozenset({local[1 - at]}))
        states = await ready(datapaths[at], wanted)
        assert states["br7"].mtu == 1450
        await datapaths[at].attach(pods[at].path, [link(5 + at, master="br7", mtu=1450)])
    assert crosses(pods[0], pods[1], "10.1.0.6")
    assert crosses(pods[1], pods[0], "fd00:1::5")
    # Without the peer nothing is flooded any more.
    await ready(datapaths[0], NodeLink("vxlan", "br7", "vx7", 7, local=local[0]))
    pods[0].ip("neigh", "flush", "all")
    assert "203.0.113.2" not in "".join(
        line for line in nodes[0].run("bridge", "fdb", "show", "dev", "vx7").splitlines() if "00:00:00:00:00:00" in line
    )


async def test_vxlan_over_ipv6(lab: Lab) -> None:
    nodes = [lab.place(), lab.place()]
    lab.cable(nodes[0], nodes[1])
    pods = [lab.place(), lab.place()]
    for at in (0, 1):
        nodes[at].ip("addr", "add", f"2001:db8::{at + 1}/64", "dev", "up0", "nodad")
        datapath = lab.datapath(nodes[at])
        peers = frozenset({ip_address(f"2001:db8::{2 - at}"), ip_address("203.0.113.9")})
        wanted = NodeLink("vxlan", "br7", "vx7", 7, local=ip_address(f"2001:db8::{at + 1}"), peers=peers)
        states = await ready(datapath, wanted)
        assert states["br7"].mtu == 1430
        await datapath.attach(pods[at].path, [link(5 + at, master="br7", mtu=1430)])
    assert crosses(pods[0], pods[1], "10.1.0.6")


async def test_bridge_with_an_uplink(lab: Lab) -> None:
    nodes = [lab.place(), lab.place()]
    lab.cable(nodes[0], nodes[1])
    pods = [lab.place(), lab.place()]
    for at in (0, 1):
        datapath = lab.datapath(nodes[at])
        await ready(datapath, bridge(uplink="up0"))
        await datapath.attach(pods[at].path, [link(5 + at)])
    assert crosses(pods[0], pods[1], "10.1.0.6")
    assert crosses(pods[1], pods[0], "fd00:1::5")


OWN, OTHER = "02:00:00:00:00:05", "02:00:00:00:00:06"
LOCAL = "fe80::ff:fe00:5"
ADVERTISEMENT, SOLICITATION, ROUTER, REDIRECT = 136, 135, 134, 137
MARK = b"<the mark of this frame>"

RIGHT = {
    "IPv4": wire.ipv4(OWN, "10.1.0.5", MARK),
    "IPv6": wire.ipv6(OWN, "fd00:1::5", MARK),
    "IPv6 link-local": wire.ipv6(OWN, LOCAL, MARK),
    "ARP": wire.arp(OWN, OWN, "10.1.0.5", MARK),
    "duplicate address detection": wire.ipv6(
        OWN, "::", MARK, following=58, payload=wire.icmpv6(SOLICITATION, "fd00:1::5")
    ),
    "own advertisement": wire.ipv6(
        OWN, "fd00:1::5", MARK, following=58, payload=wire.icmpv6(ADVERTISEMENT, "fd00:1::5")
    ),
}
WRONG = {
    "MAC over IPv4": wire.ipv4(OTHER, "10.1.0.5", MARK),
    "IPv4 address": wire.ipv4(OWN, "10.1.0.6", MARK),
    "both of a neighbour": wire.ipv4(OTHER, "10.1.0.6", MARK),
    "MAC over IPv6": wire.ipv6(OTHER, "fd00:1::5", MARK),
    "IPv6 address": wire.ipv6(OWN, "fd00:1::6", MARK),
    "another's link-local address": wire.ipv6(OWN, "fe80::ff:fe00:6", MARK),
    "ARP sender address": wire.arp(OWN, OWN, "10.1.0.6", MARK),
    "ARP sender MAC": wire.arp(OWN, OTHER, "10.1.0.5", MARK),
    "frame MAC of ARP": wire.arp(OTHER, OWN, "10.1.0.5", MARK),
    "advertisement for a neighbour": wire.ipv6(
        OWN, "fd00:1::5", MARK, following=58, payload=wire.icmpv6(ADVERTISEMENT, "fd00:1::6")
    ),
    "router advertisement": wire.ipv6(OWN, LOCAL, MARK, following=58, payload=wire.icmpv6(ROUTER, "::")),
    "redirect": wire.ipv6(OWN, LOCAL, MARK, following=58, payload=wire.icmpv6(REDIRECT, "::")),
    "another protocol": wire.ethernet(OWN, 0x88B5, MARK),
    "right address behind a VLAN tag": wire.ethernet(
        OWN, 0x8100, b"\0\x05\x08\0" + wire.ipv4(OWN, "10.1.0.6", MARK)[14:]
    ),
}


async def test_anti_spoofing(lab: Lab) -> None:
    node, datapath, (pod, other) = await _pods(lab, link(5, anti_spoof=True), link(6, anti_spoof=True))
    assert crosses(pod, other, "10.1.0.6")
    assert crosses(pod, other, "fd00:1::6")
    for what, frame in RIGHT.items():
        with sniffer(other, "net1") as heard:
            wire.send(pod, "net1", frame)
            assert heard(MARK, 2), what
    for what, frame in WRONG.items():
        with sniffer(other, "net1") as heard:
            wire.send(pod, "net1", frame)
            wire.send(pod, "net1", wire.ipv4(OWN, "10.1.0.5", b"<the one behind it>"))
            assert heard(b"<the one behind it>", 2)
        with sniffer(other, "net1") as heard:
            wire.send(pod, "net1", frame)
            assert not heard(MARK, 0.1), what
    # Setting the table up anew (a restart) forgets nobody.
    await ready(datapath, bridge(anti_spoof=True))
    assert crosses(pod, other, "10.1.0.6")
    # Without its elements a guarded port passes nothing, and a second attach brings them back.
    node.run("nft", "flush", "set", "bridge", "podnet", "from4")
    assert not crosses(pod, other, "10.1.0.6", patience=0.3)
    await datapath.attach(pod.path, [link(5, anti_spoof=True)])
    await datapath.attach(other.path, [link(6, anti_spoof=True)])
    assert crosses(pod, other, "10.1.0.6")


async def test_unguarded_port_may_send_what_it_likes(lab: Lab) -> None:
    _, _, (pod, other) = await _pods(lab, link(5), link(6, anti_spoof=True))
    assert crosses(other, pod, "10.1.0.5")
    with sniffer(other, "net1") as heard:
        wire.send(pod, "net1", WRONG["another protocol"])
        assert heard(MARK, 2)


async def test_announced_at_once_to_neighbours_that_knew_another(lab: Lab) -> None:
    _, datapath, (pod, other) = await _pods(lab, link(5), link(6))
    assert crosses(other, pod, "10.1.0.5")
    await datapath.detach(pod.path, [link(5)])
    again = lab.place()
    await datapath.attach(again.path, [link(5, mac="02:00:00:00:00:77")])
    await asyncio.sleep(0.3)
    assert "02:00:00:00:00:77" in other.ip("neigh", "show", "10.1.0.5")
    assert crosses(other, again, "10.1.0.5", patience=0.5)


async def test_bridged_frames_pass_a_firewall_that_drops_what_it_forwards(lab: Lab) -> None:
    node, datapath, (pod, other) = await _pods(lab, link(5), link(6))
    for family in ("ip", "ip6"):
        node.run("nft", "add", "table", family, "filter")
        node.run(
            "nft", "add", "chain", family, "filter", "FORWARD", "{ type filter hook forward priority 0; policy drop; }"
        )
    for name in ("iptables", "ip6tables"):
        node.run("sh", "-c", f"echo 1 > /proc/sys/net/bridge/bridge-nf-call-{name}")
    assert not crosses(pod, other, "10.1.0.6", patience=0.5), "or else this tests nothing"
    for _ in range(2):
        await ready(datapath, bridge())
        assert crosses(pod, other, "10.1.0.6")
        assert crosses(pod, other, "fd00:1::6")
        assert node.run("nft", "list", "chain", "ip", "filter", "FORWARD").count("podnet") == 1
    await datapath.detach(None, [link(5), link(6)])
    await ready(datapath)
    assert "podnet" not in node.run("nft", "list", "chain", "ip", "filter", "FORWARD")
