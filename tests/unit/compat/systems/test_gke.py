"""GKE multi-network: networks, interfaces, and the keys of Pods."""

from __future__ import annotations

from typing import Any

import pytest
from podnet_compat.reader import Notes
from podnet_compat.systems.gke import pods
from podnet_tests import fieldwalk, gke_examples
from podnet_tests.foreign_objects import DECIDED, asked, configs, listed, networks, of_attachment, pod, run
from podnet_tests.gke_examples import KEY, PARAMS, interface, interfaces, network, params, ref

BLUE = network("blue", "L2", nodeInterfaceMatcher={"interfaceName": "eth1"}, l2NetworkConfig={"vlanID": 42})
TWO = interfaces(("eth0", "default"), ("eth1", "blue"))


def test_a_vlan() -> None:
    outcome = run(gke_examples.L2)
    assert networks(outcome) == {"blue": "blue"}
    assert configs(outcome)["blue"] == {
        "vlan": {"vid": 42},
        "uplink": {"interface": "eth1"},
        "routes": [{"destination": "10.2.0.0/16", "gateway": "10.1.0.1"}],
        "dns": {"nameservers": ["10.1.0.53"], "search": ["blue.local"]},
    }


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (network("n", "L2", nodeInterfaceMatcher={"interfaceName": "eth1"}),
         {"macvlan": {}, "uplink": {"interface": "eth1"}, "antiSpoof": False}),
        (network("n", "L2", nodeInterfaceMatcher={"interfaceName": "eth1"}, l2NetworkConfig={"vlanID": 7},
                 networkLifecycle="UserManaged"),
         {"macvlan": {}, "uplink": {"interface": "eth1.7"}, "antiSpoof": False}),
        (network("n", "L2", nodeInterfaceMatcher={"interfaceName": "eth1"}, l2NetworkConfig={"vlanID": 7},
                 externalDHCP4=True),
         {"vlan": {"vid": 7}, "uplink": {"interface": "eth1"}, "ipam": {"dhcp": {}}, "antiSpoof": False}),
        (network("n", "L3", parametersRef=ref("p"), routes=[{"to": "10.3.0.0/16"}]),
         {"routed": {}, "ipam": {"ranges": [{"cidr": "10.64.0.0/20"}]}, "routes": [{"destination": "10.3.0.0/16"}],
          "antiSpoof": False}),
        (network("n", "Device", nodeInterfaceMatcher={"interfaceName": "eth2"}),
         {"hostDevice": {"name": "eth2"}, "antiSpoof": False}),
    ],
)  # fmt: skip
def test_networks(given: dict[str, Any], expected: dict[str, Any]) -> None:
    outcome = run(given, PARAMS)
    assert not outcome.errors
    assert configs(outcome)["n"] == expected


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (network("n", "L4"), "spec.type: Invalid value"),
        (network("n", "L2"), "spec.nodeInterfaceMatcher.interfaceName: Required value"),
        (network("n", "L2", nodeInterfaceMatcher={"interfaceName": "eth1"}, IPAMMode="Internal"),
         "spec.IPAMMode: Unsupported value: GKE gives addresses of a range that no object names"),
        (network("n", "L2", nodeInterfaceMatcher={"interfaceName": "eth1"}, routes=[{"to": "0.0.0.0/0"}],
                 gateway4="10.0.0.1"), 'spec.routes[0].to: Invalid value: "0.0.0.0/0"'),
        (network("n", "L2", nodeInterfaceMatcher={"interfaceName": "eth1"}, routes=[{"to": "10.9.0.0/16"}]),
         "spec.routes[0].to: Unsupported value"),
        (network("n", "L2", nodeInterfaceMatcher={"interfaceName": "eth1"}, gateway4="10.0.0.256"), "spec.gateway4"),
        (network("n", "L3", parametersRef=ref("nobody")), "spec.parametersRef.name: Not found"),
        (network("n", "L3", parametersRef=ref("empty")), "says no status.podCIDRs, so the ranges must be decided"),
        (network("n", "Device"), "which device of a node it is must be decided"),
        (network("n", "Device", parametersRef=ref("dpdk"), nodeInterfaceMatcher={"interfaceName": "eth1"}),
         'spec.parametersRef: Unsupported value: "DPDK-VFIO"'),
    ],
)  # fmt: skip
def test_networks_that_are_refused(given: dict[str, Any], words: str) -> None:
    outcome = run(given, params("empty"), params("dpdk", deviceMode="DPDK-VFIO"))
    assert not networks(outcome)
    assert any(words in error for error in outcome.errors), outcome.errors


