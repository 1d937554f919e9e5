"""Packets over every kind of link that has a maker, and over VLANs of the node.

Longer than our files are: what the kinds have in common is seen best in one place.
"""

import asyncio
import dataclasses
import os
import pathlib
import socket
from ipaddress import ip_address, ip_interface

import pytest
from netns import guests
from netns import lab as wire
from netns.kinds_lab import HOP4, bond, routed, stage, tap, upon, vrf
from netns.lab import Lab, Place, bridge, crosses, link, ready, route, sniffer
from podnet_kni_server.datapath.model import Link, NodeLink
from podnet_kni_server.details import BondDetail, MacvtapDetail, PartRoute, RoutedDetail, Senders, VrfDetail

MARK = guests.MARK


def _forward(node: Place) -> None:
    """A node of Kubernetes forwards IPv6 where it has IPv6."""
    node.run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding")


def _router(name: str = "n", **changed: object) -> NodeLink:
    return NodeLink("routed", name, versions=(4, 6), **changed)  # type: ignore[arg-type]


async def test_routed_between_pods_and_to_the_node(lab: Lab) -> None:
    on = await stage(lab)
    _forward(on.node)
    await ready(on.datapath, _router())
    one, two = lab.place(), lab.place()
    await on.datapath.attach(one.path, [routed(5)])
    await on.datapath.attach(two.path, [routed(6)])
    assert crosses(one, two, "10.1.0.6")
    assert crosses(two, one, "fd00:1::5")
    assert crosses(on.node, one, "10.1.0.5"), "the node's own packets come from the next hop"


async def test_routed_out_of_the_node(lab: Lab) -> None:
    on = await stage(lab)
    _forward(on.node)
    await ready(on.datapath, _router())
    for place, number in ((on.node, 1), (on.far, 2)):
        place.ip("addr", "add", f"203.0.113.{number}/24", "dev", "up0")
        place.ip("addr", "add", f"2001:db8::{number}/64", "dev", "up0", "nodad")
    on.far.ip("route", "add", "10.1.0.0/24", "via", "203.0.113.1")
    on.far.ip("-6", "route", "add", "fd00:1::/64", "via", "2001:db8::1")
    pod = lab.place()
    gateways = (ip_address(HOP4), ip_address("fe80::1"))
    await on.datapath.attach(pod.path, [dataclasses.replace(routed(5), default_gateways=gateways)])
    assert crosses(pod, on.far, "203.0.113.2")
    assert crosses(pod, on.far, "2001:db8::2")
    assert crosses(on.far, pod, "10.1.0.5")


async def test_nobody_sends_from_an_address_that_is_not_routed_to_him(lab: Lab) -> None:
    on = await stage(lab)
    _forward(on.node)
    await ready(on.datapath, _router())
    one, two = lab.place(), lab.place()
    await on.datapath.attach(one.path, [routed(5)])
    await on.datapath.attach(two.path, [routed(6)])
    on.node.run(
        "sysctl", "-q", "-w", "net.ipv4.conf.all.rp_filter=0", f"net.ipv4.conf.{routed(5).host_name}.rp_filter=0"
    )
    one.ip("addr", "add", "10.1.0.66/32", "dev", "net1")
    one.ip("addr", "add", "fd00:1::66/128", "dev", "net1", "nodad")
    for source, target, passes in (
        ("10.1.0.5", "10.1.0.6", True), ("10.1.0.66", "10.1.0.6", False),
        ("fd00:1::5", "fd00:1::6", True), ("fd00:1::66", "fd00:1::6", False),
    ):  # fmt: skip
        family = socket.AF_INET6 if ":" in source else socket.AF_INET
        with sniffer(two, "net1") as heard, one.inside(lambda f=family: socket.socket(f, socket.SOCK_DGRAM)) as client:  # type: ignore[misc]
            client.bind((source, 0))
            for _ in range(3):
                client.sendto(MARK, (target, 9))
            assert heard(MARK, 2.0 if passes else 0.3) == passes, source


@pytest.mark.parametrize("proxy", ["up0", ""])
async def test_routed_with_the_node_answering_for_the_pod(lab: Lab, proxy: str) -> None:
    on = await stage(lab)
    _forward(on.node)
    on.node.ip("addr", "add", "203.0.113.1/24", "dev", "up0")
    on.far.ip("addr", "add", "10.1.0.99/24", "dev", "up0")
    on.far.ip("addr", "add", "fd00:1::99/64", "dev", "up0", "nodad")
    on.node.ip("route", "add", "10.1.0.99/32", "dev", "up0")
    on.node.ip("-6", "route", "add", "fd00:1::99/128", "dev", "up0")
    await ready(on.datapath, _router(uplink=proxy))
    pod = lab.place()
    wanted = [routed(5, proxy=proxy)]
    await on.datapath.attach(pod.path, wanted)
    patience = 3.0 if proxy else 0.5
    assert crosses(on.far, pod, "10.1.0.5", patience) == bool(proxy)
    assert crosses(on.far, pod, "fd00:1::5", patience) == bool(proxy)
    await on.datapath.detach(pod.path, wanted)
    assert on.node.ip("neigh", "show", "proxy") == ""


