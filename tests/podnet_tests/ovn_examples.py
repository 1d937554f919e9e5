"""Objects of OVN-Kubernetes and of Kube-OVN with every field of their formats."""

from __future__ import annotations

from typing import Any

from podnet_tests.fieldwalk import Example
from podnet_tests.foreign_objects import NETWORKS, Object, item, nad, pod

OVN = "k8s.ovn.org/v1"
LABEL = "k8s.ovn.org/primary-user-defined-network"


def layer2(role: str = "Secondary", **more: Any) -> Object:
    """The spec of a network of topology Layer2."""
    return {"topology": "Layer2", "layer2": {"role": role, "subnets": ["10.1.0.0/16"], **more}}


def layer3(role: str = "Secondary", **more: Any) -> Object:
    """The spec of a network of topology Layer3."""
    subnets = [{"cidr": "10.1.0.0/16", "hostSubnet": 24}]
    return {"topology": "Layer3", "layer3": {"role": role, "subnets": subnets, **more}}


def localnet(**more: Any) -> Object:
    """The spec of a network of topology Localnet."""
    body = {"role": "Secondary", "physicalNetworkName": "phys", "subnets": ["10.1.0.0/16"], **more}
    return {"topology": "Localnet", "localnet": body}


def udn(spec: Object, name: str = "red", namespace: str = "a") -> Object:
    """A UserDefinedNetwork."""
    return item(OVN, "UserDefinedNetwork", name, spec, namespace)


def cudn(network: Object, name: str = "red", selector: Object | None = None) -> Object:
    """A ClusterUserDefinedNetwork."""
    chosen = {"matchLabels": {"team": "x"}} if selector is None else selector
    return item(OVN, "ClusterUserDefinedNetwork", name, {"namespaceSelector": chosen, "network": network})


def space(name: str = "a", primary: bool = False, **labels: str) -> Object:
    """A Namespace."""
    return item("v1", "Namespace", name, None, labels={**labels, **({LABEL: ""} if primary else {})})


def overlay(name: str = "net", namespace: str = "a", json_name: str = "tenant", **config: Any) -> Object:
    """A NAD of OVN-Kubernetes."""
    own = {"netAttachDefName": f"{namespace}/{name}", "topology": "layer2", **config}
    return nad(name, {"cniVersion": "0.4.0", "type": "ovn-k8s-cni-overlay", "name": json_name, **own}, namespace)


def kubeovn(name: str = "net", namespace: str = "a", **config: Any) -> Object:
    """A NAD of Kube-OVN."""
    own = {"cniVersion": "0.3.0", "type": "kube-ovn", "server_socket": "/run/openvswitch/kube-ovn-daemon.sock"}
    return nad(name, {**own, "provider": f"{name}.{namespace}.ovn", **config}, namespace)


def kube(kind: str, name: str, **spec: Any) -> Object:
    """An object of Kube-OVN."""
    return item("kubeovn.io/v1", kind, name, spec)


PRIMARY2 = layer2(
    "Primary", mtu=1400, joinSubnets=["100.65.0.0/16"], defaultGatewayIPs=["10.1.0.1"],
    reservedSubnets=["10.1.1.0/24"], infrastructureSubnets=["10.1.0.0/28"],
    ipam={"mode": "Enabled", "lifecycle": "Persistent"},
)  # fmt: skip
PRIMARY3 = layer3("Primary", mtu=1400, joinSubnets=["100.65.0.0/16"])
SECONDARY2 = layer2(mtu=1400, ipam={"mode": "Enabled", "lifecycle": "Persistent"})
SECONDARY3 = layer3(mtu=1400)
LOCAL = localnet(
    mtu=1400, excludeSubnets=["10.1.0.0/28"], ipam={"mode": "Enabled", "lifecycle": "Persistent"},
    vlan={"mode": "Access", "access": {"id": 7}},
)  # fmt: skip
EVPN = {
    **PRIMARY3, "transport": "EVPN", "noOverlay": {"outboundSNAT": "Enabled", "routing": "Managed"},
    "noOverlayOptions": {"outboundSNAT": "Enabled", "routing": "Managed"}, "uplink": "u",
    "evpn": {"vtep": "v", "ipVRF": {"vni": 7, "routeTarget": "1:7"}, "macVRF": {"vni": 8, "routeTarget": "1:8"}},
}  # fmt: skip
PLAIN = layer2(ipam={"mode": "Disabled"})
del PLAIN["layer2"]["subnets"]
SELECTED = {
    "matchLabels": {"team": "x"},
    "matchExpressions": [{"key": "stage", "operator": "In", "values": ["test"]}],
}
PLACE = space(team="x", stage="test", primary=True)
_BODY = ("role", "mtu", "subnets", "joinSubnets", "ipam.mode", "ipam.lifecycle")
_LAYER2 = (*_BODY, "defaultGatewayIPs", "reservedSubnets", "infrastructureSubnets")
_LAYER3 = ("role", "mtu", "subnets[].cidr", "subnets[].hostSubnet", "joinSubnets")
_LOCAL = ("role", "mtu", "subnets", "ipam.mode", "ipam.lifecycle", "physicalNetworkName", "excludeSubnets",
          "vlan.mode", "vlan.access.id")  # fmt: skip
