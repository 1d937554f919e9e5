"""Knitter: ports of Pods, networks of its REST interface, and whose the bare annotation ``networks`` is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from podnet_api import core
from podnet_api.meta import ObjectMeta
from podnet_compat import bare
from podnet_compat import pod as pods
from podnet_compat.systems import Outcome, translate_objects
from podnet_tests import fieldwalk, genie_examples
from podnet_tests.genie_examples import pod, port, ports
from podnet_tests.translated import lists, only

API = {"network": {"name": "net_api", "public": False, "gateway": "10.1.0.1", "cidr": "10.1.0.0/24"}}
OPEN = {"network": {"name": "net_open", "public": True, "cidr": "10.2.0.0/24"}}


def run(*objects: dict[str, Any]) -> Outcome:
    return translate_objects(objects, "default")


def test_ports_in_their_order() -> None:
    outcome = run(API, OPEN, ports(port("net_api", nic_name="eth0"), port("net_open", nic_name="eth1"), port("x")))
    assert outcome.errors == []
    assert lists(outcome) == [
        [
            {"podNetworkName": "default.net-api", "interfaceName": "eth0", "isDefaultGW4": True},
            {"podNetworkName": "net-open", "interfaceName": "eth1"},
            {"podNetworkName": "default.x", "interfaceName": "eth_x"},
        ]
    ]
    assert "[2].attach_to_network: nothing here describes the network" in "\n".join(outcome.warnings)


def test_names_of_interfaces_are_cut_to_twelve() -> None:
    [listed] = lists(run(ports(port("a-long-network"), port("b", nic_name="x" * 12))))
    assert [entry["interfaceName"] for entry in listed] == ["eth_a-long-n", "x" * 12]


def test_a_fixed_address_and_a_network_twice() -> None:
    outcome = run(API, ports(port("net_api", nic_name="eth0"), port("net_api", nic_name="eth1", ip_addr="10.1.0.9")))
    assert [entry.get("podNetworkAttachmentName") for entry in lists(outcome)[0]] == [None, "p-1"]
    assert only(outcome, "PodNetworkAttachment", "p-1")["spec"]["podNetworkName"] == "default.net-api-2"
    assert only(outcome, "AttachmentConfig", "p-1")["spec"] == {"addresses": ["10.1.0.9"]}


@pytest.mark.parametrize(
    ("listed", "words"),
    [
        (
            [port("a", nic_name="x" * 13)],
            '.ports[0].attributes.nic_name: Invalid value: "xxxxxxxxxxxxx": must be no longer',
        ),
        (
            [port("a", nic_name="e1", combinable="true"), port("a", nic_name="e2", combinable="true")],
            ".ports[1].attributes.combinable: Duplicate value",
        ),
        ([], ".ports: Required value"),
        ([port("")], ".ports[0].attach_to_network: Required value: port attach network is blank"),
        ([{"attributes": {}}], ".ports[0].attach_to_network: Required value"),
        ([port("net_api", nic_name="a"), port("net-api", nic_name="b")], "as 'net_api' does"),
        ([port("a", nic_name="e"), port("b", nic_name="e")], '.ports[1].attributes.nic_name: Duplicate value: "e"'),
        ([port("a", ip_addr="fd00::1")], '.ports[0].attributes.ip_addr: Invalid value: "fd00::1": must be an IPv4'),
        ([port("a", ip_addr="10.1.0")], ".ports[0].attributes.ip_addr"),
        ([port("a", nic_name=5)], ".ports[0].attributes.nic_name: Invalid value: 5: must be a string"),
        ([5], ".ports[0]: Invalid value: 5: must be a JSON object"),
    ],
)
def test_what_is_refused(listed: list[Any], words: str) -> None:
    [error] = run(ports(*listed)).errors
    assert f"metadata.annotations[networks]{words}" in error or words in error


def test_broken_json_is_shown_with_its_place() -> None:
    [error] = run(pod(networks='{"ports":[{"attach_to_network":"a",}]}')).errors
    assert "metadata.annotations[networks]: Invalid value: is not JSON: line 1, column 36" in error


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"accelerate": "true", "function": "media"}, "accelerate: has no effect: DPDK needs datapath userspace"),
        ({"accelerate": "true"}, "accelerate: has no effect on function std"),
        ({"function": "media"}, "function: has no effect: media is a role"),
        ({"function": "red"}, "function: 'red' means std"),
        (
            {"nic_type": "direct"},
            "nic_type: direct has no effect: the network's NetworkConfig must have the datapath sriov",
        ),
        ({"ip_group_name": "g"}, "ip_group_name: has no effect"),
        ({"combinable": "true"}, "combinable: has no effect"),
        ({"colour": "red"}, "colour: unknown key"),
    ],
)
def test_what_is_lost_is_told(attributes: dict[str, str], words: str) -> None:
    outcome = run(ports(port("a", nic_name="eth0", **attributes)))
    assert outcome.errors == []
    assert f"metadata.annotations[networks].ports[0].attributes.{words}" in "\n".join(outcome.warnings)


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ({"provider:network_type": "vlan", "provider:segmentation_id": "50", "provider:physical_network": "ens4"},
         {"vlan": {"vid": 50}, "uplink": {"interface": "ens4"}}),
        ({"provider:network_type": "vxlan", "provider:segmentation_id": "70"}, {"vxlan": {"vni": 70}}),
        ({"provider:network_type": "flat", "provider:physical_network": "ens4"},
         {"bridge": {}, "uplink": {"interface": "ens4"}}),
    ],
)  # fmt: skip
def test_networks_of_a_provider(network: dict[str, Any], expected: dict[str, Any]) -> None:
    outcome = run({"provider_network": {"name": "n", "cidr": "10.1.0.0/24", "gateway": "10.1.0.1", **network}})
    assert outcome.errors == []
    ranges = [{"cidr": "10.1.0.0/24", "gateway": "10.1.0.1"}]
    found = only(outcome, "NetworkConfig", "default.n")["spec"]
    assert found == {**expected, "ipam": {"ranges": ranges}, "antiSpoof": False}


def test_overlays_have_numbers_of_their_own() -> None:
    outcome = run({"networks": [{"name": name, "cidr": "10.1.0.0/24"} for name in ("a", "b")]})
    first, second = (only(outcome, "NetworkConfig", f"default.{name}")["spec"]["vxlan"]["vni"] for name in "ab")
    assert first != second
    assert run({"network": {"name": "a", "cidr": "10.1.0.0/24"}}).made[1]["spec"]["vxlan"]["vni"] == first


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ({"name": "n"}, "network.cidr: Required value"),
        ({"name": "", "cidr": "10.1.0.0/24"}, "network.name: Invalid value"),
        ({"name": "n", "cidr": "10.1.0.0/24", "gateway": "10.2.0.1"}, "network.gateway: Invalid value: \"10.2.0.1\""),
        ({"name": "n", "cidr": "10.1.0.0/24", "more": 1}, "network.more"),
        ({"name": "n", "cidr": "10.1.0.0/24", "vlan_transparent": True}, "network.vlan_transparent"),
        ({"name": "n", "cidr": "10.1.0.0/24", "provider:network_type": "gre"}, "network.provider:network_type"),
        ({"name": "n", "cidr": "10.1.0.0/24", "provider:network_type": "vlan", "provider:segmentation_id": "x"},
         "network.provider:segmentation_id"),
    ],
)  # fmt: skip
def test_networks_that_are_refused(network: dict[str, Any], words: str) -> None:
    assert words in "\n".join(run({"network": network}).errors)


@pytest.mark.parametrize(
    ("annotations", "owner"),
    [
        ({"networks": '{"ports":[]}'}, "knitter"),
        ({"networks": ' {"ports":['}, "knitter"),
        ({"networks": '{"other":[]}'}, ""),
        ({"networks": "a,b"}, ""),
        ({"networks": "a,b", "cni": ""}, "genie"),
        ({"networks": "a,b", "cni": "weave"}, ""),
        ({"networks": '[{"name":"a"}]'}, "multus"),
        ({"networks": ""}, ""),
        ({}, ""),
    ],
)
def test_whose_the_bare_annotation_is(annotations: dict[str, str], owner: str) -> None:
    assert bare.owner(annotations) == owner


@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        (
            {"networks": '{"ports":[{"attach_to_network":"a"}]}'},
            "it is one of Knitter; podnet-compat --systems=knitter",
        ),
        ({"networks": "a,b", "cni": ""}, "it is one of Genie; podnet-compat --systems=genie"),
        ({"networks": '[{"name":"a"}]'}, "did you mean k8s.v1.cni.cncf.io/networks?"),
    ],
)
def test_who_translates_the_bare_annotation_is_said(annotations: dict[str, str], words: str) -> None:
    """Where the system is not translated live: it is no misspelt key of Multus."""
    found = pods.read(core.Pod(metadata=ObjectMeta(name="p", namespace="a", annotations=annotations)), "a")
    assert [
        line for line in found.warnings if "metadata.annotations[networks]: has no effect" in line and words in line
    ]


def test_documents_of_others_are_left_alone() -> None:
    other = {"networks": {"a": 1}, "version": 3}
    assert run(other).rest == [other]


def test_one_name_in_two_spellings_is_a_collision() -> None:
    pair = [
        {"network": {"name": name, "cidr": f"10.{place}.0.0/24"}} for place, name in enumerate(("net_api", "net-api"))
    ]
    outcome = run(*pair)
    assert len(outcome.errors) == 2
    assert json.dumps(outcome.errors).count("becomes PodNetwork default.net-api, too") == 1


@pytest.mark.parametrize("example", genie_examples.KNITTER, ids=lambda example: example.name)
def test_no_field_vanishes(example: fieldwalk.Example) -> None:
    assert fieldwalk.walk(example) == []
