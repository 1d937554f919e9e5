"""Pods of NADs that CNI plugins attach, and what of an entry reaches a network of either sort."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from podnet_api import core, kni
from podnet_api.errors import InvalidError
from podnet_api.meta import ObjectMeta
from podnet_compat import annotation, names
from podnet_compat import pod as pods
from podnet_compat.legacy import Nad, NadSpec

IPAM = {"type": "host-local", "subnet": "10.1.0.0/24"}
BRIDGE: dict[str, Any] = {"type": "bridge", "bridge": "br1", "ipam": IPAM}
GATEWAY = {**BRIDGE, "isGateway": True}
MACVLAN = {"type": "macvlan", "master": "eth1"}
PTP = {"type": "myptp", "ipam": IPAM}
ROUTED = {"type": "ptp", "ipam": IPAM}
IPVLAN = {"type": "ipvlan", "ipam": IPAM}
OWN_IPVLAN = {**IPVLAN, "master": "eth1"}
CAPABLE = {
    "plugins": [
        PTP,
        {"type": "portmap", "capabilities": {"portMappings": True}},
        {"type": "bandwidth", "capabilities": {"bandwidth": True, "mac": True, "ips": True}},
    ]
}

PORTS = [{"hostPort": 8080, "containerPort": 80}]
PORTS_DONE = [{"hostPort": 8080, "containerPort": 80}]
LIMIT = {"ingressRate": 1000, "ingressBurst": 2000, "egressRate": 3000}
MAC = "02:00:00:00:00:01"
GUID = "c2:11:22:33:44:55:66:77"


def translated(config: Any, *entries: dict[str, Any], others: dict[str, str] | None = None) -> pods.Translation:
    """The translation of a Pod with ``entries``, each of them NAD ``x`` with this configuration."""
    text = json.dumps(config) if config is not None else None
    nad = Nad(metadata=ObjectMeta(name="x", namespace="test", uid="u"), spec=NadSpec(config=text))
    listed = {names.NETWORKS: json.dumps([{"name": "x", **entry} for entry in entries])} if entries else {}
    meta = ObjectMeta(name="web", namespace="test", annotations={**(others or {}), **listed})
    wanted = pods.read(core.Pod(metadata=meta, spec=core.PodSpec()), "test")
    return pods.translate(wanted, lambda namespace, name: nad if (namespace, name) == nad.key else None)


def asked(made: pods.Translation) -> dict[str, Any]:
    """The one AttachmentConfig's spec."""
    [pair] = made.attachments
    spec: dict[str, Any] = msgspec.to_builtins(pair.config.spec)
    return spec


@pytest.mark.parametrize(
    ("config", "entry", "expected"),
    [
        (CAPABLE, {"portMappings": PORTS}, {"portMappings": PORTS_DONE}),
        (CAPABLE, {"portMappings": [{**PORTS[0], "protocol": "udp", "hostIP": "10.0.0.1"}]},
         {"portMappings": [{**PORTS[0], "protocol": "UDP", "hostIP": "10.0.0.1"}]}),
        (CAPABLE, {"bandwidth": LIMIT}, {"bandwidth": LIMIT}),
        (CAPABLE, {"mac": MAC}, {"mac": MAC}),
        (CAPABLE, {"ips": ["10.1.0.9/24", "10.1.0.10/24", "fd00::5/64"]},
         {"addresses": ["10.1.0.9/24", "10.1.0.10/24", "fd00::5/64"]}),
        (PTP, {"cni-args": {"a": "x", "B": {"c": [1, None]}}}, {"cniArgs": {"a": '"x"', "B": '{"c": [1, null]}'}}),
        (PTP, {"deviceID": "0000:03:02.3"}, {"deviceID": "0000:03:02.3"}),
        (None, {"portMappings": PORTS, "bandwidth": LIMIT, "mac": MAC},
         {"portMappings": PORTS_DONE, "bandwidth": LIMIT, "mac": MAC}),
        (GATEWAY, {"portMappings": PORTS}, {"portMappings": PORTS_DONE}),
        (BRIDGE, {"bandwidth": LIMIT}, {"bandwidth": LIMIT}),
        (ROUTED, {"portMappings": PORTS, "bandwidth": LIMIT}, {"portMappings": PORTS_DONE, "bandwidth": LIMIT}),
    ],
)  # fmt: skip
def test_reaches_the_network(config: Any, entry: dict[str, Any], expected: dict[str, Any]) -> None:
    assert asked(translated(config, entry)) == expected


@pytest.mark.parametrize("entry", [{"portMappings": []}, {"bandwidth": {}}, {"cni-args": {}}, {"deviceID": ""}])
@pytest.mark.parametrize("config", [PTP, BRIDGE, None])
def test_nothing_asked_is_no_attachment(config: Any, entry: dict[str, Any]) -> None:
    made = translated(config, entry)
    assert (made.attachments, made.warnings) == ((), ())
    assert made.networks[1].pod_network_name == "test.x"