CONFIG: Object = {
    "role": "secondary", "mtu": 1400, "subnets": "10.1.0.0/16", "excludeSubnets": "10.1.0.0/28",
    "physicalNetworkName": "phys", "vlanID": 7, "allowPersistentIPs": True, "topology": "localnet",
}  # fmt: skip
OLD = cudn(localnet(vlan=7))
NIC = (
    "ip_address", "mac_address", "ip_pool", "default_route", "ip_family", "logical_switch", "logical_router",
    "vlan_id", "ingress_rate", "egress_rate", "ingress_burst", "egress_burst", "security_groups", "routes",
    "layer2_forward", "port_security", "port_vips", "pod_nic_type", "activation_strategy", "dhcp-v4-options",
    "dhcp-v6-options", "mirror", "latency", "limit", "loss", "jitter", "priority", "provider_network", "allocated",
    "network_policy_for", "routed", "cidr", "gateway", "vf", "vf_representor", "virtualmachine", "allow_live_migration",
)  # fmt: skip
_VALUES = {"ip_address": "10.9.0.5", "mac_address": "02:00:00:00:00:01", "default_route": "true"}


def nics(prefix: str, *, but: tuple[str, ...] = ()) -> dict[str, str]:
    """Every key of a NIC behind ``prefix``."""
    return {f"{prefix}.kubernetes.io/{key}": _VALUES.get(key, "x") for key in NIC if key not in but}


_ONE = {"net.a.kubernetes.io/ip_address.net1": "10.9.0.6", "net.a.kubernetes.io/mac_address.net1": "02:00:00:00:00:02"}
_ROUTE = {"policy": "policyDst", "cidr": "0.0.0.0/0", "nextHopIP": "10.0.0.1", "ecmpMode": "ecmp", "bfdId": "b",
          "routeTable": "t"}  # fmt: skip
