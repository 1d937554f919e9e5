"""NADs of Tungsten Fabric, kuryr and Antrea, and Pods on them, with every field of their formats."""

from __future__ import annotations

from typing import Any

from podnet_tests.fieldwalk import Example
from podnet_tests.foreign_objects import DECIDED, NETWORKS, Object, item, nad, pod

TF, KURYR = "opencontrail.org/", "openstack.org/kuryr-config"
BROKEN = '{ “cniVersion”: “0.3.0”, "type": "contrail-k8s-cni" }'
"""As Tungsten Fabric's own documents have it."""
ENTRY = {
    "name": "net", "namespace": "b", "interface": "left", "ips": ["10.0.0.5"], "mac": "02:00:00:00:00:01",
    "default-route": ["10.0.0.1"], "portMappings": [{"hostPort": 80, "containerPort": 80, "protocol": "TCP"}],
    "bandwidth": {"ingressRate": 1000}, "cni-args": {"x": 1}, "deviceID": "0000:00:01.0",
    "infiniband-guid": "c2:11:22:33:44:55:66:77",
}  # fmt: skip
"""An element of the NPWG annotation with every key."""
CLAIM = {"name": "net", "namespace": "b", "ipam-claim-reference": "claim"}


def tf(name: str = "net", namespace: str = "a", **keys: str) -> Object:
    """A NAD of Tungsten Fabric."""
    return nad(name, BROKEN, namespace, **{f"{TF}{key}": value for key, value in keys.items()})


def kuryr(name: str = "net", namespace: str = "a", config: str = '{"subnetId":"s"}', **more: str) -> Object:
    """A NAD of kuryr, without a spec."""
    return nad(name, None, namespace, **{KURYR: config}, **more)


def antrea(name: str = "net", kind: str = "vlan", annotations: dict[str, str] | None = None, **keys: Any) -> Object:
    """A NAD of type antrea."""
    return nad(name, {"cniVersion": "0.3.0", "type": "antrea", "networkType": kind, **keys}, **(annotations or {}))


def agent(*interfaces: str) -> Object:
    """The configuration of Antrea's agent."""
    text = f"secondaryNetwork:\n  ovsBridges: [{{bridgeName: br, physicalInterfaces: [{', '.join(interfaces)}]}}]\n"
    return item("v1", "ConfigMap", "antrea-config", None, "kube-system", data={"antrea-agent.conf": text})


def ippool(name: str = "pool4", **spec: Any) -> Object:
    """An IPPool, v1beta1."""
    given = {
        "ipRanges": [{"start": "10.9.0.10", "end": "10.9.0.20"}],
        "subnetInfo": {"gateway": "10.9.0.1", "prefixLength": 24, "vlan": 0},
        **spec,
    }
    return item("crd.antrea.io/v1beta1", "IPPool", name, given)


