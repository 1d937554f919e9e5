"""CNI-Genie: its precedence, the names of interfaces, Logicalnetworks and Physicalnetworks, and its status."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from podnet_compat.systems import Outcome, translate_objects
from podnet_compat.systems.genie import status
from podnet_tests import fieldwalk, genie_examples
from podnet_tests.genie_examples import logical, physical, pod
from podnet_tests.translated import lists, only

NPWG = {"k8s.v1.cni.cncf.io/networks": "a"}
NET1, NET2 = logical("net1", plugin="weave"), logical("net2", plugin="flannel")


def run(*objects: dict[str, Any]) -> Outcome:
    return translate_objects(objects, "default")


def named(outcome: Outcome) -> list[tuple[str, str]]:
    assert outcome.errors == []
    [listed] = lists(outcome)
    return [(entry["podNetworkName"], entry["interfaceName"]) for entry in listed]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flannel,weave@eth4", [("flannel", "eth0"), ("weave", "eth4")]),
        (" flannel , weave ", [("flannel", "eth0"), ("weave", "eth1")]),
        ("flannel,weave@eth0,calico", [("flannel", "eth1"), ("weave", "eth0"), ("calico", "eth2")]),
        ("flannel,weave@eth1,calico", [("flannel", "eth0"), ("weave", "eth1"), ("calico", "eth2")]),
        ("weave,weave", [("weave", "eth0"), ("weave-2", "eth1")]),
    ],
)
def test_plugins(text: str, expected: list[tuple[str, str]]) -> None:
    assert named(run(pod(cni=text))) == expected


def test_a_plugin_is_the_configuration_of_its_name_on_the_nodes() -> None:
    outcome = run(pod(cni="weave,weave"))
    assert only(outcome, "NetworkConfig", "weave")["spec"] == {
        "cni": {"config": '{"name": "weave"}'},
        "antiSpoof": False,
    }
    assert [item["metadata"]["name"] for item in outcome.made if item["kind"] == "NetworkConfig"] == ["weave"]
    assert only(outcome, "PodNetwork", "weave-2")["spec"]["parametersRefs"][0]["name"] == "weave"
    there = {"apiVersion": "multinetwork.x-k8s.io/v1alpha1", "kind": "PodNetwork", "metadata": {"name": "weave"}}
    assert run(pod(cni="weave"), there).made == []


def test_logical_networks() -> None:
    outcome = run(pod(cni="", networks="net1@eth0,net2@eth4"), NET1, NET2)
    assert named(outcome) == [("default.net1", "eth0"), ("default.net2", "eth4")]
    assert only(outcome, "PodNetwork", "default.net1")


@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        ({"cni": "weave@eth1,flannel@eth1"}, 'metadata.annotations[cni][1]: Duplicate value: "eth1"'),
        ({"cni": ""}, "metadata.annotations[cni]: Required value: is empty: cAdvisor chose the plugin; name a network"),
        ({"cni": "  "}, "name a network"),
        ({"cni": "weave,"}, "metadata.annotations[cni][1]: Required value"),
        ({"cni": "weave@a@b"}, "metadata.annotations[cni][0]: Invalid value: \"weave@a@b\": has more than one '@'"),
        ({"cni": "weave@far-too-long-a-name"}, "must be no longer than 15 bytes"),
        ({"cni": "we ave"}, 'metadata.annotations[cni][0]: Invalid value: "we ave"'),
        (
            {"cni": "", "networks": "gone"},
            'metadata.annotations[networks][0]: Not found: "gone": there is no Logicalnetwork default/gone',
        ),
        ({"cni": "a_b,a-b"}, "becomes PodNetwork a-b, as 'a_b' does"),
    ],
)
def test_what_is_refused(annotations: dict[str, str], words: str) -> None:
    [error] = run(pod(**annotations)).errors
    assert words in error


@pytest.mark.parametrize(
    ("annotations", "warned"),
    [
        ({**NPWG, "cni": "weave"}, "metadata.annotations[cni]: has no effect"),
        ({**NPWG, "cni": "", "networks": "net1"}, "metadata.annotations[cni]: has no effect"),
        ({"networks": "net1"}, ""),
        ({"networks": '["net1"]'}, ""),
        ({"networks": '{"a":1}'}, ""),
    ],
)
def test_pods_that_are_left_to_others(annotations: dict[str, str], warned: str) -> None:
    """What nobody reads is told by the translator of NetworkAttachmentDefinitions, to which these Pods go."""
    item = pod()
    item["metadata"]["annotations"] = annotations
    outcome = run(item, NET1)
    assert outcome.rest == [item]
    assert (outcome.changed, outcome.errors) == ([], [])
    assert warned in "\n".join(outcome.warnings)


def test_what_has_no_effect_beside_plugins() -> None:
    [warning] = [line for line in run(pod(cni="weave", networks="net1")).warnings if "[networks]" in line]
    assert "has no effect beside cni" in warning
    [warning] = [line for line in run(pod(cni="weave@eth3")).warnings if "eth0" in line]
    assert "which the cluster's default network gets" in warning


@pytest.mark.parametrize(
    ("spec", "others", "expected"),
    [
        ({"plugin": "calico"}, [], {"cni": {"config": '{"name": "calico"}'}, "antiSpoof": False}),
        (
            {"plugin": "bridge", "sub_subnet": "10.4.0.0/24"},
            [],
            {
                "bridge": {"name": "cni0"},
                "ipam": {"ranges": [{"cidr": "10.4.0.0/24", "gateway": "10.4.0.1"}], "scope": "node"},
            },
        ),
        (
            {"physicalNet": "phy"},
            [physical("phy", "ens5", plugin="macvlan", subnet="10.4.0.0/24", dedicatedNet=True)],
            {"macvlan": {}, "uplink": {"interface": "ens5"}},
        ),
        (
            {"physicalNet": "phy", "plugin": "weave", "sub_subnet": "10.4.0.0/24"},
            [physical("phy", "ens5", dedicatedNet=False)],
            {
                "cni": {
                    "config": '{"cniVersion": "0.3.0", "name": "weave", "type": "weave-net", '
                    '"ipam": {"subnet": "10.4.0.0/24"}}'
                }
            },
        ),
    ],
)
def test_networks(spec: dict[str, Any], others: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    outcome = run(logical("net1", **spec), *others)
    assert outcome.errors == []
    found = only(outcome, "NetworkConfig", "default.net1")["spec"]
    assert {key: found.get(key) for key in expected} == expected


@pytest.mark.parametrize(
    ("spec", "others", "words"),
    [
        ({}, [], "spec.plugin: Required value: must be there without physicalNet"),
        ({"physicalNet": "gone"}, [], 'spec.physicalNet: Not found: "gone": there is no Physicalnetwork default/gone'),
        ({"physicalNet": "phy", "sub_subnet": "10.0.0.0/8"}, [physical("phy", "ens5")], "spec.plugin: Required value"),
        ({"physicalNet": "phy", "plugin": "weave"}, [physical("phy", "ens5")], "spec.sub_subnet: Required value"),
        ({"plugin": "weave", "sub_subnet": "10.0.0.0"}, [], 'spec.sub_subnet: Invalid value: "10.0.0.0"'),
        (
            {"physicalNet": "phy", "sub_subnet": "10.0.0.0/24"},
            [physical("phy", "ens5", plugin="macvlan", subnet="10.4.0.0/24", dedicatedNet=True)],
            'spec.sub_subnet: Invalid value: "10.0.0.0/24": must be a part of 10.4.0.0/24',
        ),
        (
            {"physicalNet": "phy"},
            [physical("phy", "ens5", dedicatedNet=True)],
            "Physicalnetwork default/phy is wrong: spec.sharedStatus.plugin: Required value",
        ),
    ],
)
def test_networks_that_are_refused(spec: dict[str, Any], others: list[dict[str, Any]], words: str) -> None:
    outcome = run(logical("net1", **spec), *others)
    assert words in "\n".join(outcome.errors)
    pods = run(pod(cni="", networks="net1"), logical("net1", **spec), *others)
    assert any("metadata.annotations[networks][0]" in error for error in pods.errors)


def test_a_key_that_nobody_reads_is_told() -> None:
    """One of Genie's own samples has it: the network is shared then."""
    misspelt = {**physical("phy", "ens5"), "spec": {"refer_nic": "ens5", "sharedStaus": {"dedicatedNet": True}}}
    outcome = run(logical("net1", physicalNet="phy", plugin="weave", sub_subnet="10.4.0.0/24"), misspelt)
    assert outcome.errors == []
    assert "spec.sharedStaus: unknown key, did you mean 'sharedStatus'?" in "\n".join(outcome.warnings)