SUBNET = kube(
    "Subnet", "s", default=True, vpc="v", protocol="Dual", namespaces=["a"], cidrBlock="10.9.0.0/16,fd00::/112",
    gateway="10.9.0.1,fd00::1", excludeIps=["10.9.0.2..10.9.0.9"], provider="net.a.ovn", gatewayType="centralized",
    gatewayNode="n1", gatewayNodeSelectors=[{"matchLabels": {"x": "y"}}], natOutgoing=True,
    externalEgressGateway="10.0.0.9", policyRoutingPriority=5, policyRoutingTableID=6, mtu=1400, private=True,
    allowSubnets=["10.8.0.0/16"], vlan="vl", vips=["10.9.0.200"], logicalGateway=True, disableGatewayCheck=True,
    disableInterConnection=True, enableDHCP=True, dhcpV4Options="o", dhcpV6Options="p", enableIPv6RA=True,
    ipv6RAConfigs="c", acls=[{"direction": "to-lport", "priority": 5, "match": "ip4", "action": "drop"}],
    allowEWTraffic=True, natOutgoingPolicyRules=[{"match": {"srcIPs": "a", "dstIPs": "b"}, "action": "nat"}],
    u2oInterconnectionIP="10.9.0.3", u2oInterconnection=True, u2oFeatures={"overlayOnlyRouting": True}, enableLb=True,
    enableEcmp=True, enableMulticastSnoop=True, enableExternalLBAddress=True, routeTable="t",
    namespaceSelectors=[{"matchLabels": {"x": "y"}}], nodeNetwork="n",
)  # fmt: skip
VPC = kube(
    "Vpc", "v", defaultSubnet="s", namespaces=["a"], staticRoutes=[_ROUTE],
    policyRoutes=[{"priority": 5, "match": "ip4", "action": "reroute", "nextHopIP": "10.0.0.1"}],
    vpcPeerings=[{"remoteVpc": "w", "localConnectIP": "10.0.0.2/30"}], enableExternal=True,
    extraExternalSubnets=["e"], enableBfd=True, bfdPort={"enabled": True, "ip": "10.0.0.3",
                                                         "nodeSelector": {"matchLabels": {"x": "y"}}},
    dynamicRouting={"enabled": True, "redistribute": ["static"], "localOnly": True, "maintainVrf": True,
                    "vrfName": "vrf", "vrfId": 5},
)  # fmt: skip
VLAN = kube("Vlan", "vl", id=7, provider="pn", vlanId=7, providerInterfaceName="eth1")
PROVIDER = kube(
    "ProviderNetwork", "pn", defaultInterface="eth1", customInterfaces=[{"interface": "eth2", "nodes": ["n1"]}],
    nodeSelector={"matchLabels": {"x": "y"}}, excludeNodes=["n2"], exchangeLinkName=True,
    autoCreateVlanSubinterfaces=True, preserveVlanInterfaces=True, vlanInterfaces=["eth1.5"],
)  # fmt: skip
POOL = kube("IPPool", "p", subnet="s", namespaces=["a"], ips=["10.9.0.50"], enableAddressSet=True)
EXAMPLES = (
    Example("udn layer2", [udn(SECONDARY2)], more=[udn(PLAIN)], refused=[
        *((("spec", "layer2", key), ["10.1.0.0/24"]) for key in (
            "joinSubnets", "defaultGatewayIPs", "reservedSubnets", "infrastructureSubnets")),
        (("spec", "layer2", "ipam", "mode"), "DHCP"), (("spec", "layer2", "novel"), 1), (("spec", "layer3"), {"x": 1}),
        (("spec", "novel"), 1),
    ], fields=frozenset(["spec.topology", *(f"spec.layer2.{key}" for key in _LAYER2)])),
    Example("udn layer3", [udn(SECONDARY3)], refused=[(("spec", "layer3", "joinSubnets"), ["10.0.0.0/24"])],
            fields=frozenset(f"spec.layer3.{key}" for key in _LAYER3)),
    Example("udn primary", [udn(PRIMARY2), PLACE], more=[udn(PRIMARY3)],
            fields=frozenset(f"spec.layer2.{key}" for key in _LAYER2)),
    Example("cudn", [cudn(LOCAL, selector=SELECTED), PLACE], more=[cudn(EVPN, selector=SELECTED), OLD],
            refused=[(("spec", "novel"), 1), (("spec", "network", "evpn"), {"vtep": "v"})],
            fields=frozenset([
                "spec.namespaceSelector.matchLabels", "spec.namespaceSelector.matchExpressions",
                *(f"spec.network.localnet.{key}" for key in _LOCAL),
                *(f"spec.network.{key}" for key in (
                    "transport", "noOverlay.outboundSNAT", "noOverlay.routing", "noOverlayOptions.outboundSNAT",
                    "evpn.vtep", "evpn.macVRF.vni", "evpn.ipVRF.routeTarget", "uplink"))])),
    Example("ovn nad", [overlay(**CONFIG)], more=[overlay(role="primary", subnets="10.1.0.0/16", mtu=1400)],
            texts=["spec.config"], marks=[("spec", "config", "cniVersion"), ("spec", "config", "type")],
            fields=frozenset(f"spec.config.{key}" for key in (*CONFIG, "netAttachDefName", "name"))),
    Example("ovn pod", [pod({NETWORKS: [{"name": "net", "namespace": "b", "mac": "02:00:00:00:00:01",
                                         "interface": "left", "ips": ["10.1.0.5/16"]}]}), overlay("net", "b")],
            texts=[NETWORKS]),
    Example("kube-ovn subnet", [SUBNET, kubeovn()], fields=frozenset(f"spec.{key}" for key in SUBNET["spec"])),
    Example("kube-ovn vpc", [VPC]),
    Example("kube-ovn vlan", [VLAN, PROVIDER]),
    Example("kube-ovn provider network", [PROVIDER]),
    Example("kube-ovn pool", [POOL, SUBNET, kubeovn()]),
    Example("kube-ovn pod", [pod({NETWORKS: "net", **nics("net.a.ovn"), **nics("ovn"), **nics("nobody.b.ovn")}),
                             kubeovn()],
            more=[pod({NETWORKS: "net", **_ONE}),
                  pod({NETWORKS: "net", **nics("net.a.ovn.net1", but=("ip_address",))}),
                  pod({NETWORKS: "net@left,net@right", **nics("net.a.ovn.left"), **nics("net.a.ovn")}),
                  pod({NETWORKS: "net", "net.a.ovn.kubernetes.io/ip_pool": "10.9.0.7"}),
                  pod({NETWORKS: "net", "net.a.ovn.kubernetes.io/ip_pool": "10.9.0.7,10.9.0.8"})],
            fields=frozenset(f"metadata.annotations[net.a.ovn.kubernetes.io/{key}]" for key in NIC)),
)  # fmt: skip