def test_what_was_decided_takes_the_place() -> None:
    outcome = run(network("n", "Device", annotations={DECIDED: "nic"}))
    assert networks(outcome) == {"n": "nic"}
    assert outcome.warnings == ["warning: Network n: spec.type: is not translated: NetworkConfig nic stands for it"]
    assert "must be the name of a NetworkConfig" in run(network("n", "Device", annotations={DECIDED: "N!"})).errors[0]


@pytest.mark.parametrize("name", ["default", "pod-network"])
def test_the_default_network_is_the_clusters(name: str) -> None:
    outcome = run(network(name, "L3"))
    assert not outcome.made
    assert "is the cluster's default network" in outcome.warnings[0]


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({"interfaces": TWO}, ["default@eth0!", "blue@eth1"]),
        ({"interfaces": TWO, "default-interface": "eth0"}, ["default@eth0!", "blue@eth1"]),
        ({"interfaces": TWO, "default-interface": "eth1"}, ["default@eth0", "blue@eth1!"]),
        ({"interfaces": interfaces(("eth0", "pod-network"), ("gpu0rdma0", "blue"))},
         ["default@eth0!", "blue@gpu0rdma0"]),
        ({"interfaces": interfaces(("eth0", "default"), ("eth5", "blue"), ("eth2", "red"))},
         ["default@eth0!", "blue@eth5", "red@eth2"]),
        ({"interfaces": interfaces(("eth1", "blue"))}, ["default@eth0!", "blue@eth1"]),
        ({"interfaces": [{"InterfaceName": "eth1", "NETWORK": "blue"}]}, ["default@eth0!", "blue@eth1"]),
    ],
)  # fmt: skip
def test_pods(annotations: dict[str, Any], expected: list[str]) -> None:
    """Case 12 of the field notes, numbers with gaps, keys in any case."""
    one = pod({f"{KEY}{key}": value for key, value in annotations.items()})
    assert listed(run(one)) == expected
    assert listed(run(one, network("blue", "L3", parametersRef=ref("p")), PARAMS)) == expected


@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        ({"interfaces": TWO, "default-interface": "eth9"}, "default-interface]: Invalid value: \"eth9\""),
        ({"default-interface": "eth9"}, "default-interface]: Invalid value: \"eth9\""),
        ({"interfaces": [{"interfaceName": "eth1", "network": "blue", "interface": "x"}]},
         "interfaces][0]: Invalid value: \"blue, x\": must have exactly one of network and interface"),
        ({"interfaces": [{"interfaceName": "eth1"}]}, "must have exactly one of network and interface"),
        ({"interfaces": [{"network": "blue"}]}, "interfaces][0].interfaceName: Required value"),
        ({"interfaces": interfaces(("eth1", "default"))}, "the cluster's default network is always eth0"),
        ({"interfaces": interfaces(("eth1", "blue"), ("eth1", "red"))}, "interfaces][1].interfaceName: Duplicate"),
        ({"interfaces": [{"interfaceName": "eth1", "interface": "nobody"}]}, "interfaces][0].interface: Not found"),
        ({"interfaces": '[{"interfaceName":"eth1",}]'}, "interfaces]: Invalid value: is not JSON: line 1, column 26"),
        ({"interfaces": "{}"}, "must be a JSON list"),
        ({"interfaces": [{"interfaceName": "eth1", "network": "blue", "mac": "x"}]}, "interfaces][0].mac: Unsupported"),
        ({"interfaces": TWO, "default-interface": "eth1"},
         "default-interface]: Unsupported value: \"eth1\": leads over network blue, which has no range"),
        ({"interfaces": TWO, "disable-source-ip-validation": "true"},
         "disable-source-ip-validation]: Unsupported value: \"true\": a node checks the Pods of a whole network"),
        ({"interfaces": TWO, "disable-source-mac-validation": "true"}, "disable-source-mac-validation]: Unsupported"),
    ],
)  # fmt: skip
def test_pods_that_are_refused(annotations: dict[str, Any], words: str) -> None:
    outcome = run(pod({f"{KEY}{key}": value for key, value in annotations.items()}), BLUE)
    assert any(words in error for error in outcome.errors), outcome.errors
    assert not outcome.changed