STATUS = [
    {"name": "default", "interface": "eth0", "ips": ["10.0.0.5", "fd00::5"], "default": True, "dns": {}},
    {"name": "a/b", "interface": "eth4", "ips": ["10.4.0.7"], "dns": {}},
]


def test_the_status_that_genie_writes() -> None:
    """The form of setGenieStatus in Genie's genie-networkstatus.go."""
    text = status.preferences(json.dumps(STATUS))
    assert json.loads(text or "") == {
        "multi_entry": 2,
        "ips": {"ip1": {"ip": "10.0.0.5", "interface": "eth0"}, "ip2": {"ip": "10.4.0.7", "interface": "eth4"}},
    }


@pytest.mark.parametrize("rows", [STATUS[:1], [], {}, [STATUS[0], {"interface": "net1"}], [5, None]])
def test_one_plugin_has_no_status(rows: object) -> None:
    assert status.preferences(json.dumps(rows)) is None
    assert status.preferences("{") is None


def test_nothing_depends_on_order() -> None:
    objects = [pod(cni="", networks="net1@eth0,net2@eth4"), NET1, NET2]
    results = {json.dumps(lists(run(*order))) for order in itertools.permutations(objects)}
    assert len(results) == 1


@pytest.mark.parametrize("example", genie_examples.GENIE, ids=lambda example: example.name)
def test_no_field_vanishes(example: fieldwalk.Example) -> None:
    assert fieldwalk.walk(example) == []
