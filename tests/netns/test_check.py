"""CHECK and changes in place on a real kernel: everything that can be broken by hand is found, said and repaired."""

import asyncio
import dataclasses
import json
import pathlib
import socket
import struct
from collections.abc import Callable
from ipaddress import ip_address, ip_interface

import pytest
from netns.kinds_lab import HOP4, KINDS, every_kind, routed, stage, tap
from netns.lab import Lab, Place, bridge, crosses, link, ready, route
from podnet_kni_server.datapath import links as numbers
from podnet_kni_server.datapath import observe
from podnet_kni_server.datapath.channel import Channel
from podnet_kni_server.datapath.kernel import KernelDatapath
from podnet_kni_server.datapath.model import Link, NodeLink
from podnet_kni_server.details import Extras, ShapingRecord

WANTED = link(5, anti_spoof=True, routes=(route("10.9.0.0/16", "10.1.0.1"), route("fd00:9::/64"), route("10.8.0.0/24")))
HOST = WANTED.host_name
LIMITS = Extras(shaping=ShapingRecord(ingress_rate=10**8, egress_rate=10**8))


async def _one(lab: Lab, wanted: Link = WANTED) -> tuple[Place, KernelDatapath, Place]:
    node, pod = lab.place(), lab.place()
    datapath = lab.datapath(node)
    await ready(datapath, bridge(anti_spoof=True))
    await datapath.attach(pod.path, [wanted])
    return node, datapath, pod


async def test_what_is_as_made_needs_nothing(lab: Lab) -> None:
    _, datapath, pod = await _one(lab)
    found = await datapath.check(pod.path, [WANTED])
    assert (found.findings, found.outside) == ((), {})
    assert await datapath.check_node() == []


DAMAGE: dict[str, tuple[Callable[[Place, Place], object], list[str]]] = {
    "down": (
        lambda node, pod: pod.ip("link", "set", "net1", "down"),
        ["net1 was down", "net1 had lost its address fd00:1::5/64", "net1 had lost its route to 10.9.0.0/16"],
    ),
    "address": (
        lambda node, pod: pod.ip("addr", "del", "10.1.0.5/24", "dev", "net1"),
        ["net1 had lost its address 10.1.0.5/24", "net1 had lost its route to 10.9.0.0/16"],
    ),
    "address6": (
        lambda node, pod: pod.ip("addr", "del", "fd00:1::5/64", "dev", "net1"),
        ["net1 had lost its address fd00:1::5/64"],
    ),
    "route": (
        lambda node, pod: pod.ip("route", "del", "10.9.0.0/16"),
        ["net1 had lost its route to 10.9.0.0/16"],
    ),
    "route6": (
        lambda node, pod: pod.ip("-6", "route", "del", "fd00:9::/64"),
        ["net1 had lost its route to fd00:9::/64"],
    ),
    "mtu": (lambda node, pod: pod.ip("link", "set", "net1", "mtu", "1300"), ["net1 had MTU 1300"]),
    "mac": (
        lambda node, pod: pod.ip("link", "set", "net1", "address", "02:00:00:00:00:99"),
        ["net1 had MAC 02:00:00:00:00:99"],
    ),
    "port": (lambda node, pod: node.ip("link", "set", HOST, "nomaster"), ["net1 had left the bridge br0"]),
    "host end down": (lambda node, pod: node.ip("link", "set", HOST, "down"), ["the host end of net1 was down"]),
    "hairpin": (
        lambda node, pod: node.run("bridge", "link", "set", "dev", HOST, "hairpin", "on"),
        ["the port of net1 had another hairpin mode"],
    ),
    "isolated": (
        lambda node, pod: node.run("bridge", "link", "set", "dev", HOST, "isolated", "on"),
        ["the port of net1 had another isolation"],
    ),
    "group": (
        lambda node, pod: node.ip("link", "set", HOST, "group", str(numbers.GROUP_PORT)),
        ["the host end of net1 had another group"],
    ),
    "sets": (
        lambda node, pod: node.run("nft", "flush set bridge podnet from4"),
        ["net1 had lost its entries of the anti-spoofing sets"],
    ),
    "all rules": (
        lambda node, pod: node.run("nft", "flush ruleset"),
        ["net1 had lost its entries of the anti-spoofing sets"],
    ),
    "gone": (lambda node, pod: pod.ip("link", "del", "net1"), ["net1 was gone"]),
}


