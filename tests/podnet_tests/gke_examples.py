"""GKE's multi-network objects with every field of their formats."""

from __future__ import annotations

import json
from typing import Any

from podnet_tests.fieldwalk import Example
from podnet_tests.foreign_objects import DECIDED, Object, item, pod

VERSION = "networking.gke.io/v1"
KEY = "networking.gke.io/"


def network(name: str, type_: str, **spec: Any) -> Object:
    """A Network."""
    annotations = spec.pop("annotations", {})
    return item(VERSION, "Network", name, {"type": type_, **spec}, annotations=annotations)


def params(name: str, *blocks: str, **spec: Any) -> Object:
    """A GKENetworkParamSet."""
    given = {"vpc": "v", "vpcSubnet": "s", **spec}
    return item(VERSION, "GKENetworkParamSet", name, given, status={"podCIDRs": {"cidrBlocks": list(blocks)}})


def ref(name: str) -> Object:
    """A reference to a GKENetworkParamSet."""
    return {"group": "networking.gke.io", "kind": "GKENetworkParamSet", "name": name}


def interface(name: str, network: str, **spec: Any) -> Object:
    """A NetworkInterface in namespace a."""
    return item(VERSION, "NetworkInterface", name, {"networkName": network, **spec}, "a")


def interfaces(*pairs: tuple[str, str]) -> list[Object]:
    """The list of a Pod, of interface and network."""
    return [{"interfaceName": name, "network": network} for name, network in pairs]


L2 = network(
    "blue",
    "L2",
    provider="GKE",
    nodeInterfaceMatcher={"interfaceName": "eth1"},
    l2NetworkConfig={"vlanID": 42},
    networkLifecycle="AnthosManaged",
    gateway4="10.1.0.1",
    routes=[{"to": "10.2.0.0/16"}],
    dnsConfig={"nameservers": ["10.1.0.53"], "searches": ["blue.local"]},
    annotations={f"{KEY}in-use": "true", f"{KEY}auto-generated": "true"},
)
DHCP = network(
    "blue", "L2", nodeInterfaceMatcher={"interfaceName": "eth1"}, externalDHCP4=True, IPAMMode6="External",
     gateway4="10.1.0.1", dnsConfig={"nameservers": ["10.1.0.53"]},
)  # fmt: skip
OUTER = network("blue", "L2", nodeInterfaceMatcher={"interfaceName": "eth1"}, IPAMMode="External")
L3 = network(
    "blue", "L3", parametersRef=ref("p"), gateway4="10.64.0.1", routes=[{"to": "10.2.0.0/16"}],
    IPAMMode="Internal", nodeInterfaceMatcher={"interfaceName": "eth1"},
)  # fmt: skip
L2_DECIDED = network(
    "blue", "L2", nodeInterfaceMatcher={"interfaceName": "eth1"}, l2NetworkConfig={"prefixLength4": 24},
    IPAMMode="Internal", annotations={DECIDED: "by-hand"},
)  # fmt: skip
PARAMS = params("p", "10.64.0.0/20", deviceMode="RDMA", podIPv4Ranges={"rangeNames": ["pods"]})
DEVICE = network("blue", "Device", parametersRef=ref("p"), nodeInterfaceMatcher={"interfaceName": "eth1"})
POD = pod(
    {
        f"{KEY}interfaces": [
            {"interfaceName": "eth0", "network": "default"},
            {"interfaceName": "eth2", "network": "blue"},
            {"interfaceName": "eth3", "interface": "own"},
        ],
        f"{KEY}default-interface": "eth2",
        f"{KEY}disable-source-ip-validation": "true",
        f"{KEY}disable-source-mac-validation": "true",
        f"{KEY}enable-multicast": "true",
        f"{KEY}pod-ips": '[{"networkName":"blue","ip":"10.1.0.5"}]',
        f"{KEY}interface-status": "[]",
    },
    containers=[{"resources": {"requests": {"networking.gke.io.networks/blue": 1}}}],
)
RED = network("red", "L2", nodeInterfaceMatcher={"interfaceName": "eth2"})
OWN = interface("own", "red", ipAddresses=["10.1.0.5/24", "fd00::5"], macAddress="02:00:00:00:00:01")
_NETWORK = frozenset(
    f"spec.{key}"
    for key in (
        "type", "provider", "nodeInterfaceMatcher.interfaceName", "l2NetworkConfig.vlanID",
        "l2NetworkConfig.prefixLength4", "networkLifecycle", "routes[].to", "gateway4", "dnsConfig.nameservers",
        "dnsConfig.searches", "externalDHCP4", "parametersRef.group", "parametersRef.kind", "parametersRef.name",
        "parametersRef.namespace", "IPAMMode", "IPAMMode6",
    )
)  # fmt: skip
_POD = frozenset(
    f"metadata.annotations[{KEY}{key}]"
    for key in (
        "interfaces", "default-interface", "disable-source-ip-validation", "disable-source-mac-validation",
        "enable-multicast", "pod-ips", "interface-status",
    )
)  # fmt: skip
EXAMPLES = (
    Example("gke network", [L2], more=[DHCP, OUTER], refused=[
        (("spec", "l2NetworkConfig", "prefixLength4"), 24),
        (("spec", "IPAMMode"), "Internal"),
        (("spec", "IPAMMode6"), "Internal"),
        (("spec", "parametersRef", "group"), "x"),
        (("spec", "parametersRef", "kind"), "x"),
        (("spec", "parametersRef", "name"), "x"),
        (("spec", "parametersRef", "namespace"), "x"),
        (("spec", "novel"), 1),
    ], fields=_NETWORK),
    Example("gke network of the VPC", [L3, PARAMS], more=[DEVICE, L2_DECIDED], refused=[
        (("spec", "parametersRef", "namespace"), "x"),
        (("spec", "l2NetworkConfig"), {"vlanID": 5}),
    ]),
    Example("gke parameters", [PARAMS, L3], fields=frozenset(
        ["spec.vpc", "spec.vpcSubnet", "spec.deviceMode", "spec.podIPv4Ranges.rangeNames"])),
    Example("gke interface", [OWN, RED],
            fields=frozenset(["spec.networkName", "spec.ipAddresses", "spec.macAddress"])),
    Example("gke pod", [POD, L2_DECIDED, RED, OWN], texts=[f"{KEY}interfaces"], fields=_POD,
            marks=[("spec", "containers", 0, "resources", "requests", "networking.gke.io.networks/blue")]),
)  # fmt: skip
SEEDS = json.dumps([L2, DHCP, L3, PARAMS, DEVICE, POD, RED, OWN])
