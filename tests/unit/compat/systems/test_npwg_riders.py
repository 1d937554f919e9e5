"""Systems that read parts of the NPWG annotation by themselves: Tungsten Fabric, kuryr, Antrea."""

from __future__ import annotations

from typing import Any

import pytest
from podnet_compat.reader import Notes
from podnet_compat.systems import tungsten
from podnet_tests import fieldwalk, npwg_examples
from podnet_tests.foreign_objects import DECIDED, NETWORKS, asked, configs, item, listed, nad, networks, pod, run
from podnet_tests.npwg_examples import KURYR, TF, agent, antrea, ippool, kuryr, tf

VN = "{'domain': 'default-domain', 'project': 'k8s-a', 'name': 'k8s-net-pod-network'}"


def test_tungsten_drops_addresses() -> None:
    """Case 11 of the field notes."""
    outcome = run(pod({NETWORKS: [{"name": "net", "ips": ["10.1.1.5"]}]}), tf(cidr="10.1.1.0/24"))
    assert listed(outcome) == ["default@eth0!", "a.net@eth1"]
    assert any(f"{NETWORKS}][0].ips: is dropped by Tungsten Fabric" in line for line in outcome.warnings)


@pytest.mark.parametrize(
    ("annotations", "space", "expected"),
    [
        ({NETWORKS: "net,b/far"}, {}, ["default@eth0!", "a.net@eth1", "b.far@eth2"]),
        ({NETWORKS: [{"name": "net", "interface": "left"}, {"name": "far", "namespace": "b"}]}, {},
         ["default@eth0!", "a.net@left", "b.far@eth2"]),
        ({f"{TF}network": VN}, {}, ["a.net@eth0!"]),
        ({NETWORKS: "net"}, {f"{TF}network": VN}, ["a.net@eth0!", "a.net-2@eth1"]),
        ({NETWORKS: "b/far"}, {f"{TF}network": VN}, ["a.net@eth0!", "b.far@eth1"]),
        ({f"{TF}network": '{"domain":"d","project":"p","name":"vn"}'}, {f"{TF}network": VN}, ["p.vn@eth0!"]),
    ],
)  # fmt: skip
def test_tungsten_lists(annotations: dict[str, Any], space: dict[str, str], expected: list[str]) -> None:
    """Its own names, and the primary network of a Pod or of its namespace."""
    objects = [tf(), tf("far", "b"), item("v1", "Namespace", "a", annotations=space)]
    assert listed(run(pod(annotations), *objects)) == expected


@pytest.mark.parametrize(
    ("annotations", "words"),
    [
        ({NETWORKS: "net@eth1"}, f'{NETWORKS}]: Invalid value: "net@eth1": Tungsten Fabric knows no @<interface>: col'),
        ({NETWORKS: "net,plain"}, "NetworkAttachmentDefinition a/plain is not Tungsten Fabric's"),
        ({NETWORKS: "net,nobody"}, "cannot find a network-attachment-definition (nobody) in namespace (a)"),
        ({f"{TF}network": "nonsense"}, f"{TF}network]: Invalid value"),
        ({f"{TF}network": "{'domain': 'd', 'name': 'n'}"}, f"{TF}network].project: Required value"),
        ({f"{TF}network": '{"domain":"d","project":5,"name":"n"}'}, f"{TF}network].project: Invalid value: 5"),
    ],
)
def test_tungsten_lists_that_are_refused(annotations: dict[str, Any], words: str) -> None:
    outcome = run(pod(annotations), tf(), nad("plain", {"type": "macvlan"}))
    assert any(words in error for error in outcome.errors), outcome.errors


def test_tungsten_networks_must_be_decided() -> None:
    assert "what takes its place must be decided" in run(tf(cidr="10.0.0.0/24")).errors[0]
    decided = tf(cidr="10.0.0.0/24")
    decided["metadata"]["annotations"][DECIDED] = "blue"
    outcome = run(decided)
    assert networks(outcome) == {"a.net": "blue"}
    assert not outcome.errors


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"cidr": "10.0.0.0"}, f'{TF}cidr]: Invalid value: "10.0.0.0": must have a prefix length'),
        ({"ip_fabric_snat": "maybe"}, f'{TF}ip_fabric_snat]: Invalid value: "maybe"'),
        ({"network": "[]"}, f"{TF}network]: Invalid value"),
    ],
)
def test_tungsten_networks_that_are_refused(keys: dict[str, str], words: str) -> None:
    assert words in run(tf(**keys)).errors[0]


