"""The formats of other systems as the systems themselves define them: every field, by system and kind.

Sources are the types of each project (nokia/danm, cni-genie/CNI-Genie, ZTE/Knitter, tf-controller, kuryr-kubernetes,
userspace-cni, kubevirt, gke-networking-api, ovn-kubernetes, isovalent, antrea, kube-ovn) and what is found in use. A
walk proves nothing of a field that no example has; so each field stands here once, and an example must have it.
"""

from __future__ import annotations

from podnet_tests import (
    cni_examples,
    danm_examples,
    genie_examples,
    gke_examples,
    isovalent_examples,
    kubevirt_examples,
    npwg_examples,
    ovn_examples,
)
from podnet_tests.fieldwalk import Example

_NPWG = "metadata.annotations[k8s.v1.cni.cncf.io/networks][]"


def _under(prefix: str, *fields: str) -> list[str]:
    return [f"{prefix}{field}" for field in fields]


def _annotations(prefix: str, *keys: str) -> list[str]:
    return [f"metadata.annotations[{prefix}{key}]" for key in keys]


_OPTIONS = _under(
    "spec.Options.", "host_device", "device_pool", "cidr", "allocation_pool.start", "allocation_pool.end", "net6",
    "allocation_pool_v6.start", "allocation_pool_v6.end", "container_prefix", "rt_tables", "routes", "routes6", "vlan",
    "vxlan",
)  # fmt: skip
_DANM = ["spec.NetworkID", "spec.NetworkType", *_OPTIONS]
_BODY = ("role", "subnets", "mtu", "joinSubnets", "ipam.mode", "ipam.lifecycle")
_SOCKET = ("engine", "iftype", "netType", "memif.role", "memif.mode", "memif.socketfile", "vhost.mode", "bridge")
_ELEMENT = (
    "name", "namespace", "interface", "ips", "mac", "default-route", "portMappings", "bandwidth", "cni-args",
    "deviceID", "infiniband-guid", "ipam-claim-reference",
)  # fmt: skip
DANM, GENIE, KNITTER = danm_examples.EXAMPLES, genie_examples.GENIE, genie_examples.KNITTER
NPWG, OVN, CNI = npwg_examples.EXAMPLES, ovn_examples.EXAMPLES, cni_examples.EXAMPLES