@pytest.mark.parametrize("how", DAMAGE)
async def test_damage_is_repaired_and_said(lab: Lab, how: str) -> None:
    node, datapath, pod = await _one(lab)
    damage, words = DAMAGE[how]
    damage(node, pod)
    found = await datapath.check(pod.path, [WANTED])
    said = [finding.what for finding in found.findings]
    assert [word for word in words if word not in said] == [], said
    assert all(finding.repaired for finding in found.findings), found.findings
    again = await datapath.check(pod.path, [WANTED])
    assert again.findings == (), "all of it was repaired"
    before = await datapath.observe(pod.path, {"net1"})
    assert await datapath.attach(pod.path, [WANTED]) == before, "and is what attach would have made"


async def test_a_default_route_that_was_lost(lab: Lab) -> None:
    wanted = link(5, default_gateways=(ip_address("10.1.0.1"),))
    _, datapath, pod = await _one(lab, wanted)
    pod.ip("route", "del", "default")
    [finding] = (await datapath.check(pod.path, [wanted])).findings
    assert finding.what == "net1 had lost the default route through 10.1.0.1"
    assert json.loads(pod.ip("-j", "route", "show", "default"))[0]["gateway"] == "10.1.0.1"


async def test_a_route_that_another_link_has_too(lab: Lab) -> None:
    """Equal subnets on two networks of a Pod are legal: each link has its route, and none is found lost for ever."""
    on = await stage(lab)
    pod = lab.place()
    both = [routed(5), link(7, name="net7")]
    await on.datapath.attach(pod.path, both)
    pod.ip("route", "del", "10.1.0.0/24", "via", HOP4, "dev", "net1")
    [finding] = (await on.datapath.check(pod.path, both)).findings
    assert (finding.what, finding.repaired) == ("net1 had lost its route to 10.1.0.0/24", True)
    assert (await on.datapath.check(pod.path, both)).findings == ()
    assert {one["dev"] for one in json.loads(pod.ip("-j", "route", "show", "10.1.0.0/24"))} == {"net1", "net7"}


async def test_what_cannot_be_repaired_is_said(lab: Lab) -> None:
    node, datapath, pod = await _one(lab)
    node.ip("link", "del", "br0")
    pod.ip("link", "del", "net1")
    [finding] = (await datapath.check(pod.path, [WANTED])).findings
    assert not finding.repaired
    assert "the node has no link br0" in finding.why


async def test_what_others_added_stays(lab: Lab) -> None:
    _, datapath, pod = await _one(lab)
    pod.ip("addr", "add", "10.7.7.7/24", "dev", "net1")
    pod.ip("addr", "add", "10.1.0.77/24", "dev", "net1")
    pod.ip("addr", "add", "2001:db8:9::9/64", "dev", "net1", "nodad")
    pod.ip("addr", "add", "2001:db8:9::a/64", "dev", "net1", "nodad", "preferred_lft", "0")
    pod.ip("route", "add", "10.77.0.0/16", "dev", "net1")
    found = await datapath.check(pod.path, [WANTED])
    assert found.findings == ()
    came = (ip_interface("10.1.0.77/24"), ip_interface("10.7.7.7/24"), ip_interface("2001:db8:9::9/64"))
    assert found.outside == {"net1": came}, "one that is deprecated is none to be reached by"
    assert "10.77.0.0/16" in pod.ip("route")


async def test_an_address_by_router_advertisement(lab: Lab) -> None:
    """SLAAC (RFC 4862): a router on the wire announces a prefix, and the Pod's kernel makes its address of it."""
    _, datapath, pod = await _one(lab, link(5))
    router = lab.place()
    await datapath.attach(router.path, [link(1)])
    async with asyncio.timeout(10):
        while not (found := await datapath.check(pod.path, [link(5)])).outside:
            router.inside(lambda: _announce("2001:db8:5::", "net1"))
            await asyncio.sleep(0.2)
    assert found.outside == {"net1": (ip_interface("2001:db8:5::ff:fe00:5/64"),)}