@pytest.mark.parametrize(
    ("config", "entry", "path", "words"),
    [
        (PTP, {"portMappings": PORTS}, ".portMappings", "myptp does not declare the capability portMappings"),
        (PTP, {"bandwidth": LIMIT}, ".bandwidth", "myptp does not declare the capability bandwidth"),
        (IPVLAN, {"mac": MAC}, ".mac", "ipvlan does not declare the capability mac"),
        (OWN_IPVLAN, {"mac": MAC}, ".mac", "has the MAC address of the node's"),
        (OWN_IPVLAN, {"bandwidth": LIMIT}, ".bandwidth", "no end on the node"),
        (BRIDGE, {"portMappings": PORTS}, ".portMappings", "needs a bridge with isGateway"),
        ({**BRIDGE, "isGateway": True, "ipam": {}}, {"portMappings": PORTS}, ".portMappings", "and an IPAM"),
        (MACVLAN, {"portMappings": PORTS}, ".portMappings", "no address in this network"),
        (MACVLAN, {"bandwidth": LIMIT}, ".bandwidth", "no end on the node"),
        (BRIDGE, {"cni-args": {"mac": MAC}}, ".cni-args.mac", "write it as 'mac'"),
        (BRIDGE, {"cni-args": {"ips": ["10.1.0.9"]}}, ".cni-args.ips", "write it as 'ips'"),
        (PTP, {"cni-args": {"a": "x" * 5000}}, "", "cannot be said by an AttachmentConfig"),
        (PTP, {"infiniband-guid": GUID}, ".infiniband-guid", "myptp does not declare the capability infinibandGUID"),
        (BRIDGE, {"infiniband-guid": GUID}, ".infiniband-guid", "not InfiniBand"),
    ],
)  # fmt: skip
def test_what_nothing_carries_is_refused(config: Any, entry: dict[str, Any], path: str, words: str) -> None:
    with pytest.raises(InvalidError) as caught:
        translated(config, entry)
    assert [fault.path for fault in caught.value.faults] == [f"{annotation.PATH}[0]{path}"]
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("config", "entry", "path", "words"),
    [
        (PTP, {"ips": ["10.1.0.9"]}, ".ips", "CNI_ARGS"),
        (PTP, {"ipam-claim-reference": "c"}, ".ipam-claim-reference", "no address is kept"),
        (None, {"ipam-claim-reference": "c"}, ".ipam-claim-reference", "no address is kept"),
        (BRIDGE, {"default-route": []}, ".default-route", "no default route"),
        (PTP, {"mac": MAC}, ".mac", "CNI_ARGS"),
        (PTP, {"default-route": ["10.1.0.1"]}, ".default-route[0]", "gateway that the plugins name"),
        (GATEWAY, {"portMappings": PORTS}, ".portMappings", "by the network itself"),
        (BRIDGE, {"bandwidth": LIMIT}, ".bandwidth", "by the network itself"),
        (BRIDGE, {"cni-args": {"service": "a"}}, ".cni-args.service", "no plugin of the NAD reads it"),
        (BRIDGE, {"deviceID": "0000:03:02.3"}, ".deviceID", "takes no device"),
        (CAPABLE, {"portMappings": [{**PORTS[0], "hostPorts": 1}]}, ".portMappings[0].hostPorts", "unknown key"),
        (CAPABLE, {"bandwidth": {**LIMIT, "rate": 1}}, ".bandwidth.rate", "unknown key"),
    ],
)
def test_what_is_otherwise_than_the_letter_is_said(config: Any, entry: dict[str, Any], path: str, words: str) -> None:
    [warning] = translated(config, entry).warnings
    assert warning.startswith(f"{annotation.PATH}[0]{path}: ")
    assert words in warning


def test_capabilities_that_are_declared_need_no_warning() -> None:
    entry = {"ips": ["10.1.0.9/24"], "mac": MAC, "portMappings": PORTS, "bandwidth": LIMIT}
    assert translated(CAPABLE, entry).warnings == ()


def test_the_default_route_over_plugins() -> None:
    made = translated(PTP, {"default-route": ["10.1.0.1"]}, {"default-route": ["fd00::1"]})
    assert [(n.is_default_gw4, n.is_default_gw6) for n in made.networks[1:]] == [(True, False), (False, True)]


def test_one_nad_several_times_told_apart_by_arguments() -> None:
    made = translated(PTP, {"cni-args": {"service": "a"}}, {"cni-args": {"service": "b"}}, {})
    through = [pair.attachment.spec.pod_network_name for pair in made.attachments]
    assert through == ["test.x", "test.x-2"]
    assert made.networks[3].pod_network_name == "test.x-3"
    assert [further.name for further in made.further] == ["test.x-2", "test.x-3"]
    assert [pair.config.spec for pair in made.attachments] == [
        kni.AttachmentConfigSpec(cni_args={"service": '"a"'}),
        kni.AttachmentConfigSpec(cni_args={"service": '"b"'}),
    ]