FABRIC = tf(
    cidr="10.10.10.0/24", ip_fabric_forwarding="false", ip_fabric_snat="true",
    network='{"domain":"d","project":"p","name":"n"}', x="y",
)  # fmt: skip
FABRIC["metadata"]["annotations"][DECIDED] = "by-hand"
SUBNET = kuryr("net", "a", '{"subnetId":"s","driverType":"sriov"}', **{DECIDED: "by-hand"})
IPAM = {
    "type": "antrea",
    "ippools": ["pool4", "pool6"],
    "routes": [{"dst": "10.3.0.0/16", "gw": "10.9.0.1"}, {"dst": "0.0.0.0/0"}],
    "dns": {"nameservers": ["10.9.0.53"], "search": ["x.local"], "domain": "x", "options": ["ndots:1"]},
}
STATIC = {"type": "antrea", "addresses": [{"address": "10.9.0.5/24", "gateway": "10.9.0.1"}]}
VLAN = antrea(mtu=9000, vlan=7, ipam=IPAM, deviceID="x", dns={"nameservers": ["10.0.0.1"]})
SRIOV = antrea(kind="sriov", annotations={"k8s.v1.cni.cncf.io/resourceName": "intel.com/vf"}, ipam=STATIC)
POOL4 = ippool(ipRanges=[{"start": "10.9.0.10", "end": "10.9.0.20"}, {"cidr": "10.9.0.64/26"}])
POOL6 = item("crd.antrea.io/v1alpha2", "IPPool", "pool6", {
    "ipVersion": 6,
    "ipRanges": [{"start": "fd00::10", "end": "fd00::20", "gateway": "fd00::1", "prefixLength": 64, "vlan": 8}],
})  # fmt: skip
TAGGED = ippool(
    ipRanges=[{"start": "10.9.0.10", "end": "10.9.0.20"}, {"cidr": "10.9.0.64/26"}],
    subnetInfo={"gateway": "10.9.0.1", "prefixLength": 24, "vlan": 5},
)
OF_POOL4, OF_POOL6 = (antrea(ipam={"type": "antrea", "ippools": [name]}) for name in ("pool4", "pool6"))
FAR = nad("net", {"type": "antrea", "networkType": "vlan", "vlan": 7}, "b")
TF_FAR = nad("net", BROKEN, "b", **{f"{TF}cidr": "10.0.0.0/24", DECIDED: "by-hand"})
KURYR_FAR = kuryr("net", "b", **{DECIDED: "by-hand"})
_RANGE = ("start", "end", "gateway", "prefixLength", "vlan")
_NPWG = frozenset(f"metadata.annotations[{NETWORKS}][].{key}" for key in ENTRY)
EXAMPLES = (
    Example("tungsten nad", [FABRIC], texts=[f"{TF}network"], fields=frozenset(
        f"metadata.annotations[{TF}{key}]" for key in ("cidr", "ip_fabric_forwarding", "ip_fabric_snat", "network"))),
    Example("tungsten pod", [pod({
        NETWORKS: [ENTRY], f"{TF}network": {"domain": "d", "project": "p", "name": "n"}, f"{TF}fip-pool": "x",
    }), TF_FAR], more=[pod({NETWORKS: [CLAIM]})], texts=[NETWORKS, f"{TF}network"], fields=_NPWG),
    Example("kuryr nad", [SUBNET], texts=[KURYR], fields=frozenset(
        f"metadata.annotations[{KURYR}].{key}" for key in ("subnetId", "driverType"))),
    Example("kuryr pod", [pod({NETWORKS: [ENTRY]}), KURYR_FAR], more=[pod({NETWORKS: [CLAIM]})], texts=[NETWORKS],
            fields=_NPWG),
    Example("antrea nad", [VLAN, POOL4, POOL6, agent("eth1")], texts=["spec.config"], more=[SRIOV],
            marks=[("spec", "config", "type"), ("spec", "config", "cniVersion"), ("spec", "config", "name")],
            refused=[(("spec", "config", "ipam", "ranges"), [[{"subnet": "10.0.0.0/24"}]]),
                     (("spec", "config", "novel"), 1)],
            fields=frozenset(f"spec.config.{key}" for key in (
                "networkType", "mtu", "vlan", "deviceID", "dns", "ipam.type", "ipam.ippools", "ipam.routes[].dst",
                "ipam.routes[].gw", "ipam.addresses[].address", "ipam.addresses[].gateway", "ipam.dns.nameservers",
                "ipam.dns.search", "ipam.dns.domain", "ipam.dns.options", "ipam.ranges"))),
    Example("antrea pool", [TAGGED, OF_POOL4, agent("eth1")],
            refused=[(("spec", "novel"), 1)], fields=frozenset(
        ["spec.ipRanges[].start", "spec.ipRanges[].end", "spec.ipRanges[].cidr", "spec.subnetInfo.gateway",
         "spec.subnetInfo.prefixLength", "spec.subnetInfo.vlan"])),
    Example("antrea old pool", [POOL6, OF_POOL6, agent("eth1")], fields=frozenset(
        ["spec.ipVersion", *(f"spec.ipRanges[].{key}" for key in _RANGE)])),
    Example("antrea pod", [pod({NETWORKS: [ENTRY]}), FAR, agent("eth1")],
            more=[pod({NETWORKS: [CLAIM]})], texts=[NETWORKS], fields=_NPWG),
)  # fmt: skip