def _announce(prefix: str, interface: str) -> None:
    """A router advertisement (RFC 4861, 4.2) with one prefix option, autonomous and on the link."""
    option = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 3600, 1800, 0) + socket.inet_pton(socket.AF_INET6, prefix)
    message = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + option
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as sender:
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        sender.sendto(message, ("ff02::1", 0, 0, socket.if_nametoindex(interface)))


async def test_addresses_change_in_place(lab: Lab) -> None:
    node, datapath, pod = await _one(lab)
    other = lab.place()
    await datapath.attach(other.path, [link(6)])
    [before] = await datapath.observe(pod.path, {"net1"})
    both = (ip_interface("10.1.0.50/24"), ip_interface("10.1.0.51/24"), ip_interface("fd00:1::50/64"))
    wanted = link(5, anti_spoof=True, addresses=both, routes=WANTED.routes)
    await datapath.readdress(pod.path, wanted, WANTED.addresses)
    [after] = await datapath.observe(pod.path, {"net1"})
    assert set(after.addresses) == set(both)
    assert after.index == before.index, "the link stayed"
    assert (await datapath.check(pod.path, [wanted])).findings == (), "routes and anti-spoofing followed"
    for address in ("10.1.0.50", "10.1.0.51", "fd00:1::50"):
        assert crosses(other, pod, address)
    second = link(5, anti_spoof=True, addresses=both[1:], routes=WANTED.routes)
    await datapath.readdress(pod.path, second, both[:1])
    [after] = await datapath.observe(pod.path, {"net1"})
    assert set(after.addresses) == set(both[1:]), "the kernel takes a secondary address along with its primary"
    assert (await datapath.check(pod.path, [second])).findings == ()
    held = node.run("nft", "list set bridge podnet from4")
    assert "10.1.0.51" in held
    assert "10.1.0.50" not in held
    assert "10.1.0.5 " not in held
    await datapath.readdress(pod.path, second, both[:1])  # again is no harm