def test_tungsten_writes_addresses_as_a_string() -> None:
    text = '[{"name":"net","ips":"10.1.1.5","mac":"m"},{"name":"two","ips":["10.1.1.6"]},{"name":"none"}]'
    notes = Notes()
    assert tungsten.status(text, notes) == [("net", ["10.1.1.5"]), ("two", ["10.1.1.6"]), ("none", [])]
    assert tungsten.status("{", notes) == []
    assert notes.faults


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("net,far", ["default@eth0!", "a.net@eth1", "a.far@eth2"]),
        ([{"name": "net", "interface": "left"}], ["default@eth0!", "a.net@eth1"]),
        ("b/net,other", ["default@eth0!", "b.net@eth1", "b.other@eth2"]),
        ([{"name": "net", "namespace": "b"}, {"name": "far", "namespace": "a"}],
         ["default@eth0!", "b.net@eth1", "a.far@eth2"]),
        ([{"name": "net", "namespace": "b"}, {"name": "far"}], ["default@eth0!", "b.net@eth1", "a.far@eth2"]),
    ],
)  # fmt: skip
def test_kuryr_lists(text: Any, expected: list[str]) -> None:
    """Names of interfaces are ignored; the namespace of an item leaks to those behind it."""
    objects = [kuryr(), kuryr("far"), kuryr("net", "b"), kuryr("other", "b")]
    outcome = run(pod({NETWORKS: text}), *objects)
    assert listed(outcome) == expected
    leaked = not isinstance(text, list) or (len(text) > 1 and "namespace" not in text[1])
    said = any("[1].namespace: kuryr takes the namespace b" in line for line in outcome.warnings)
    assert said == (leaked and "b.net@eth1" in expected)


def test_kuryr_leaks_between_two_of_one_name() -> None:
    both = [kuryr("net", "b"), kuryr("far"), kuryr("far", "b")]
    error = run(pod({NETWORKS: "b/net,far"}), *both).errors[0]
    assert "[1].namespace: Required value" in error
    assert "say the namespace" in error


def test_kuryr_networks_must_be_decided() -> None:
    assert "subnet s is OpenStack's" in run(kuryr()).errors[0]
    assert networks(run(kuryr(**{DECIDED: "blue"}))) == {"a.net": "blue"}
    assert f"{KURYR}]: Invalid value: is not JSON" in run(kuryr(config="{")).errors[0]


POOL = ippool(ipRanges=[{"start": "10.9.0.10", "end": "10.9.0.20"}])
RANGE = {"cidr": "10.9.0.0/24", "start": "10.9.0.10", "end": "10.9.0.20", "gateway": "10.9.0.1"}
IPAM = {"type": "antrea", "ippools": ["pool4"]}
TAGGED = ippool(subnetInfo={"gateway": "10.9.0.1", "prefixLength": 24, "vlan": 5})
RESOURCE = {"k8s.v1.cni.cncf.io/resourceName": "intel.com/vf"}


@pytest.mark.parametrize(
    ("given", "pool", "expected"),
    [
        (antrea(vlan=7, mtu=9000), POOL, {"vlan": {"vid": 7}, "uplink": {"interface": "eth1"}, "mtu": 9000}),
        (antrea(), POOL, {"bridge": {}, "uplink": {"interface": "eth1"}, "mtu": 1500}),
        (antrea(ipam=IPAM), TAGGED,
         {"vlan": {"vid": 5}, "uplink": {"interface": "eth1"}, "mtu": 1500, "ipam": {"ranges": [RANGE]}}),
        (antrea(vlan=7, ipam=IPAM), TAGGED,
         {"vlan": {"vid": 7}, "uplink": {"interface": "eth1"}, "mtu": 1500, "ipam": {"ranges": [RANGE]}}),
        (antrea(kind="sriov", annotations=RESOURCE), POOL, {"sriov": {"resource": "intel.com/vf"}, "mtu": 1500}),
    ],
)  # fmt: skip
def test_antrea_networks(given: dict[str, Any], pool: dict[str, Any], expected: dict[str, Any]) -> None:
    outcome = run(given, pool, agent("eth1"))
    assert not outcome.errors
    assert configs(outcome)["a.net"] == {**expected, "antiSpoof": False}


