"""What the other kinds need of a node: uplinks that have one use, a kernel that has the kind, a node that forwards."""

from ipaddress import ip_interface

import pytest
from netns.lab import Lab, bridge, ready
from podnet_api import reasons
from podnet_kni_server.datapath import forward
from podnet_kni_server.datapath.model import NodeLink
from podnet_tests import needs


async def test_an_uplink_has_one_use(lab: Lab) -> None:
    node = lab.place()
    lab.cable(node, lab.place())
    wanted = [
        NodeLink("uplink", "up0", use="ipvlan l2"),
        NodeLink("uplink", "up0", use="ipvlan l3"),
        NodeLink("uplink", "up0", use="macvlan"),
        bridge(uplink="up0"),
        NodeLink("uplink", "up0"),
    ]
    states = await lab.datapath(node).ensure_node(wanted)
    assert [state.ready for state in states.values()] == [True, False, False, False, True]
    assert states["up0/ipvlan l3"].message == ("cannot use up0 for ipvlan l3: another network uses it for ipvlan l2")
    assert states["br0"].message == "cannot use up0 for br0: another network uses it for ipvlan l2"


@pytest.mark.parametrize("kind", ["ipvlan", "vlan", "bond", "vrf", "macvtap", "macvlan", "vxlan"])
async def test_a_kernel_without_a_kind_is_named(lab: Lab, kind: str) -> None:
    node = lab.place()
    lab.cable(node, lab.place())
    (state,) = (await lab.datapath(node).ensure_node([NodeLink("uplink", "up0", needs=(kind,))])).values()
    if needs.missing(kind):
        assert (state.ready, state.reason) == (False, reasons.KERNEL_LACKS)
        assert state.message == f"cannot set up up0: kernel lacks {kind}"
    else:
        assert (state.ready, state.mtu) == (True, 1500)


async def test_a_kernel_that_filters_no_vlans_is_named(lab: Lab) -> None:
    node = lab.place()
    wanted = bridge(vlan=10, needs=("bridge-vlan",))
    (state,) = (await lab.datapath(node).ensure_node([wanted])).values()
    if needs.missing("bridge-vlan"):
        assert state.message == "cannot set up br0: kernel lacks bridge VLAN filtering"
        assert "br0" not in node.links()
    else:
        assert state.ready


async def test_a_node_that_does_not_forward_ipv6_says_so(lab: Lab) -> None:
    node = lab.place()
    node.run("sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward")
    both, four = NodeLink("routed", "both", versions=(4, 6)), NodeLink("routed", "four", versions=(4,))
    states = await lab.datapath(node).ensure_node([both, four])
    assert states["both"].message == "cannot route for Pods: the node does not forward IPv6"
    assert states["four"].ready
    assert node.run("cat", "/proc/sys/net/ipv4/ip_forward").strip() == "1"


async def test_the_uplink_that_answers_for_pods_must_be_there(lab: Lab) -> None:
    node = lab.place()
    (state,) = (await lab.datapath(node).ensure_node([NodeLink("routed", "n", uplink="up0")])).values()
    assert state.reason == reasons.UPLINK_MISSING


async def test_routed_packets_pass_a_firewall_that_drops(lab: Lab) -> None:
    node = lab.place()
    for family in ("ip", "ip6"):
        node.run("nft", "add", "table", family, "filter")
        node.run(
            "nft", "add", "chain", family, "filter", "FORWARD", "{ type filter hook forward priority 0; policy drop; }"
        )
    datapath = lab.datapath(node)
    for _ in range(2):
        await ready(datapath, NodeLink("routed", "n"), bridge())
        rules = node.run("nft", "list", "chain", "ip", "filter", "FORWARD")
        assert rules.count("podnet in") == rules.count("podnet out") == 1
        assert rules.count('iifname "br0"') == 1
    await ready(datapath, bridge())
    assert not any(word in node.run("nft", "list", "ruleset") for word in forward.ROUTED)


async def test_gateways_of_a_bridge_that_networks_share(lab: Lab) -> None:
    node = lab.place()
    wanted = [bridge(gateways=(ip_interface("10.1.0.1/24"),)), bridge(gateways=(ip_interface("10.2.0.1/24"),))]
    await ready(lab.datapath(node), *wanted)
    shown = node.ip("addr", "show", "br0")
    assert "10.1.0.1" in shown
    assert "10.2.0.1" in shown