async def test_a_pod_on_two_routed_networks(lab: Lab) -> None:
    """Each has a next hop of its own, so that the node reaches the Pod on both."""
    on = await stage(lab)
    _forward(on.node)
    await ready(on.datapath, _router("a"), _router("b"))
    pod = lab.place()
    second = dataclasses.replace(
        routed(7, name="net2"),
        addresses=(ip_interface("10.7.0.7/32"),),
        routes=(route("169.254.201.1/32"), route("10.7.0.0/24", "169.254.201.1")),
        detail=RoutedDetail(gateways=["169.254.201.1"]),
    )
    await on.datapath.attach(pod.path, [routed(5), second])
    assert crosses(on.node, pod, "10.1.0.5")
    assert crosses(on.node, pod, "10.7.0.7")


async def test_a_guest_behind_a_tap(lab: Lab) -> None:
    on = await stage(lab)
    pod, other = lab.place(), lab.place()
    await on.datapath.attach(pod.path, [tap(5, anti_spoof=True)])
    await on.datapath.attach(other.path, [link(6)])
    with guests.behind_tap(pod, "net1") as guest, sniffer(other, "net1") as heard:
        assert guests.until_heard(guest, wire.arp("02:00:00:00:00:05", "02:00:00:00:00:05", "10.1.0.5", MARK), heard)
        answer = wire.ethernet("02:00:00:00:00:06", 0x88B5, b"to the guest", wire.mac("02:00:00:00:00:05"))
        wire.send(other, "net1", answer)
        assert guests.reads(guest, b"to the guest")
        os.write(guest, wire.arp("02:00:00:00:00:05", "02:00:00:00:00:05", "10.1.0.7", MARK).ljust(60, b"\0"))
        os.write(guest, wire.arp("02:00:00:00:00:77", "02:00:00:00:00:77", "10.1.0.5", MARK).ljust(60, b"\0"))
        assert not heard(MARK, 0.3), "an address or a MAC address that is not the guest's"


@pytest.mark.needs("macvtap")
async def test_a_guest_behind_a_macvtap(lab: Lab, tmp_path: pathlib.Path) -> None:
    on = await stage(lab)
    pod = lab.place()
    (found,) = await on.datapath.attach(pod.path, [upon(5, "macvtap", detail=MacvtapDetail())])
    assert found.device is not None
    offload = bytes(10)  # struct virtio_net_hdr
    with guests.behind_macvtap(found.device, tmp_path) as guest, sniffer(on.far, "up0") as heard:
        assert guests.until_heard(guest, offload + wire.ethernet("02:00:00:00:00:05", 0x88B5, MARK.ljust(60)), heard)
        wire.send(on.far, "up0", wire.ethernet("02:00:00:00:00:06", 0x88B5, MARK, wire.mac("02:00:00:00:00:05")))
        assert guests.reads(guest, MARK)


@pytest.mark.needs("macvlan")
@pytest.mark.parametrize(("mode", "together"), [("bridge", True), ("private", False), ("vepa", False)])
async def test_macvlans_of_one_uplink(lab: Lab, mode: str, together: bool) -> None:
    on = await stage(lab)
    on.far.ip("addr", "add", "10.1.0.99/24", "dev", "up0")
    one, two = lab.place(), lab.place()
    await on.datapath.attach(one.path, [upon(5, "macvlan", mode=mode)])
    await on.datapath.attach(two.path, [upon(6, "macvlan", mode=mode)])
    assert crosses(one, on.far, "10.1.0.99")
    assert crosses(one, two, "10.1.0.6", 15.0 if together else 0.5) == together