@pytest.mark.parametrize(
    ("objects", "words"),
    [
        ([antrea()], "spec.config.networkType: Unsupported value: \"vlan\": the bridge of Antrea's agent stands in"),
        ([antrea(), agent("eth1", "eth2")], "has the interfaces eth1, eth2, a network has one"),
        ([antrea(kind="gre"), agent("eth1")], 'spec.config.networkType: Invalid value: "gre"'),
        ([antrea(vlan=4095), agent("eth1")], "spec.config.vlan: Invalid value: 4095"),
        ([antrea(ipam={"type": "host-local"}), agent("eth1")], 'spec.config.ipam.type: Invalid value: "host-local"'),
        ([antrea(ipam=IPAM), agent("eth1")], 'spec.config.ipam.ippools[0]: Not found: "pool4"'),
        ([antrea(kind="sriov")], "metadata.annotations[k8s.v1.cni.cncf.io/resourceName]: Required value"),
        ([antrea(ipam={**IPAM, "addresses": [{"address": "10.9.0.5/24"}]}), POOL, agent("eth1")],
         "spec.config.ipam.addresses[0]: Unsupported value"),
        ([antrea(ipam=IPAM), ippool(ipRanges=[]), agent("eth1")], "spec.ipRanges: Invalid value"),
        ([ippool(ipRanges=[{"cidr": "10.9.1.0/26"}])], "spec.ipRanges[0].cidr: Invalid value"),
        ([ippool(ipRanges=[{}])], "spec.ipRanges[0]: Invalid value: must have either cidr, or start and end"),
        ([ippool(subnetInfo={"gateway": "10.9.0.1"})], "spec.subnetInfo: Invalid value"),
        ([antrea(ipam={"type": "antrea", "ippools": ["pool4", "pool5"]}), TAGGED,
          ippool("pool5", subnetInfo={"gateway": "10.8.0.1", "prefixLength": 24, "vlan": 6},
                 ipRanges=[{"cidr": "10.8.0.0/25"}]), agent("eth1")], "the pools say the VLANs [5, 6]"),
    ],
)  # fmt: skip
def test_antrea_networks_that_are_refused(objects: list[dict[str, Any]], words: str) -> None:
    outcome = run(*objects)
    assert any(words in error for error in outcome.errors), outcome.errors


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("net,two", ["default@eth0!", "a.net@eth1", "a.two@eth2"]),
        ([{"name": "net"}, {"name": "two", "interface": "eth1"}], ["default@eth0!", "a.net@eth2", "a.two@eth1"]),
        ("two@left", ["default@eth0!", "a.two@left"]),
        ("net,net", ["default@eth0!", "a.net@eth1", "a.net-2@eth2"]),
        ([{"name": "net", "mac": "02:00:00:00:00:01"}], ["default@eth0!", "a.net@eth1+"]),
    ],
)  # fmt: skip
def test_antrea_lists(text: Any, expected: list[str]) -> None:
    outcome = run(pod({NETWORKS: text}), antrea(vlan=7), antrea("two", vlan=8), agent("eth1"))
    assert not outcome.errors
    assert listed(outcome) == expected


def test_antrea_static_addresses_are_every_pods() -> None:
    static = antrea(vlan=7, ipam={"type": "antrea", "addresses": [{"address": "10.9.0.5/24"}]})
    outcome = run(pod({NETWORKS: "net"}), static, agent("eth1"))
    assert asked(outcome) == {"p-0": {"addresses": ["10.9.0.5/24"]}}


def test_antrea_leaves_other_networks_to_others() -> None:
    outcome = run(pod({NETWORKS: "net,plain"}), antrea(vlan=7), nad("plain", {"type": "macvlan"}), agent("eth1"))
    assert "a/plain is not of type antrea, which Antrea leaves out" in outcome.errors[0]


@pytest.mark.parametrize("example", npwg_examples.EXAMPLES, ids=lambda example: example.name)
def test_no_field_vanishes(example: fieldwalk.Example) -> None:
    assert fieldwalk.walk(example) == []