def test_the_default_interface_may_stand_alone() -> None:
    outcome = run(pod({f"{KEY}default-interface": "eth0"}))
    assert not outcome.errors
    assert not outcome.changed
    assert len(outcome.rest) == 1
    assert "has only the cluster's default network" in outcome.warnings[0]


@pytest.mark.parametrize("value", ["true", "false", ""])
def test_validation_is_switched_off_where_nothing_is_checked(value: str) -> None:
    unchecked = network("blue", "L2", nodeInterfaceMatcher={"interfaceName": "eth1"})
    keys = {f"{KEY}interfaces": TWO, f"{KEY}disable-source-ip-validation": value}
    outcome = run(pod(keys), unchecked)
    assert not outcome.errors
    words = "needs nothing" if value == "true" else "has no effect"
    assert any(words in line for line in outcome.warnings)


def test_an_interface_is_an_attachment_that_its_pod_names() -> None:
    own = interface("static", "blue", ipAddresses=["10.1.0.5/24", "fd00::5"], macAddress="02:00:00:00:00:01")
    one = pod({f"{KEY}interfaces": [{"interfaceName": "eth1", "interface": "static"}]})
    outcome = run(one, own, BLUE)
    assert listed(outcome) == ["default@eth0!", "blue@eth1+"]
    assert of_attachment(outcome, "static")["metadata"]["namespace"] == "a"
    assert asked(outcome) == {"static": {"addresses": ["10.1.0.5/24", "fd00::5/128"], "mac": "02:00:00:00:00:01"}}


def test_an_address_on_an_l3_network_has_the_length_of_its_range() -> None:
    l3 = network("blue", "L3", parametersRef=ref("p"))
    outcome = run(interface("static", "blue", ipAddresses=["10.64.0.5/32"]), l3, PARAMS)
    assert asked(outcome) == {"static": {"addresses": ["10.64.0.5"]}}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"networkName": ""}, "spec.networkName: Required value"),
        ({"networkName": "blue", "ipAddresses": ["10.0.0.1", "10.0.0.2"]}, "spec.ipAddresses: Unsupported value"),
        ({"networkName": "blue", "ipAddresses": ["10.0.0.300"]}, 'spec.ipAddresses[0]: Invalid value: "10.0.0.300"'),
        ({"networkName": "blue", "macAddress": "01:00:00:00:00:01"}, "spec.macAddress: Invalid value"),
        ({"networkName": "default", "ipAddresses": ["10.0.0.1"]}, "takes no addresses of a NetworkInterface"),
    ],
)
def test_interfaces_that_are_refused(spec: dict[str, Any], words: str) -> None:
    own = interface("static", spec.pop("networkName"), **spec)
    assert words in run(own).errors[0]


def test_resources_of_gke_are_named() -> None:
    requests = {"networking.gke.io.networks/blue": "1", "networking.gke.io.networks/blue.IP": "1", "cpu": "1"}
    one = pod({f"{KEY}interfaces": TWO}, containers=[{"name": "c", "resources": {"requests": requests}}])
    said = [line for line in run(one, BLUE).warnings if "spec.containers[0].resources.requests" in line]
    assert len(said) == 2


def test_the_status_of_gke_is_read_and_written() -> None:
    notes = Notes()
    text = pods.status({"red": ["10.2.0.5"], "blue": ["10.1.0.5", "fd00::5"]})
    assert text.startswith('[{"networkName":"blue","ip":"10.1.0.5"}')
    assert pods.pod_ips(text, notes) == [("blue", "10.1.0.5"), ("blue", "fd00::5"), ("red", "10.2.0.5")]
    assert pods.pod_ips("{", notes) == []
    assert "pod-ips" in notes.faults[0].path


@pytest.mark.parametrize("example", gke_examples.EXAMPLES, ids=lambda example: example.name)
def test_no_field_vanishes(example: fieldwalk.Example) -> None:
    assert fieldwalk.walk(example) == []
