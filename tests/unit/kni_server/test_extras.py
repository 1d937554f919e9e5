"""What an interface is to have on top of its kind, as tables; what cannot be honoured is refused by name."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from podnet_api import reasons
from podnet_kni_server import asked, extras, hostports, plan
from podnet_kni_server.details import Extras, PortRecord, ShapingRecord
from podnet_kni_server.errors import AttachError
from podnet_tests.kni_world import World, network_config, sandbox

_POOL = {"ranges": [{"cidr": "10.2.0.0/24", "gateway": "10.2.0.1"}]}
_PORTS = [{"hostPort": 8080, "containerPort": 80}]
_ADDRESS = ipaddress.ip_address("10.2.0.5")


def planned(
    tmp_path: Path, own: dict[str, Any], policy: extras.Policy = extras.DEFAULT, name: str = "net1", **spec: Any
) -> Extras | None:
    """The extras of a Pod with one attachment."""
    world = World(tmp_path)
    world.add(network_config("blue", **{"ipam": _POOL, **spec}))
    world.attachment_of("mine", "blue", **own)
    box = sandbox({"podNetworkAttachmentName": "mine", "interfaceName": name})
    [request] = asked.of_sandbox(box, world)
    addresses = [_ADDRESS] if request.pool else []
    return plan.interface(box, request, addresses, 1450, policy).link.extras


def test_nothing_asked_for_is_none(tmp_path: Path) -> None:
    assert planned(tmp_path, {}) is None


def test_the_attachment_comes_before_the_network(tmp_path: Path) -> None:
    own = {"sysctls": {"net.ipv4.conf.IFNAME.arp_ignore": "2"}, "bandwidth": {"ingressRate": 5}, "allMulticast": True}
    common = {"net.ipv4.conf.IFNAME.arp_ignore": "1", "net.core.somaxconn": "9"}
    made = planned(tmp_path, own, sysctls=common, bandwidth={"egressRate": 7}, promiscuous=True)
    assert made is not None
    assert made.sysctls == {"net/ipv4/conf/net1/arp_ignore": "2", "net/core/somaxconn": "9"}
    assert made.shaping == ShapingRecord(ingress_rate=5)
    assert made.promiscuous
    assert made.all_multicast
    assert made.table == 0


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("net.ipv4.conf.IFNAME.arp_ignore", "net/ipv4/conf/eth0.7/arp_ignore"),
        ("net/ipv4/conf/IFNAME/arp_ignore", "net/ipv4/conf/eth0.7/arp_ignore"),
        ("net/ipv4/conf/eth0.7/arp_ignore", "net/ipv4/conf/eth0.7/arp_ignore"),
        ("net.ipv4.conf.eth0/7.arp_ignore", "net/ipv4/conf/eth0.7/arp_ignore"),
    ],
)
def test_names_of_sysctls(name: str, path: str) -> None:
    assert extras.sysctl_path(name, "eth0.7") == path


@pytest.mark.parametrize(
    "name",
    [
        "net.ipv4.conf.all.forwarding",
        "net.ipv4.conf.eth0.arp_ignore",
        "net.ipv4.ip_forward",
        "net.core.rmem_max",
        "kernel.hostname",
        "net/../kernel/hostname",
        "net..ipv4",
        "net",
        "network.x",
    ],
)
def test_sysctls_that_are_not_allowed_are_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(AttachError, match=r"^cannot attach Pod ns/p: net1 .* is not among those") as caught:
        planned(tmp_path, {"sysctls": {name: "1"}})
    assert name in str(caught.value)
    assert caught.value.reason == reasons.PARAMS_UNSUPPORTED


def test_a_node_may_allow_others(tmp_path: Path) -> None:
    own = {"sysctls": {"net.ipv4.ip_forward": "1"}}
    made = planned(tmp_path, own, extras.Policy(("net.ipv4.ip_*",)))
    assert made is not None
    assert made.sysctls == {"net/ipv4/ip_forward": "1"}


def test_an_interface_whose_name_is_a_pattern_opens_no_other(tmp_path: Path) -> None:
    with pytest.raises(AttachError, match="net1"):
        planned(tmp_path, {"sysctls": {"net.ipv4.conf.net1.arp_ignore": "1"}}, name="net*")


@pytest.mark.parametrize(
    ("own", "spec", "words"),
    [
        ({"bandwidth": {"ingressRate": 5}}, {"macvlan": {}, "uplink": {"interface": "up0"}}, "bandwidth needs an end"),
        ({"portMappings": _PORTS}, {}, "needs a network in which the node has an address"),
        ({"portMappings": _PORTS}, {"macvlan": {}, "uplink": {"interface": "up0"}}, "port 8080 of the node"),
        ({"portMappings": _PORTS}, {"bridge": {"gateway": True}, "ipam": {"dhcp": {}}, "antiSpoof": False}, "dhcp"),
        ({"portMappings": _PORTS}, {"bridge": {"gateway": True}, "ipam": {"ranges": [{"cidr": "10.2.0.0/24"}]}},
         "in a range with a gateway"),
        ({"portMappings": [{**_PORTS[0], "hostIP": "fd00::1"}]}, {"bridge": {"gateway": True}}, "on fd00::1 needs"),
        ({}, {"policyRouting": True, "ipam": {"dhcp": {}}, "antiSpoof": False}, "policyRouting needs an address"),
        ({}, {"policyRouting": True, "tap": {}}, "policyRouting is the guest's affair"),
        ({}, {"cni": {"config": "{}"}, "ipam": None, "promiscuous": True, "sysctls": {"net.core.somaxconn": "1"}},
         "spec.promiscuous, spec.sysctls of NetworkConfig blue is not supported"),
    ],
)  # fmt: skip
def test_what_a_datapath_cannot_do_is_named(
    tmp_path: Path, own: dict[str, Any], spec: dict[str, Any], words: str
) -> None:
    with pytest.raises(AttachError, match=r"^cannot attach Pod ns/p: net1 \(datapath ") as caught:
        planned(tmp_path, own, **spec)
    assert words in str(caught.value)


@pytest.mark.parametrize("spec", [{"bridge": {"gateway": True}}, {"routed": {}, "antiSpoof": False}])
@pytest.mark.parametrize("policy", [False, True])
def test_ports(tmp_path: Path, spec: dict[str, Any], policy: bool) -> None:
    made = planned(tmp_path, {"portMappings": _PORTS}, policyRouting=policy, **spec)
    assert made is not None
    assert made.ports == [PortRecord(host_port=8080, container_port=80)]
    assert made.hidden != policy
    assert len(made.gateways) == 1
    assert made.pod == "ns/p"


def _pod(name: str, phase: str = "Running", **port: Any) -> hostports.Pod:
    containers = [{"ports": [{"containerPort": 1}, {"containerPort": 80, **port}]}, {}]
    spec = {"nodeName": "n1", "containers": containers}
    body = {"metadata": {"namespace": "other", "name": name}, "spec": spec, "status": {"phase": phase}}
    return msgspec.convert(body, hostports.Pod)


@pytest.mark.parametrize(
    ("port", "mapping", "meet"),
    [
        ({"hostPort": 8080}, {}, True),
        ({"hostPort": 8080, "hostIP": "0.0.0.0"}, {"hostIP": "192.0.2.1"}, True),
        ({"hostPort": 8080, "hostIP": "192.0.2.1"}, {}, True),
        ({"hostPort": 8080, "hostIP": "192.0.2.1"}, {"hostIP": "192.0.2.2"}, False),
        ({"hostPort": 8080, "hostIP": "what?"}, {"hostIP": "192.0.2.2"}, False),
        ({"hostPort": 8080, "protocol": "UDP"}, {}, False),
        ({"hostPort": 8081}, {}, False),
        ({}, {}, False),
    ],
)
def test_a_port_that_a_pod_has_by_kubernetes(
    tmp_path: Path, port: dict[str, Any], mapping: dict[str, Any], meet: bool
) -> None:
    """Nothing listens there, and of two rules one wins in silence: a mapping is refused, a later hostPort is told."""
    found = [_pod("over", "Succeeded", hostPort=8080), _pod("a", hostPort=9), _pod("db", **port)]
    policy = extras.Policy(holder=lambda wanted: hostports.holder(found, wanted))
    own = {"portMappings": [{**_PORTS[0], **mapping}]}
    taken = PortRecord(host_port=8080, container_port=80, host_ip=mapping.get("hostIP", ""))
    told = [text for pod in found for text in hostports.shadowed(pod, [("a/first", taken), ("other/db", taken)])]
    what = "cannot lead TCP port 8080 of node n1 to this Pod: portMappings of Pod a/first took it before"
    assert told == ([what] if meet else [])
    if not meet:
        assert planned(tmp_path, own, policy, bridge={"gateway": True}) is not None
        return
    with pytest.raises(AttachError, match=r"TCP port 8080 of the node is the hostPort of Pod other/db; choose another"):
        planned(tmp_path, own, policy, bridge={"gateway": True})


def test_each_interface_has_a_table_that_stays_the_same(tmp_path: Path) -> None:
    tables = []
    for at, name in enumerate(["net1", "net2", "net1"]):
        made = planned(tmp_path / str(at), {}, name=name, policyRouting=True)
        assert made is not None
        assert made.gateways == ["10.2.0.1"]
        tables.append(made.table)
    assert tables[0] == tables[2] != tables[1]
    assert all(1 << 30 <= table < 1 << 31 for table in tables)