Formats = dict[tuple[str, str], tuple[list[Example] | tuple[Example, ...], list[str]]]
FORMATS: Formats = {
    ("DANM", "DanmNet"): (DANM, [*_DANM, "spec.AllowedTenants"]),
    ("DANM", "TenantNetwork"): (DANM, [*_DANM, "spec.AllowedTenants"]),
    ("DANM", "ClusterNetwork"): (DANM, [*_DANM, "spec.AllowedTenants"]),
    ("DANM", "TenantConfig"): (DANM, [*_under("hostDevices[].", "name", "vniType", "vniRange"), "networkIds"]),
    ("DANM", "DanmEp"): (DANM, ["spec"]),
    ("DANM", "Service"): (DANM, [
        *_annotations("danm.io/", "selector", "network", "tenantNetwork", "clusterNetwork"),
        *_annotations("danm.k8s.io/", "selector", "network", "tenantNetwork", "clusterNetwork"),
        "spec.clusterIP", "spec.type", "spec.selector", *_under("spec.ports[].", "name", "protocol", "port",
                                                                "targetPort", "appProtocol")]),
    ("DANM", "Pod"): (DANM, [
        f"metadata.annotations[{group}/interfaces][].{key}" for group in ("danm.io", "danm.k8s.io")
        for key in ("network", "tenantNetwork", "clusterNetwork", "ip", "ip6", "proutes", "proutes6")]),
    ("Genie", "Pod"): (GENIE, _annotations("", "cni", "networks", "multi-ip-preferences")),
    ("Genie", "Logicalnetwork"): (GENIE, _under("spec.", "physicalNet", "sub_subnet", "plugin")),
    ("Genie", "Physicalnetwork"): (GENIE, [
        "spec.refer_nic", *_under("spec.sharedStatus.", "plugin", "subnet", "dedicatedNet")]),
    ("Knitter", "Pod"): (KNITTER, [
        "metadata.annotations[networks].ports[].attach_to_network",
        *_under("metadata.annotations[networks].ports[].attributes.", "accelerate", "function", "nic_name", "nic_type",
                "ip_addr", "ip_group_name", "combinable")]),
    ("Knitter", ""): (KNITTER, [
        *_under("network.", "name", "public", "gateway", "cidr"),
        *_under("provider_network.", "provider:network_type", "provider:physical_network",
                "provider:segmentation_id")]),
    ("Tungsten Fabric", "NetworkAttachmentDefinition"): (NPWG, [
        *_annotations("opencontrail.org/", "cidr", "ip_fabric_forwarding", "ip_fabric_snat"),
        *_under("metadata.annotations[opencontrail.org/network].", "domain", "project", "name"), "spec.config"]),
    ("Tungsten Fabric, kuryr, Antrea", "Pod"): (NPWG, [
        *_under(f"{_NPWG}.", *_ELEMENT),
        *_under("metadata.annotations[opencontrail.org/network].", "domain", "project", "name")]),
    ("kuryr", "NetworkAttachmentDefinition"): (NPWG, _under(
        "metadata.annotations[openstack.org/kuryr-config].", "subnetId", "driverType")),
    ("Antrea", "NetworkAttachmentDefinition"): (NPWG, [
        *_under("spec.config.", "networkType", "vlan", "mtu", "ipam.type", "ipam.ippools", "ipam.addresses",
                "ipam.routes", "ipam.dns"), *_annotations("k8s.v1.cni.cncf.io/", "resourceName")]),
    ("Antrea", "IPPool"): (NPWG, [
        *_under("spec.ipRanges[].", "start", "end", "cidr", "gateway", "prefixLength", "vlan"), "spec.ipVersion",
        *_under("spec.subnetInfo.", "gateway", "prefixLength", "vlan")]),
    ("Userspace CNI", "NetworkConfiguration"): (CNI, [
        *_under("config.host.", *_SOCKET), *_under("config.container.", *_SOCKET), "config.sharedDir"]),
    ("plain CNI", "NetworkConfiguration"): (CNI, [
        "config.name", "config.plugins[].type", "config.master", "config.mode", "config.mtu", "config.ipam.subnet"]),
    ("plain CNI", "ConfigMap"): (CNI, _under(
        "data[net-conf.json].", "Network", "IPv6Network", "SubnetLen", "IPv6SubnetLen", "SubnetMin", "SubnetMax",
        "EnableIPv4", "EnableIPv6", "Backend.Type", "Backend.VNI", "Backend.Port", "Backend.MTU", "Backend.GBP",
        "Backend.DirectRouting")),
    ("KubeVirt", "VirtualMachineInstance"): (kubevirt_examples.EXAMPLES, [
        *_under("spec.networks[].", "name", "pod", "multus.networkName", "multus.default", "resourceClaim"),
        *_under("spec.domain.devices.interfaces[].", "name", "bridge", "masquerade", "sriov", "slirp", "macvtap",
                "passt", "binding", "macAddress", "state", "model", "ports", "bootOrder", "pciAddress", "dhcpOptions",
                "tag", "acpiIndex")]),
    ("GKE", "Pod"): (gke_examples.EXAMPLES, [
        *_under("metadata.annotations[networking.gke.io/interfaces][].", "interfaceName", "network", "interface"),
        *_annotations("networking.gke.io/", "default-interface", "disable-source-ip-validation",
                      "disable-source-mac-validation", "enable-multicast", "pod-ips", "interface-status")]),
    ("GKE", "Network"): (gke_examples.EXAMPLES, _under(
        "spec.", "type", "provider", "nodeInterfaceMatcher.interfaceName", "l2NetworkConfig.vlanID",
        "l2NetworkConfig.prefixLength4", "routes[].to", "gateway4", "dnsConfig", "externalDHCP4",
        "parametersRef.group", "parametersRef.kind", "parametersRef.name", "parametersRef.namespace", "IPAMMode",
        "IPAMMode6", "networkLifecycle")),
    ("GKE", "NetworkInterface"): (gke_examples.EXAMPLES, _under("spec.", "networkName", "ipAddresses", "macAddress")),
    ("GKE", "GKENetworkParamSet"): (gke_examples.EXAMPLES, _under(
        "spec.", "vpc", "vpcSubnet", "deviceMode", "podIPv4Ranges")),
    ("OVN-Kubernetes", "UserDefinedNetwork"): (OVN, [
        "spec.topology", *_under("spec.layer2.", *_BODY), *_under("spec.layer3.", "role", "mtu", "subnets[].cidr",
                                                                  "subnets[].hostSubnet", "joinSubnets")]),
    ("OVN-Kubernetes", "ClusterUserDefinedNetwork"): (OVN, [
        "spec.namespaceSelector", "spec.network.topology", *_under(
            "spec.network.localnet.", "role", "physicalNetworkName", "subnets", "excludeSubnets", "vlan")]),
    ("OVN-Kubernetes", "NetworkAttachmentDefinition"): (OVN, _under(
        "spec.config.", "name", "netAttachDefName", "topology", "role", "subnets", "excludeSubnets", "vlanID", "mtu",
        "physicalNetworkName", "allowPersistentIPs")),
    ("OVN-Kubernetes", "Pod"): (OVN, _under(f"{_NPWG}.", "name", "namespace", "interface", "mac", "ips")),
    ("Isovalent", "Pod"): (isovalent_examples.EXAMPLES, [f"metadata.annotations[{isovalent_examples.KEY}]"]),
    ("Isovalent", "IsovalentPodNetwork"): (isovalent_examples.EXAMPLES, _under(
        "spec.", "ipam.mode", "ipam.pool.name", "routes[].destination", "routes[].gateway")),
    ("Isovalent", "CiliumPodIPPool"): (isovalent_examples.EXAMPLES, _under(
        "spec.", "ipv4.cidrs", "ipv4.maskSize", "ipv6.cidrs", "ipv6.maskSize")),
    ("Kube-OVN", "Pod"): (OVN, [
        *_annotations("net.a.ovn.kubernetes.io/", "ip_address", "mac_address", "ip_pool", "default_route", "routes",
                      "logical_switch", "network_policy_for"),
        *_annotations("net.a.ovn.net1.kubernetes.io/", "logical_switch", "mac_address"),
        *_annotations("net.a.kubernetes.io/", "ip_address.net1", "mac_address.net1"),
        *_annotations("ovn.kubernetes.io/", "ip_address", "logical_switch")]),
    ("Kube-OVN", "Subnet"): (OVN, _under(
        "spec.", "vpc", "protocol", "namespaces", "cidrBlock", "gateway", "excludeIps", "provider", "gatewayType",
        "natOutgoing", "private", "allowSubnets", "vlan", "acls", "enableDHCP", "mtu")),
    ("Kube-OVN", "Vpc"): (OVN, _under(
        "spec.", "namespaces", "staticRoutes[].policy", "staticRoutes[].cidr", "staticRoutes[].nextHopIP",
        "policyRoutes[].priority", "policyRoutes[].match", "policyRoutes[].action", "vpcPeerings[].remoteVpc")),
    ("Kube-OVN", "Vlan"): (OVN, _under("spec.", "id", "provider")),
    ("Kube-OVN", "ProviderNetwork"): (OVN, _under(
        "spec.", "defaultInterface", "customInterfaces[].interface", "customInterfaces[].nodes", "excludeNodes")),
    ("Kube-OVN", "IPPool"): (OVN, _under("spec.", "subnet", "namespaces", "ips")),
}  # fmt: skip