async def test_the_addresses_of_a_routed_link_change_in_place(lab: Lab) -> None:
    on = await stage(lab)
    on.node.run("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
    await ready(on.datapath, NodeLink("routed", "n", versions=(4, 6), uplink="up0"))
    pod, wanted = lab.place(), routed(5, proxy="up0")
    [before] = await on.datapath.attach(pod.path, [wanted])
    new = (ip_interface("10.1.0.50/32"), ip_interface("fd00:1::50/128"))
    moved = dataclasses.replace(wanted, addresses=new)
    for _ in range(2):
        await on.datapath.readdress(pod.path, moved, wanted.addresses)
    [after] = await on.datapath.observe(pod.path, {"net1"})
    assert (set(after.addresses), after.index) == (set(new), before.index), "the link stayed"
    assert (await on.datapath.check(pod.path, [moved])).findings == ()
    assert crosses(on.node, pod, "10.1.0.50")
    assert crosses(on.node, pod, "fd00:1::50")
    routes = on.node.ip("route") + on.node.ip("-6", "route")
    assert "10.1.0.5 " not in routes
    assert "fd00:1::5 " not in routes
    answers = on.node.ip("neigh", "show", "proxy")
    assert sorted(line.split()[0] for line in answers.splitlines()) == ["10.1.0.50", "fd00:1::50"]
    await on.datapath.detach(pod.path, [moved])
    assert on.node.ip("neigh", "show", "proxy") == ""


async def test_the_addresses_of_a_guest_change_in_place(lab: Lab) -> None:
    node, pod = lab.place(), lab.place()
    datapath = lab.datapath(node)
    await ready(datapath, bridge(anti_spoof=True))
    wanted = tap(5, anti_spoof=True)
    [before] = await datapath.attach(pod.path, [wanted])
    moved = dataclasses.replace(wanted, addresses=(ip_interface("10.1.0.50/24"),))
    await datapath.readdress(pod.path, moved, wanted.addresses)
    held = node.run("nft", "list set bridge podnet from4") + node.run("nft", "list set bridge podnet from6")
    assert "10.1.0.50" in held
    assert "10.1.0.5 " not in held
    assert "fd00:1::5" not in held
    [after] = await datapath.observe(pod.path, {"net1"})
    assert (after.index, after.addresses) == (before.index, ()), "they are the guest's"
    assert (await datapath.check(pod.path, [moved])).findings == ()
    node.run("nft", "flush set bridge podnet from4")
    found = await datapath.check(pod.path, [moved])
    assert [one.what for one in found.findings] == ["net1 had lost its entries of the anti-spoofing sets"]


async def test_a_default_route_is_put_back(lab: Lab) -> None:
    _, datapath, pod = await _one(lab, link(6))
    pod.ip("link", "add", "eth0", "type", "veth", "peer", "name", "far0")
    pod.ip("link", "set", "eth0", "up")
    pod.ip("link", "set", "far0", "up")
    pod.ip("addr", "add", "192.0.2.2/24", "dev", "eth0")
    pod.ip("route", "add", "default", "via", "192.0.2.1")
    former = await datapath.defaults(pod.path)
    wanted = link(7, name="net2", default_gateways=(ip_address("10.1.0.1"),))
    await datapath.attach(pod.path, [wanted])
    await datapath.restore_defaults(pod.path, former)
    assert json.loads(pod.ip("-j", "route", "show", "default"))[0]["dev"] == "net2", "one that is there is left"
    await datapath.detach(pod.path, [wanted])
    await datapath.restore_defaults(pod.path, former)
    assert json.loads(pod.ip("-j", "route", "show", "default"))[0]["dev"] == "eth0"


async def test_the_node_tells_what_it_has_lost(lab: Lab) -> None:
    node = lab.place()
    node.ip("addr", "add", "192.0.2.1/32", "dev", "lo")
    datapath = lab.datapath(node)
    peers = frozenset((ip_address("192.0.2.2"), ip_address("192.0.2.3")))
    overlay = NodeLink("vxlan", "br7", vxlan_name="px7", vni=7, local=ip_address("192.0.2.1"), peers=peers)
    await ready(datapath, overlay)
    assert await datapath.check_node() == []
    node.run("bridge", "fdb", "del", "00:00:00:00:00:00", "dev", overlay.vxlan_name, "dst", "192.0.2.3")
    lost = [f"{overlay.vxlan_name} has lost its forwarding entry to 192.0.2.3"]
    assert [finding.what for finding in await datapath.check_node()] == lost
    node.ip("link", "set", overlay.vxlan_name, "nomaster")
    node.ip("link", "set", overlay.name, "down")
    said = [finding.what for finding in await datapath.check_node()]
    assert said == [
        f"the bridge {overlay.name} is down",
        f"{overlay.vxlan_name} has left the bridge {overlay.name}",
        *lost,
    ]
    await ready(datapath, overlay)
    assert await datapath.check_node() == []


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whenever all links of a namespace are listed: whether it is the node's, the only one with a br0."""
    plain, seen = observe.list_links, []

    def listing(channel: Channel) -> dict[str, observe.Seen]:
        found = plain(channel)
        seen.append("br0" in found)
        return found

    monkeypatch.setattr(observe, "list_links", listing)
    return seen


@every_kind
async def test_every_kind_needs_nothing_and_is_mended(
    lab: Lab, kind: str, tmp_path: pathlib.Path, listed: list[bool]
) -> None:
    """Looking lists no links of the node: it has one for each interface of its Pods, and the kernel holds its lock
    meanwhile. Of a Pod's own namespace one list is read."""
    on = await stage(lab)
    pod = lab.place()
    wanted = [*KINDS[kind](5, tmp_path)]
    limited = link(7, name="net7", extras=LIMITS, addresses=(ip_interface("10.7.0.7/24"),))
    made = await on.datapath.attach(pod.path, wanted)
    await on.datapath.attach(pod.path, [limited])
    listed.clear()
    found = await on.datapath.check(pod.path, [*wanted, limited])
    assert (found.findings, found.outside) == ((), {})
    assert await on.datapath.check_node() == []
    assert listed
    assert not any(listed)
    assert await on.datapath.attach(pod.path, wanted) == made, "looking changed nothing"
    last = wanted[-1].name
    if kind == "userspace":
        return
    pod.ip("link", "set", last, "down")
    found = await on.datapath.check(pod.path, wanted)
    assert f"{last} was down" in [finding.what for finding in found.findings]
    assert all(finding.repaired for finding in found.findings), found.findings
    assert (await on.datapath.check(pod.path, wanted)).findings == ()
    assert await on.datapath.attach(pod.path, wanted) == made, "it was not made anew"
