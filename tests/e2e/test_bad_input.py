"""Bad input is refused at once where it can be; else it shows in a condition, in NodeNetwork and on the Pod."""

import json
from typing import Any

import pytest
from podnet_api import names, reasons
from podnet_hack.demo import world
from podnet_tests import objects
from podnet_tests.space import Space
from podnet_tests.waiting import eventually

KEY = f"metadata.annotations[{names.NETWORKS_ANNOTATION}]"
BLUE = {"podNetworkName": "blue"}

LISTS: dict[str, tuple[str, str]] = {
    "not JSON": ("blue", KEY),
    "no list": (json.dumps(BLUE), KEY),
    "no reference": ('[{"interfaceName":"net1"}]', f"{KEY}[0]"),
    "two references": ('[{"podNetworkName":"blue","podNetworkAttachmentName":"b"}]', f"{KEY}[0]"),
    "unknown field": ('[{"podNetworkName":"blue","ips":["10.0.0.1"]}]', f"{KEY}[0].ips"),
    "wrong type": ('[{"podNetworkName":7}]', f"{KEY}[0].podNetworkName"),
    "no name": ('[{"podNetworkName":"Blue_1"}]', f"{KEY}[0].podNetworkName"),
    "twice the same": ('[{"podNetworkName":"blue"},{"podNetworkName":"blue"}]', f"{KEY}[1].podNetworkName"),
    "long interface name": (
        '[{"podNetworkName":"blue","interfaceName":"interface-of-16b"}]',
        f"{KEY}[0].interfaceName",
    ),
    "slash in the name": ('[{"podNetworkName":"blue","interfaceName":"a/b"}]', f"{KEY}[0].interfaceName"),
    "eth0 taken": ('[{"podNetworkName":"blue","interfaceName":"eth0"}]', f"{KEY}[0].interfaceName"),
    "two gateways": (
        '[{"podNetworkName":"blue","isDefaultGW4":true},{"podNetworkName":"red","isDefaultGW4":true}]',
        f"{KEY}[1].isDefaultGW4",
    ),
}

CONFIGS: dict[str, tuple[dict[str, Any], str]] = {
    "no datapath": ({}, "spec"),
    "two datapaths": ({"bridge": {}, "vxlan": {"vni": 1}}, "spec"),
    "macvlan without uplink": ({"macvlan": {}, "antiSpoof": False}, "spec.uplink"),
    "host bits in the subnet": ({"bridge": {}, "ipam": objects.pool("10.1.0.1/24")}, "spec.ipam.ranges[0].cidr"),
    "overlapping ranges": ({"bridge": {}, "ipam": objects.pool("10.1.0.0/16", "10.1.2.0/24")}, "spec.ipam.ranges"),
    "gateway elsewhere": (
        {"bridge": {}, "ipam": {"ranges": [{"cidr": "10.1.0.0/24", "gateway": "10.2.0.1"}]}},
        "spec.ipam.ranges[0].gateway",
    ),
    "unknown field": ({"bridge": {"hairpn": True}}, "hairpn"),
    "VNI too large": ({"vxlan": {"vni": 16777216}}, "spec.vxlan.vni"),
}


@pytest.mark.parametrize("case", LISTS)
def test_a_bad_list_is_refused_with_its_field(shared: Space, case: str) -> None:
    text, field = LISTS[case]
    pod = objects.pod("bad")
    pod["metadata"]["annotations"] = {names.NETWORKS_ANNOTATION: text}
    assert field in shared.refused(pod)


def test_networks_with_host_network_are_refused(shared: Space) -> None:
    assert KEY in shared.refused(objects.pod("bad", "blue", hostNetwork=True))


def test_a_bad_edit_of_a_list_is_refused(shared: Space) -> None:
    shared.make(objects.pod("steady", "nowhere"))
    assert KEY in shared.refused(objects.pod("steady", "elsewhere", "elsewhere"))


@pytest.mark.parametrize("case", CONFIGS)
def test_a_bad_configuration_is_refused_with_its_field(shared: Space, case: str) -> None:
    spec, field = CONFIGS[case]
    assert field in shared.refused(objects.config(shared.name("bad"), **spec))


def test_what_a_network_is_cannot_change(shared: Space) -> None:
    name = shared.network("steady", bridge={}, ipam=objects.pool("10.120.0.0/24"))
    changed = objects.config(name, bridge={}, ipam=objects.pool("10.121.0.0/24"))
    assert "spec.ipam" in shared.refused(changed)
    assert "spec" in shared.refused(objects.config(name, vxlan={"vni": 77}, bridge=None))
    assert "provider" in shared.refused(objects.network(name, provider="example.com/other"))


def test_parameters_that_are_missing(shared: Space) -> None:
    name = shared.name("lost")
    shared.make(objects.network(name, config=shared.name("absent")), objects.pod("lost", name))
    eventually(lambda: _parameters(shared, name, reasons.PARAMS_NOT_FOUND), 30)
    message = world.condition(shared.world.get("podnetwork", name), "ParamsReady")["message"]
    assert shared.name("absent") in message
    eventually(lambda: shared.waits("lost", name), 30)


def test_parameters_of_a_kind_that_is_not_ours(shared: Space) -> None:
    ref = {"group": "example.com", "kind": "Fabric", "name": "one"}
    said = shared.refused(objects.network(shared.name("foreign"), parametersRefs=[ref]))
    assert "spec.parametersRefs[0].kind" in said


def test_an_uplink_that_is_absent(shared: Space) -> None:
    node = shared.world.workers()[0]
    name = shared.network("cut", macvlan={}, uplink={"interface": "eth99"}, antiSpoof=False, on=[node])
    shared.make(objects.pod("cut", name))
    eventually(lambda: _entry(shared, node, name, reasons.UPLINK_MISSING, "eth99"), 30)
    assert shared.nodes_with(name) == []
    eventually(lambda: shared.waits("cut", name), 30)


def _parameters(space: Space, network: str, reason: str) -> str:
    """Whether the parameters are refused for ``reason``, and the network is not ready for that."""
    found = space.world.get("podnetwork", network)
    for kind, wanted in (("ParamsReady", reason), ("Ready", reasons.PARAMS_NOT_READY)):
        condition = world.condition(found, kind)
        if (condition["status"], condition["reason"]) != ("False", wanted):
            return f"{kind} of {network} is {condition}"
    return ""


def _entry(space: Space, node: str, network: str, reason: str, word: str) -> str:
    entry = space.entry(node, network)
    good = not entry.get("ready") and entry.get("reason") == reason and word in entry.get("message", "")
    return "" if good else f"node {node} says of {network}: {entry}"
