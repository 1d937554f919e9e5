"""OVN-Kubernetes: user-defined networks of all topologies and roles, NADs by their JSON name, primary networks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from podnet_tests import fieldwalk, ovn_examples
from podnet_tests.foreign_objects import NETWORKS, asked, configs, listed, nad, networks, pod, run
from podnet_tests.ovn_examples import cudn, layer2, layer3, localnet, overlay, space, udn


def config(outcome: Any, name: str) -> dict[str, Any]:
    """What the plugin is told."""
    text = configs(outcome)[name]["cni"]["config"]
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (layer2(), {"topology": "layer2", "subnets": "10.1.0.0/16"}),
        (layer2(mtu=1400, subnets=["10.1.0.0/16", "fd00::/64"], ipam={"lifecycle": "Persistent"}),
         {"topology": "layer2", "mtu": 1400, "subnets": "10.1.0.0/16,fd00::/64", "allowPersistentIPs": True}),
        (ovn_examples.PLAIN, {"topology": "layer2"}),
        (layer3(), {"topology": "layer3", "subnets": "10.1.0.0/16/24"}),
        (layer3(subnets=[{"cidr": "10.1.0.0/16"}, {"cidr": "fd00::/48", "hostSubnet": 64}]),
         {"topology": "layer3", "subnets": "10.1.0.0/16,fd00::/48/64"}),
        (localnet(vlan={"mode": "Access", "access": {"id": 7}}, excludeSubnets=["10.1.0.0/28", "10.1.0.32/32"]),
         {"topology": "localnet", "physicalNetworkName": "phys", "subnets": "10.1.0.0/16", "vlanID": 7,
          "excludeSubnets": "10.1.0.0/28,10.1.0.32/32"}),
    ],
)  # fmt: skip
def test_a_network_becomes_what_the_plugin_is_told(spec: dict[str, Any], expected: dict[str, Any]) -> None:
    own = {"cniVersion": "1.0.0", "type": "ovn-k8s-cni-overlay", "role": "secondary"}
    outcome = run(udn(spec))
    assert config(outcome, "a.red") == {**own, "name": "a_red", "netAttachDefName": "a/red", **expected}
    outcome = run(cudn(spec), space(team="x"))
    assert config(outcome, "red") == {**own, "name": "cluster_udn_red", "netAttachDefName": "a/red", **expected}


def test_the_nad_that_it_made_counts_and_is_no_network_of_its_own() -> None:
    made = overlay("red", json_name="a_red", subnets="10.1.0.0/16", role="secondary", extra="x")
    for objects in ((udn(layer2()), made), (made, udn(layer2()))):
        outcome = run(*objects)
        assert not outcome.errors
        assert networks(outcome) == {"a.red": "a.red"}
        assert config(outcome, "a.red")["extra"] == "x"


@pytest.mark.parametrize(
    ("json_name", "expected"),
    [("tenant", "tenant"), ("tenant_blue", "tenant-blue"), ("a_net", "a.net"), ("a.net", "a.net"),
     ("cluster_udn_red", "red"), ("cluster.udn.red", "red")],
)  # fmt: skip
def test_nads_are_named_by_their_json_name(json_name: str, expected: str) -> None:
    outcome = run(overlay(json_name=json_name), pod({NETWORKS: "net"}))
    assert networks(outcome) == {expected: expected}
    assert config(outcome, expected)["name"] == json_name
    assert listed(outcome) == ["default@eth0!", f"{expected}@net1"]


def test_several_nads_of_one_name_are_handles_of_one_network() -> None:
    """The plugin finds a Pod's addresses by netAttachDefName, so each NAD has a configuration of its own."""
    both = [overlay("net", "b"), overlay("net", "a"), overlay("other", "a")]
    outcome = run(*both, pod({NETWORKS: "a/net,b/net,a/other"}))
    assert sorted(networks(outcome)) == ["tenant", "tenant-a.other", "tenant-b"]
    assert {config(outcome, name)["name"] for name in networks(outcome)} == {"tenant"}
    assert config(outcome, "tenant-b")["netAttachDefName"] == "b/net"
    assert listed(outcome) == ["default@eth0!", "tenant@net1", "tenant-b@net2", "tenant-a.other@net3"]


def test_a_network_of_the_cluster_has_a_handle_for_each_namespace() -> None:
    spaces = [space("a", team="x"), space("b", team="x"), space("c")]
    outcome = run(cudn(layer2()), *spaces, pod({NETWORKS: "red"}, "b"))
    assert networks(outcome) == {"red": "red", "red-b": "red-b"}
    assert config(outcome, "red-b")["netAttachDefName"] == "b/red"
    assert listed(outcome) == ["default@eth0!", "red-b@net1"]


def test_a_pod_may_name_a_network_before_its_nad_is_there() -> None:
    assert listed(run(udn(layer2()), pod({NETWORKS: "red@left"}))) == ["default@eth0!", "a.red@left"]


@pytest.mark.parametrize("spec", [ovn_examples.PRIMARY2, ovn_examples.PRIMARY3, ovn_examples.EVPN])
def test_a_primary_network_is_the_clusters_own_cnis(spec: dict[str, Any]) -> None:
    outcome = run(cudn(spec), space(team="x", primary=True), pod({}))
    assert not outcome.made
    assert not outcome.errors
    assert not outcome.changed
    outcome = run(cudn(spec), space(team="x"))
    assert "needs the label k8s.ovn.org/primary-user-defined-network on Namespace a" in outcome.errors[0]


def test_a_primary_network_is_a_nad_too() -> None:
    primary = overlay(role="primary", subnets="10.1.0.0/16")
    assert not run(primary).made
    [error] = run(primary, pod({NETWORKS: "net"})).errors
    assert "[0].name: Forbidden" in error
    assert "every Pod of its namespace has it already, as ovn-udn1" in error


