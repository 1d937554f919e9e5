"""What networks need on the node: made, corrected, removed, and a true state of each."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from ipaddress import ip_address, ip_interface

from netns.lab import Lab, Place, bridge, link, ready
from podnet_api import reasons
from podnet_kni_server.datapath.kernel import KernelDatapath
from podnet_kni_server.datapath.model import LinkEvent, NodeLink


def _node(lab: Lab) -> tuple[Place, KernelDatapath]:
    node = lab.place()
    return node, lab.datapath(node)


def _shown(node: Place, name: str) -> dict[str, object]:
    (found,) = json.loads(node.ip("-j", "-d", "addr", "show", name))
    return dict(found)


async def test_bridge_keeps_its_mac_and_mtu_whatever_joins(lab: Lab) -> None:
    node, datapath = _node(lab)
    pod = lab.place()
    wanted = bridge(gateways=(ip_interface("10.1.0.1/24"), ip_interface("fd00:1::1/64")))
    await ready(datapath, wanted)
    before = _shown(node, "br0")
    info = before["linkinfo"]["info_data"]  # type: ignore[index]
    assert [info[key] for key in ("stp_state", "forward_delay", "nf_call_iptables", "nf_call_ip6tables")] == [0] * 4
    await datapath.attach(pod.path, [link(2, mac="00:00:00:00:00:02", mtu=1400)])
    await ready(datapath, wanted)
    after = _shown(node, "br0")
    assert [after[key] for key in ("address", "mtu", "ifindex")] == [
        before[key] for key in ("address", "mtu", "ifindex")
    ]
    assert before["mtu"] == 1500
    assert not any(one.get("tentative") for one in after["addr_info"])  # type: ignore[attr-defined]


async def test_gateways_follow_what_is_wanted(lab: Lab) -> None:
    node, datapath = _node(lab)
    await ready(datapath, bridge(gateways=(ip_interface("10.1.0.1/24"),)))
    await ready(datapath, bridge(gateways=(ip_interface("10.1.0.2/24"),)))
    addresses = [one["local"] for one in _shown(node, "br0")["addr_info"]]  # type: ignore[attr-defined]
    assert "10.1.0.2" in addresses
    assert "10.1.0.1" not in addresses


async def test_without_gateways_the_node_is_not_on_the_wire(lab: Lab) -> None:
    node, datapath = _node(lab)
    await ready(datapath, bridge())
    assert _shown(node, "br0")["addr_info"] == []


async def test_bridges_of_ours_go_when_unwanted_and_empty(lab: Lab) -> None:
    node, datapath = _node(lab)
    pod = lab.place()
    node.ip("addr", "add", "203.0.113.1/24", "dev", "lo")
    node.ip("link", "add", "theirs", "type", "bridge")
    vxlan = NodeLink("vxlan", "br7", "vx7", 7, local=ip_address("203.0.113.1"))
    await ready(datapath, bridge(), bridge("br1"), vxlan)
    await datapath.attach(pod.path, [link(5, master="br7")])
    await ready(datapath)
    assert node.links() == {"lo", "theirs", "br7", "vx7", link(5).host_name}
    await datapath.detach(pod.path, [link(5, master="br7")])
    await ready(datapath)
    assert node.links() == {"lo", "theirs"}


async def test_bridge_stays_while_containers_of_others_hang_on_it(lab: Lab) -> None:
    """A CNI plugin that was told the same bridge attaches to what is there."""
    node, datapath = _node(lab)
    await ready(datapath, bridge())
    node.ip("link", "add", "veth1a2b3c4d", "master", "br0", "type", "veth", "peer", "name", "eth9")
    await ready(datapath)
    assert node.links() >= {"br0", "veth1a2b3c4d"}
    node.ip("link", "delete", "veth1a2b3c4d")
    await ready(datapath)
    assert node.links() == {"lo"}


async def test_bridge_of_somebody_else_is_used_and_left_alone(lab: Lab) -> None:
    node, datapath = _node(lab)
    node.ip("link", "add", "theirs", "mtu", "1400", "type", "bridge")
    before = _shown(node, "theirs")["address"]
    states = await ready(datapath, bridge("theirs"))
    assert states["theirs"].mtu == 1400
    assert _shown(node, "theirs")["address"] == before
    node.ip("link", "add", "other", "type", "veth", "peer", "name", "other2")
    (state,) = (await datapath.ensure_node([bridge("other")])).values()
    assert (state.ready, state.reason) == (False, reasons.SETUP_FAILED)
    assert state.message == "cannot use other as a bridge: it is a veth"


async def test_uplinks(lab: Lab) -> None:
    node, datapath = _node(lab)
    far = lab.place()
    absent = NodeLink("uplink", "up0")
    states = await datapath.ensure_node([absent, bridge(uplink="up0")])
    assert {state.reason for state in states.values()} == {reasons.UPLINK_MISSING}
    lab.cable(node, far)
    node.ip("link", "set", "up0", "mtu", "9000")
    far.ip("link", "set", "up0", "mtu", "9000")
    states = await ready(datapath, absent, bridge(uplink="up0"))
    assert {state.mtu for state in states.values()} == {9000}
    far.ip("link", "set", "up0", "down")
    states = await datapath.ensure_node([absent, bridge(uplink="up0")])
    assert {state.reason for state in states.values()} == {reasons.UPLINK_DOWN}


async def test_uplink_with_the_nodes_address_is_refused(lab: Lab) -> None:
    node, datapath = _node(lab)
    lab.cable(node, lab.place())
    node.ip("addr", "add", "203.0.113.1/24", "dev", "up0")
    states = await datapath.ensure_node([bridge(uplink="up0"), bridge("br1")])
    assert states["br0"].message == "cannot add up0 to br0: the node would lose its address 203.0.113.1/24"
    assert states["br1"].ready


async def test_vxlan_peers_are_changed_by_difference(lab: Lab) -> None:
    node, datapath = _node(lab)
    node.ip("addr", "add", "203.0.113.1/24", "dev", "lo")

    async def flooded(port: int, *peers: int) -> set[str]:
        addresses = frozenset(ip_address(f"203.0.113.{peer}") for peer in peers)
        await ready(datapath, NodeLink("vxlan", "br7", "vx7", 7, port, ip_address("203.0.113.1"), addresses))
        listed = json.loads(node.run("bridge", "-j", "fdb", "show", "dev", "vx7"))
        return {one["dst"] for one in listed if one["mac"] == "00:00:00:00:00:00"}

    assert await flooded(4789, 2, 3) == {"203.0.113.2", "203.0.113.3"}
    first = _shown(node, "vx7")["ifindex"]
    assert await flooded(4789, 3, 4, 1) == {"203.0.113.3", "203.0.113.4"}, "the node itself is no peer"
    assert _shown(node, "vx7")["ifindex"] == first
    assert await flooded(8472, 3) == {"203.0.113.3"}, "another port needs another device"
    assert _shown(node, "vx7")["ifindex"] != first


async def test_vxlan_without_the_underlay(lab: Lab) -> None:
    _, datapath = _node(lab)
    (state,) = (
        await datapath.ensure_node([NodeLink("vxlan", "br7", "vx7", 7, local=ip_address("192.0.2.9"))])
    ).values()
    assert (state.ready, state.reason) == (False, reasons.UPLINK_MISSING)


async def _until(events: AsyncIterator[LinkEvent], wanted: LinkEvent) -> float:
    begin = time.monotonic()
    async with asyncio.timeout(5):
        async for event in events:
            if event == wanted:
                return time.monotonic() - begin
    raise AssertionError("the watch ended")


async def test_watch_sees_an_uplink_go_down_and_away(lab: Lab) -> None:
    node, datapath = _node(lab)
    far = lab.place()
    lab.cable(node, far)
    events = datapath.watch_links()
    await _until(events, LinkEvent("up0", True, True))
    far.ip("link", "set", "up0", "down")
    assert await _until(events, LinkEvent("up0", False, True)) < 2
    far.ip("link", "set", "up0", "up")
    await _until(events, LinkEvent("up0", True, True))
    node.ip("link", "set", "up0", "down")
    assert await _until(events, LinkEvent("up0", False, True)) < 2
    node.ip("link", "set", "up0", "name", "renamed")
    await _until(events, LinkEvent("up0", False, False))
    node.ip("link", "delete", "renamed")
    await _until(events, LinkEvent("renamed", False, False))


async def test_watch_survives_more_changes_than_it_can_hold(lab: Lab) -> None:
    node, datapath = _node(lab)
    events = datapath.watch_links()
    await anext(events)
    script = "".join(f"link set lo mtu {1000 + n}\n" for n in range(4000)) + "link add last type bridge\n"
    node.run("ip", "-batch", "-", text=script)
    await _until(events, LinkEvent("last", False, True))


async def test_kinds_are_found_out_by_making_them(lab: Lab) -> None:
    node, datapath = _node(lab)
    answers = await datapath.kinds()
    assert answers["veth"] == answers["bridge"] == ""
    assert node.links() == {"lo"}
    assert all(why == "" or why.startswith(("kernel lacks ", "the node lacks ")) for why in answers.values()), answers