@pytest.mark.needs("macvlan")
@pytest.mark.parametrize(("mode", "together"), [("private", False), ("vepa", True)])
async def test_macvlans_with_a_switch_that_sends_back(lab: Lab, mode: str, together: bool) -> None:
    on = await stage(lab)
    on.far.ip("link", "add", "br9", "type", "bridge")
    on.far.ip("link", "set", "br9", "up")
    on.far.ip("link", "set", "up0", "master", "br9")
    on.far.ip("link", "set", "up0", "type", "bridge_slave", "hairpin", "on")
    one, two = lab.place(), lab.place()
    await on.datapath.attach(one.path, [upon(5, "macvlan", mode=mode)])
    await on.datapath.attach(two.path, [upon(6, "macvlan", mode=mode)])
    assert crosses(one, two, "10.1.0.6", 15.0 if together else 0.5) == together


@pytest.mark.needs("macvlan")
async def test_macvlan_passthru_is_the_uplink(lab: Lab) -> None:
    on = await stage(lab)
    on.far.ip("addr", "add", "10.1.0.99/24", "dev", "up0")
    pod = lab.place()
    (found,) = await on.datapath.attach(pod.path, [upon(5, "macvlan", mode="passthru")])
    assert found.mac in on.node.ip("link", "show", "up0")
    assert crosses(pod, on.far, "10.1.0.99")


@pytest.mark.needs("ipvlan")
async def test_ipvlans_of_one_uplink(lab: Lab) -> None:
    on = await stage(lab)
    on.far.ip("addr", "add", "10.1.0.99/24", "dev", "up0")
    on.far.ip("addr", "add", "fd00:1::99/64", "dev", "up0", "nodad")
    one, two = lab.place(), lab.place()
    (found,) = await on.datapath.attach(one.path, [upon(5, "ipvlan", mode="l2")])
    await on.datapath.attach(two.path, [upon(6, "ipvlan", mode="l2")])
    assert found.mac in on.node.ip("link", "show", "up0")
    assert crosses(one, two, "10.1.0.6")
    assert crosses(two, one, "fd00:1::5")
    assert crosses(one, on.far, "10.1.0.99")
    assert crosses(on.far, two, "fd00:1::6")


@pytest.mark.needs("ipvlan")
@pytest.mark.parametrize("mode", ["l3", "l3s"])
async def test_ipvlans_that_route(lab: Lab, mode: str) -> None:
    on = await stage(lab)
    on.node.ip("addr", "add", "203.0.113.1/24", "dev", "up0")
    on.far.ip("addr", "add", "203.0.113.2/24", "dev", "up0")
    on.far.ip("route", "add", "10.1.0.0/24", "via", "203.0.113.1")
    one, two = lab.place(), lab.place()
    gateways = (ip_address(HOP4), ip_address("fe80::1"))
    await on.datapath.attach(one.path, [upon(5, "ipvlan", mode=mode, default_gateways=gateways)])
    await on.datapath.attach(two.path, [upon(6, "ipvlan", mode=mode)])
    assert crosses(one, two, "10.1.0.6")
    assert crosses(one, two, "fd00:1::6")
    assert crosses(one, on.far, "203.0.113.2")


def _vlan_of_far(far: Place, vid: int, address: str) -> None:
    """What is behind the switch: the VLAN, tagged."""
    far.ip("link", "add", "link", "up0", "name", f"up0.{vid}", "type", "vlan", "id", str(vid))
    far.ip("addr", "add", f"{address}/24", "dev", f"up0.{vid}")
    far.ip("link", "set", f"up0.{vid}", "up")


_TWO = (ip_interface("10.1.0.6/24"), ip_interface("10.2.0.6/24"))
"""Of a Pod in another VLAN: the address by which its neighbours could reach it, and that of its own subnet."""


def _over_vlan(vid: int, **changed: object) -> NodeLink:
    values = {"uplink": f"up0.{vid}", "parent": "up0", "vid": vid, "needs": ("vlan",), **changed}
    return bridge(f"pv-up0.{vid}", **values)


@pytest.mark.needs("vlan")
async def test_a_bridge_over_a_vlan(lab: Lab) -> None:
    on = await stage(lab)
    _vlan_of_far(on.far, 100, "10.1.0.99")
    _vlan_of_far(on.far, 200, "10.2.0.98")
    states = await ready(on.datapath, _over_vlan(100), _over_vlan(200))
    assert {state.mtu for state in states.values()} == {1500}
    one, two = lab.place(), lab.place()
    await on.datapath.attach(one.path, [link(5, master="pv-up0.100", anti_spoof=True)])
    await on.datapath.attach(two.path, [link(6, master="pv-up0.200", addresses=_TWO)])
    assert crosses(one, on.far, "10.1.0.99")
    assert crosses(two, on.far, "10.2.0.98")
    assert not crosses(one, two, "10.1.0.6", 0.5)
    await on.datapath.detach(one.path, [link(5, master="pv-up0.100")])
    await ready(on.datapath, _over_vlan(200))
    assert {"up0.200", "pv-up0.200", "up0"} <= on.node.links()
    assert not {"up0.100", "pv-up0.100"} & on.node.links()
    await ready(on.datapath)
    assert {"up0.200", "pv-up0.200"} <= on.node.links(), "a Pod is on it"


