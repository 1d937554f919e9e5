"""Attach and detach: what the kernel has afterwards, all or nothing, again and again, without the namespace."""

import asyncio
import dataclasses
import json
import os
import re
from ipaddress import ip_address, ip_interface

import pytest
from netns.lab import Lab, Place, bridge, crosses, link, ready, route
from podnet_kni_server.datapath import announce, attach, usual
from podnet_kni_server.datapath.errors import DatapathError, NetlinkError, NetnsMissing
from podnet_kni_server.datapath.kernel import KernelDatapath


async def _one(lab: Lab) -> tuple[Place, KernelDatapath, Place]:
    node, pod = lab.place(), lab.place()
    datapath = lab.datapath(node)
    await ready(datapath, bridge())
    return node, datapath, pod


def _eth0(pod: Place) -> None:
    """What the cluster's own CNI leaves in a Pod."""
    pod.ip("link", "add", "eth0", "type", "veth", "peer", "name", "far0")
    for name in ("eth0", "far0"):
        pod.ip("link", "set", name, "up")
    pod.ip("addr", "add", "192.0.2.2/24", "dev", "eth0")
    pod.ip("addr", "add", "2001:db8::2/64", "dev", "eth0", "nodad")
    pod.ip("route", "add", "default", "via", "192.0.2.1")
    pod.ip("-6", "route", "add", "default", "via", "2001:db8::1")


def _defaults(pod: Place, family: str) -> list[tuple[str, str]]:
    found = json.loads(pod.ip("-j", family, "route", "show", "default"))
    return [(one["dev"], one["gateway"]) for one in found]


async def test_answer_is_what_the_kernel_has(lab: Lab) -> None:
    node, datapath, pod = await _one(lab)
    wanted = link(5, mtu=1400, routes=(route("10.9.0.0/16", "10.1.0.1"), route("fd00:9::/64"), route("10.8.0.0/24")))
    (found,) = await datapath.attach(pod.path, [wanted])
    assert (found.name, found.mac, found.mtu, found.up) == ("net1", "02:00:00:00:00:05", 1400, True)
    assert found.addresses == wanted.addresses
    (shown,) = json.loads(pod.ip("-j", "-d", "addr", "show", "net1"))
    assert shown["ifindex"] == found.index
    assert shown["address"] == found.mac
    assert shown["mtu"] == 1400
    assert {one["local"] for one in shown["addr_info"]} >= {"10.1.0.5", "fd00:1::5"}
    assert not any(one.get("tentative") for one in shown["addr_info"] if one["scope"] == "global")
    four = {(one["dst"], one.get("gateway")) for one in json.loads(pod.ip("-j", "route"))}
    assert four == {("10.1.0.0/24", None), ("10.9.0.0/16", "10.1.0.1"), ("10.8.0.0/24", None)}
    assert "fd00:9::/64" in {one["dst"] for one in json.loads(pod.ip("-j", "-6", "route"))}
    (host,) = json.loads(node.ip("-j", "link", "show", wanted.host_name))
    assert host["ifindex"] == found.host_ifindex
    assert (host["master"], host["mtu"]) == ("br0", 1400)
    assert await datapath.observe(pod.path, {"net1"}) == [found]
    assert await datapath.observe(pod.path, None) == [found]


def _shown(pod: Place) -> object:
    """What ip tells of a Pod, but for what is different in each."""
    words = (("-d", "addr", "show", "net1"), ("route",), ("-6", "route"))
    told = json.dumps([json.loads(pod.ip("-j", *one)) for one in words])
    return re.sub(r'"(link_index|ifindex|link_netnsid|address|link)": ("[^"]*"|\d+)', "", told)