def test_addresses_are_asked_for_only_without_subnets() -> None:
    entry = [{"name": "net", "ips": ["10.1.0.5/16"]}]
    assert "[0].ips: Forbidden" in run(overlay(subnets="10.1.0.0/16"), pod({NETWORKS: entry})).errors[0]
    outcome = run(overlay(), pod({NETWORKS: entry}))
    assert list(asked(outcome).values()) == [{"addresses": ["10.1.0.5/16"]}]


def test_other_nads_of_the_pod_are_named_as_ever() -> None:
    plain = nad("plain", {"type": "macvlan", "master": "eth1"})
    assert listed(run(overlay(), plain, pod({NETWORKS: "plain,net"}))) == [
        "default@eth0!", "a.plain@net1", "tenant@net2"]  # fmt: skip


def test_what_takes_the_place_of_the_default_network() -> None:
    keys = {"v1.multus-cni.io/default-network": "a/net", NETWORKS: "net"}
    assert listed(run(overlay(), pod(keys))) == ["tenant@eth0!", "tenant-2@net1"]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"topology": "Layer4", "layer2": {}}, 'spec.topology: Invalid value: "Layer4"'),
        ({"topology": "Layer2"}, "spec.layer2: Required value"),
        ({**layer2(), "layer3": {"role": "Secondary"}}, "spec.layer3: Invalid value"),
        (layer2("Tertiary"), 'spec.layer2.role: Invalid value: "Tertiary"'),
        (layer2(subnets=["10.1.0.0/33"]), 'spec.layer2.subnets[0]: Invalid value: "10.1.0.0/33"'),
        (layer2(ipam={"mode": "Disabled"}), "spec.layer2.subnets: Invalid value"),
        (layer2(ipam={"mode": "DHCP"}), 'spec.layer2.ipam.mode: Unsupported value: "DHCP"'),
        (layer2(ipam={"mode": "Sometimes"}), "spec.layer2.ipam.mode: Invalid value"),
        (layer3(subnets=[{"cidr": "10.1.0.0/16", "hostSubnet": 16}]), "spec.layer3.subnets[0].hostSubnet: Invalid"),
        (localnet(role="Primary"), "spec.localnet.role: Invalid value"),
        (localnet(physicalNetworkName=""), "spec.localnet.physicalNetworkName: Required value"),
        (localnet(vlan={"mode": "Trunk"}), "spec.localnet.vlan.mode: Invalid value"),
        ({**layer2(), "transport": "EVPN"}, "spec.transport: Unsupported value"),
    ],
)  # fmt: skip
def test_networks_that_are_refused(spec: dict[str, Any], words: str) -> None:
    outcome = run(udn(spec))
    assert any(words in error for error in outcome.errors), outcome.errors


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (overlay(netAttachDefName="b/net"), "spec.config.netAttachDefName: Invalid value"),
        (overlay(topology="star"), 'spec.config.topology: Invalid value: "star"'),
        (overlay(role="third"), "spec.config.role: Invalid value"),
        (overlay(subnets="10.1.0.0/16, 10.2/16"), 'spec.config.subnets[1]: Invalid value: "10.2/16"'),
        (overlay(topology="layer3", subnets="10.1.0.0/16/8"), 'spec.config.subnets[0]: Invalid value: "10.1.0.0/16/8"'),
        (overlay(topology="layer2", subnets="10.1.0.0/16/24"), "spec.config.subnets[0]: Invalid value"),
        (overlay(vlanID=5), "spec.config.vlanID: Invalid value: 5: needs topology localnet"),
    ],
)
def test_nads_that_are_refused(given: dict[str, Any], words: str) -> None:
    assert words in run(given).errors[0]


def test_two_prefix_lengths() -> None:
    assert not run(overlay(topology="layer3", subnets="10.1.0.0/16/24,fd00::/48/64")).errors


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({}, ["a", "b"]),
        ({"matchLabels": {"kubernetes.io/metadata.name": "b"}}, ["b"]),
        ({"matchExpressions": [{"key": "x", "operator": "In", "values": ["1"]}]}, ["a"]),
        ({"matchExpressions": [{"key": "x", "operator": "NotIn", "values": ["1"]}]}, ["b"]),
        ({"matchExpressions": [{"key": "x", "operator": "Exists"}]}, ["a"]),
        ({"matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]}, ["b"]),
    ],
)
def test_selectors(selector: dict[str, Any], expected: list[str]) -> None:
    outcome = run(cudn(layer2(), selector=selector), space("b"), space("a", x="1"))
    chosen = [config(outcome, name)["netAttachDefName"] for name in sorted(networks(outcome))]
    assert chosen == [f"{name}/red" for name in expected]


def test_a_selector_that_selects_nothing() -> None:
    assert "spec.namespaceSelector: Not found" in run(cudn(layer2())).errors[0]


@pytest.mark.parametrize(
    "selector",
    [
        {"matchLabels": 1},
        {"matchExpressions": 0.5},
        {"matchExpressions": ["x"]},
        {"matchExpressions": [{"key": 1, "operator": "Exists"}]},
        {"matchExpressions": [{"key": "x", "operator": "In", "values": 1}]},
    ],
    ids=str,
)
def test_a_broken_selector_selects_nothing(selector: dict[str, Any]) -> None:
    outcome = run(cudn(layer2(), selector=selector), space("a", x="1"))
    assert "spec.namespaceSelector: Not found" in outcome.errors[0]


@pytest.mark.parametrize("example", [e for e in ovn_examples.EXAMPLES if "kube" not in e.name], ids=lambda e: e.name)
def test_no_field_vanishes(example: fieldwalk.Example) -> None:
    assert fieldwalk.walk(example) == []