@pytest.mark.needs("vlan")
async def test_a_vlan_that_somebody_else_made_is_used_and_stays(lab: Lab) -> None:
    on = await stage(lab)
    _vlan_of_far(on.far, 100, "10.1.0.99")
    on.node.ip("link", "add", "link", "up0", "name", "theirs", "type", "vlan", "id", "100")
    await ready(on.datapath, _over_vlan(100))
    pod = lab.place()
    await on.datapath.attach(pod.path, [link(5, master="pv-up0.100")])
    assert crosses(pod, on.far, "10.1.0.99")
    await on.datapath.detach(pod.path, [link(5, master="pv-up0.100")])
    await ready(on.datapath)
    assert "theirs" in on.node.links()
    assert "up0.100" not in on.node.links()


@pytest.mark.needs("vlan")
async def test_a_vlan_that_is_the_pods(lab: Lab) -> None:
    on = await stage(lab)
    _vlan_of_far(on.far, 100, "10.1.0.99")
    pod = lab.place()
    await on.datapath.attach(pod.path, [upon(5, "vlan", vlan=100)])
    assert crosses(pod, on.far, "10.1.0.99")


@pytest.mark.needs("bridge-vlan", "vlan")
async def test_access_vlans_of_one_bridge(lab: Lab) -> None:
    on = await stage(lab)
    _vlan_of_far(on.far, 10, "10.1.0.99")
    _vlan_of_far(on.far, 20, "10.2.0.98")
    wanted = [bridge("br9", uplink="up0", vlan=vid, needs=("bridge-vlan",)) for vid in (10, 20)]
    assert set(await ready(on.datapath, *wanted)) == {"br9/10", "br9/20"}
    one, two, three = lab.place(), lab.place(), lab.place()
    ports = [
        link(5, master="br9", vlan=10, anti_spoof=True),
        link(6, master="br9", vlan=20, addresses=_TWO),
        link(7, master="br9", vlan=10),
    ]
    for pod, port in zip((one, two, three), ports, strict=True):
        await on.datapath.attach(pod.path, [port])
        await on.datapath.attach(pod.path, [port])
    assert crosses(one, on.far, "10.1.0.99")
    assert crosses(two, on.far, "10.2.0.98"), on.node.run("bridge", "vlan", "show")
    assert crosses(one, three, "10.1.0.7")
    assert not crosses(one, two, "10.1.0.6", 0.5)
    with sniffer(on.far, "up0") as heard:
        tagged = wire.ethernet("02:00:00:00:00:07", 0x8100, b"\0\x14\x88\xb5" + MARK)
        wire.send(three, "net1", tagged)
        assert not heard(MARK, 0.3), "a Pod does not choose its VLAN"
    await ready(on.datapath, wanted[1])
    assert " 10" not in on.node.run("bridge", "vlan", "show", "dev", "up0")
    assert crosses(two, on.far, "10.2.0.98")


@pytest.mark.needs("bridge-vlan", "vlan")
async def test_an_access_vlan_with_a_gateway(lab: Lab) -> None:
    on = await stage(lab)
    _vlan_of_far(on.far, 10, "10.1.0.99")
    await ready(on.datapath, bridge("br9", uplink="up0", vlan=10, gateways=(ip_interface("10.1.0.1/24"),)))
    pod = lab.place()
    await on.datapath.attach(pod.path, [link(5, master="br9", vlan=10)])
    assert crosses(pod, on.node, "10.1.0.1")
    assert crosses(on.far, on.node, "10.1.0.1")


@pytest.mark.needs("bridge-vlan")
async def test_a_bridge_of_somebody_else_must_filter_already(lab: Lab) -> None:
    on = await stage(lab)
    on.node.ip("link", "add", "theirs", "type", "bridge")
    (state,) = (await on.datapath.ensure_node([bridge("theirs", vlan=10)])).values()
    assert state.message == "cannot use theirs for VLAN 10: the bridge does not filter VLANs"


def _guarded(links: list[Link], detail: BondDetail) -> list[Link]:
    """As planned (parts.joined): the parts let through what the bond sends."""
    macs = [one.mac for one in (links[2], *links[:2])]
    senders = Senders(macs=macs, addresses=[str(one) for one in links[2].addresses])
    own_mac = links[2].mac if detail.fail_over_mac == "none" else ""
    ports = [dataclasses.replace(one, anti_spoof=True, senders=senders) for one in links[:2]]
    return [*ports, dataclasses.replace(links[2], detail=detail, mac=own_mac)]