async def test_the_usual_way_makes_what_the_ordinary_one_makes(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    _, datapath, one = await _one(lab)
    other = lab.place()
    wanted = link(5, routes=(route("10.9.0.0/16", "10.1.0.1"), route("10.8.0.0/16", "192.0.2.1")), anti_spoof=True)
    with monkeypatch.context() as patch:
        patch.setattr(attach, "prepare", None)  # it is not needed, also not to read back
        usual_ = await datapath.attach(one.path, [wanted])
    before = _shown(one)
    await datapath.detach(one.path, [wanted])
    monkeypatch.setattr(usual, "fits", lambda _: False)
    ordinary = await datapath.attach(other.path, [wanted])
    assert _shown(other) == before
    assert [dataclasses.replace(each, index=0, host_ifindex=0) for each in usual_] == [
        dataclasses.replace(each, index=0, host_ifindex=0) for each in ordinary
    ]


async def test_an_error_on_the_usual_way_names_what_was_refused(lab: Lab) -> None:
    node, datapath, pod = await _one(lab)
    wrong = route("10.9.0.0/16", "10.1.0.1"), route("10.9.0.0/16", "10.1.0.1")
    with pytest.raises(NetlinkError, match=r"cannot add route to 10\.9\.0\.0/16 over net1: File exists"):
        await datapath.attach(pod.path, [link(5, routes=wrong)])
    assert not {name for name in node.links() if name.startswith("pnv")}


async def test_links_of_many_pods_go_at_once(lab: Lab) -> None:
    node, datapath, _ = await _one(lab)
    pods = [lab.place() for _ in range(3)]
    wanted = [link(5 + at, anti_spoof=at != 1) for at in range(len(pods))]
    for pod, own in zip(pods, wanted, strict=True):
        await datapath.attach(pod.path, [own])
    pods[2].delete()
    await datapath.detach(None, wanted)
    assert node.links() == {"lo", "br0"}
    assert [pod.links() for pod in pods[:2]] == [{"lo"}] * 2
    assert not json.loads(node.run("nft", "-j", "list", "set", "bridge", "podnet", "from4"))["nftables"][-1]["set"].get(
        "elem"
    )


async def test_without_an_mtu_the_masters(lab: Lab) -> None:
    node, datapath, pod = await _one(lab)
    await ready(datapath, bridge(mtu=1380))
    node.ip("link", "add", "up0", "mtu", "1300", "type", "veth", "peer", "name", "up1")
    found = await datapath.attach(pod.path, [link(5, mtu=0), link(6, kind="macvlan", name="net2", master="up0", mtu=0)])
    assert [one.mtu for one in found] == [1380, 1300]
    assert await datapath.attach(pod.path, [link(5, mtu=0)]) == found[:1]


async def test_names_of_fifteen_bytes(lab: Lab) -> None:
    _, datapath, pod = await _one(lab)
    name = "é" * 7 + "x"
    assert len(name.encode()) == 15
    (found,) = await datapath.attach(pod.path, [link(5, name=name)])
    assert found.name == name
    assert len(link(5, name=name).host_name.encode()) == 15


async def test_default_route_replaces_the_one_of_eth0_per_family(lab: Lab) -> None:
    _, datapath, pod = await _one(lab)
    _eth0(pod)
    await datapath.attach(pod.path, [link(5, default_gateways=(ip_address("10.1.0.1"),))])
    assert _defaults(pod, "-4") == [("net1", "10.1.0.1")]
    assert _defaults(pod, "-6") == [("eth0", "2001:db8::1")]
    six = link(6, name="net2", default_gateways=(ip_address("fd00:1::1"),))
    await datapath.attach(pod.path, [six])
    assert _defaults(pod, "-6") == [("net2", "fd00:1::1")]


async def test_default_route_replaces_one_with_another_metric(lab: Lab) -> None:
    _, datapath, pod = await _one(lab)
    _eth0(pod)
    pod.ip("route", "replace", "default", "via", "192.0.2.1", "metric", "7")
    pod.ip("-6", "route", "del", "default")
    pod.ip("-6", "route", "add", "default", "via", "2001:db8::1", "metric", "7")
    gateways = (ip_address("10.1.0.1"), ip_address("fd00:1::1"))
    await datapath.attach(pod.path, [link(5, default_gateways=gateways)])
    assert _defaults(pod, "-4") == [("net1", "10.1.0.1")]
    assert _defaults(pod, "-6") == [("net1", "fd00:1::1")]


async def test_gateway_outside_of_the_subnet_is_on_the_link(lab: Lab) -> None:
    _, datapath, pod = await _one(lab)
    alone = link(5, addresses=(ip_interface("10.1.0.5/32"),), default_gateways=(ip_address("169.254.1.1"),))
    await datapath.attach(pod.path, [alone])
    assert _defaults(pod, "-4") == [("net1", "169.254.1.1")]


async def test_failure_at_the_second_link_leaves_nothing(lab: Lab) -> None:
    node, datapath, pod = await _one(lab)
    _eth0(pod)
    before = node.links(), pod.links(), pod.ip("route"), pod.ip("-6", "route")
    good = link(5, anti_spoof=True, default_gateways=(ip_address("10.1.0.1"), ip_address("fd00:1::1")))
    for bad in (
        link(6, name="net2", master="absent"),
        link(6, name="net2", routes=(route("10.1.0.0/24"), route("10.1.0.0/24"))),
        link(6, name="eth0"),
    ):
        with pytest.raises(DatapathError, match=r"^cannot "):
            await datapath.attach(pod.path, [good, bad])
        assert (node.links(), pod.links(), pod.ip("route"), pod.ip("-6", "route")) == before
    assert good.host_name not in node.run("nft", "list", "table", "bridge", "podnet")


async def test_error_names_the_message_and_the_reason(lab: Lab) -> None:
    _, datapath, pod = await _one(lab)
    twice = ip_interface("10.1.0.5/24")
    with pytest.raises(NetlinkError, match=r"^cannot add address 10\.1\.0\.5/24 to net1: File exists"):
        await datapath.attach(pod.path, [link(5, addresses=(twice, twice))])
    with pytest.raises(DatapathError, match="cannot make net1: the node has no link absent"):
        await datapath.attach(pod.path, [link(5, master="absent")])
    with pytest.raises(NetnsMissing):
        await datapath.attach("/run/netns/absent", [link(5)])


async def test_second_attach_verifies_and_makes_nothing(lab: Lab) -> None:
    node, datapath, pod = await _one(lab)
    wanted = [link(5, anti_spoof=True), link(6, name="net2", hairpin=True)]
    first = await datapath.attach(pod.path, wanted)
    links = node.links()
    assert await datapath.attach(pod.path, wanted) == first
    assert node.links() == links


async def test_neighbours_hear_of_new_links_alone(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    _, datapath, pod = await _one(lab)
    said: list[list[str]] = []
    monkeypatch.setattr(announce, "send", lambda links: said.append([link.name for link in links]))
    for wanted in ([link(5)], [link(5)], [link(5), link(6, name="net2")]):
        await datapath.attach(pod.path, wanted)
    await asyncio.sleep(announce.DELAY + 0.2)
    assert said == [["net1"], ["net1", "net2"]]


async def test_second_attach_makes_what_is_missing_or_damaged(lab: Lab) -> None:
    _, datapath, pod = await _one(lab)
    wanted = [link(5), link(6, name="net2"), link(7, name="net3")]
    first = await datapath.attach(pod.path, wanted)
    pod.ip("link", "delete", "net2")
    pod.ip("addr", "del", "10.1.0.7/24", "dev", "net3")
    second = await datapath.attach(pod.path, wanted)
    assert second[0] == first[0]
    assert [one.addresses for one in second] == [one.addresses for one in wanted]


async def test_host_end_left_of_another_namespace_is_replaced(lab: Lab) -> None:
    _, datapath, pod = await _one(lab)
    other = lab.place()
    await datapath.attach(other.path, [link(5)])
    (found,) = await datapath.attach(pod.path, [link(5)])
    assert found.up
    assert "net1" not in other.links()


async def test_detach_again_and_without_the_namespace(lab: Lab) -> None:
    node, datapath, pod = await _one(lab)
    before = node.links()
    wanted = [link(5, anti_spoof=True), link(6, name="net2", anti_spoof=True)]
    await datapath.attach(pod.path, wanted)
    for path in (pod.path, pod.path, None, "/run/netns/absent"):
        await datapath.detach(path, wanted)
        assert node.links() == before
        assert pod.links() == {"lo"}
    assert wanted[0].host_name not in node.run("nft", "list", "table", "bridge", "podnet")


async def test_detach_when_the_namespace_took_its_links_along(lab: Lab) -> None:
    node, datapath, pod = await _one(lab)
    await datapath.attach(pod.path, [link(5, anti_spoof=True)])
    pod.delete()
    await datapath.detach(pod.path, [link(5, anti_spoof=True)])
    assert link(5).host_name not in node.links()
    assert link(5).host_name not in node.run("nft", "list", "table", "bridge", "podnet")


async def test_ipv6_that_the_runtime_switched_off(lab: Lab) -> None:
    _, datapath, pod = await _one(lab)
    pod.run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6")
    (found,) = await datapath.attach(pod.path, [link(5)])
    assert ip_interface("fd00:1::5/64") in found.addresses
    assert pod.run("cat", "/proc/sys/net/ipv6/conf/default/disable_ipv6").strip() == "1"


async def test_a_hundred_attaches_in_a_row(lab: Lab) -> None:
    _, datapath, pod = await _one(lab)
    wanted = [link(number, name=f"net{number}", anti_spoof=number % 2 == 0) for number in range(2, 102)]
    before = len(os.listdir("/proc/self/fd"))
    for one in wanted:
        (found,) = await datapath.attach(pod.path, [one])
        assert found.addresses == one.addresses
    assert len(await datapath.observe(pod.path, None)) == 100
    async with asyncio.timeout(10):  # what is spent is closed when nothing else comes, one after the other
        while len(os.listdir("/proc/self/fd")) > before + 6:
            await asyncio.sleep(0.05)
    await datapath.detach(pod.path, wanted)
    assert await datapath.observe(pod.path, None) == []


async def test_sweep_removes_what_no_record_names(lab: Lab) -> None:
    node, datapath, pod = await _one(lab)
    wanted = [link(number, name=f"net{number}", anti_spoof=True) for number in range(2, 8)]
    await datapath.attach(pod.path, wanted)
    node.ip("link", "add", "pnv-somebody", "type", "veth", "peer", "name", "pnv-else")
    keep = {wanted[0].host_name}
    assert await datapath.sweep(keep) == sorted(one.host_name for one in wanted[1:])
    assert node.links() == {"lo", "br0", "pnv-somebody", "pnv-else", *keep}
    listed = node.run("nft", "list", "table", "bridge", "podnet")
    assert wanted[0].host_name in listed
    assert wanted[1].host_name not in listed
    assert await datapath.sweep(keep) == []


async def test_macvlan_on_an_uplink(lab: Lab) -> None:
    node, far, one, two = (lab.place() for _ in range(4))
    lab.cable(node, far)
    far.ip("addr", "add", "10.1.0.9/24", "dev", "up0")
    far.ip("addr", "add", "fd00:1::9/64", "dev", "up0", "nodad")
    datapath = lab.datapath(node)
    first, second = (link(number, kind="macvlan", master="up0") for number in (5, 6))
    (found,) = await datapath.attach(one.path, [first])
    await datapath.attach(two.path, [second])
    assert (found.kind, found.mac, found.addresses) == ("macvlan", first.mac, first.addresses)
    for source, target, address in (
        (one, far, "10.1.0.9"), (one, far, "fd00:1::9"), (one, two, "10.1.0.6"), (one, two, "fd00:1::6"),
    ):  # fmt: skip
        assert crosses(source, target, address), address
    assert await datapath.attach(one.path, [first]) == [found]
    await datapath.detach(one.path, [first])
    await datapath.detach(one.path, [first])
    assert one.links() == {"lo"}