BONDS = [
    BondDetail(parts=["net1", "net2"]),
    BondDetail(parts=["net1", "net2"], fail_over_mac="active"),
    BondDetail(parts=["net1", "net2"], mode="balance-rr"),
    BondDetail(parts=["net1", "net2"], mode="balance-xor", xmit_hash_policy="layer3+4"),
    BondDetail(parts=["net1", "net2"], mode="balance-alb", miimon=50),
    BondDetail(parts=["net1", "net2"], mode="balance-tlb"),
    BondDetail(parts=["net1", "net2"], mode="broadcast"),
    BondDetail(parts=["net1", "net2"], fail_over_mac="follow"),
]


@pytest.mark.needs("bond")
@pytest.mark.parametrize("detail", BONDS, ids=lambda detail: f"{detail.mode}-{detail.fail_over_mac}")
async def test_a_bond_goes_on_when_a_part_fails(lab: Lab, detail: BondDetail) -> None:
    on = await stage(lab)
    pod, other = lab.place(), lab.place()
    wanted = _guarded(bond(5), detail)
    found = await on.datapath.attach(pod.path, wanted)
    assert f"bond mode {detail.mode}" in pod.ip("-d", "link", "show", "bond0")
    assert [one.addresses for one in found] == [(), (), wanted[2].addresses]
    await on.datapath.attach(other.path, [link(6)])
    assert crosses(pod, other, "10.1.0.6")
    assert crosses(pod, other, "fd00:1::6")
    on.node.ip("link", "set", wanted[0].host_name, "down")
    await asyncio.sleep(0.3)
    assert crosses(pod, other, "10.1.0.6")
    assert crosses(other, pod, "10.1.0.5")
    recorded = [dataclasses.replace(one, mac=seen.mac) for one, seen in zip(wanted, found, strict=True)]
    again = await on.datapath.attach(pod.path, recorded)
    assert [one.index for one in again] == [one.index for one in found], "as it was found, now with another MAC address"
    with sniffer(other, "net1") as heard:
        wire.send(pod, "bond0", wire.arp("02:00:00:00:00:77", "02:00:00:00:00:77", "10.1.0.5", MARK))
        wire.send(pod, "bond0", wire.arp(wanted[1].mac, wanted[1].mac, "10.1.0.77", MARK))
        assert not heard(MARK, 0.3)


@pytest.mark.needs("vrf")
async def test_a_vrf_has_routes_of_its_own(lab: Lab) -> None:
    on = await stage(lab)
    _forward(on.node)
    await ready(on.datapath, bridge(gateways=(ip_interface("10.1.0.1/24"), ip_interface("fd00:1::1/64"))), _router())
    on.node.ip("addr", "add", "203.0.113.1/24", "dev", "up0")
    on.far.ip("addr", "add", "203.0.113.2/24", "dev", "up0")
    on.far.ip("route", "add", "10.1.0.0/24", "via", "203.0.113.1")
    pod, other = lab.place(), lab.place()
    await on.datapath.attach(pod.path, vrf(5))
    await on.datapath.attach(other.path, [link(6, routes=(route("10.9.0.0/16", "10.1.0.1"),))])
    assert crosses(pod, other, "10.1.0.6", device="vrf0")
    assert crosses(pod, other, "fd00:1::6", device="vrf0")
    assert crosses(pod, on.far, "203.0.113.2", device="vrf0"), "the default route of the VRF"
    assert not crosses(pod, on.far, "203.0.113.2", 0.5), "which is not the Pod's"


@pytest.mark.needs("vrf", "bond")
async def test_a_vrf_over_a_bond(lab: Lab) -> None:
    on = await stage(lab)
    pod, other = lab.place(), lab.place()
    detail = VrfDetail(parts=["bond0"], table=7, routes=[PartRoute(part="bond0", destination="10.8.0.0/16")])
    whole = [*bond(5), link(9, kind="vrf", name="vrf0", master="", mac="", mtu=0, addresses=(), detail=detail)]
    first = await on.datapath.attach(pod.path, whole)
    second = await on.datapath.attach(pod.path, whole)
    assert [one.index for one in second] == [one.index for one in first]
    await on.datapath.attach(other.path, [link(6)])
    assert crosses(pod, other, "10.1.0.6", device="vrf0")
    await on.datapath.detach(pod.path, whole)
    assert pod.links() == {"lo"}
