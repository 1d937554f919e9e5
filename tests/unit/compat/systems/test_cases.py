"""The case list of the field notes on other systems, one row per case: what is put in, what list comes out, or which
words an error has. An error names the path, with the place in a list, and quotes what is written there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from podnet_api import core
from podnet_api.errors import InvalidError
from podnet_api.meta import ObjectMeta
from podnet_compat import injection, legacy
from podnet_compat import pod as pods
from podnet_compat.systems import translate_objects
from podnet_tests import danm_examples, genie_examples, gke_examples, isovalent_examples, kubevirt_examples
from podnet_tests.foreign_objects import NETWORKS, Object, item, listed, nad, pod
from podnet_tests.npwg_examples import kuryr, tf
from podnet_tests.ovn_examples import cudn, kubeovn, layer2, overlay, space

DANM, KNITTER = "metadata.annotations[danm.io/interfaces]", "metadata.annotations[networks].ports"
net, port, ports = danm_examples.network, genie_examples.port, genie_examples.ports
logical, genie = genie_examples.logical, genie_examples.pod


@dataclass(frozen=True)
class Case:
    """``gives``: the list, ``network@interface``; ``refuses``, ``warns``: words of one error, of one warning."""

    number: str
    objects: list[Object]
    gives: list[str] = field(default_factory=list)
    refuses: list[str] = field(default_factory=list)
    warns: list[str] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    namespace: str = "default"


def danm(entries: Any, namespace: str = "a", group: str = "danm.io") -> Object:
    return danm_examples.pod(entries, namespace, f"{group}/interfaces")


def first(group: str) -> list[Object]:
    """The networks of case 1 and its Pod."""
    nets = [
        net("TenantNetwork", "management", "default", host_device="ens4", cidr="10.1.0.0/24"),
        net("ClusterNetwork", "external", host_device="ens5", container_prefix="ext", cidr="10.2.0.0/24"),
        net("TenantNetwork", "internal", "default", host_device="ens6", container_prefix="int", cidr="10.3.0.0/24"),
    ]
    entries = [
        {"tenantNetwork": "management", "ip": "dynamic"},
        {"clusterNetwork": "external", "ip": "dynamic"},
        {"tenantNetwork": "internal", "ip": "dynamic"},
    ]
    return [*({**one, "apiVersion": f"{group}/v1"} for one in nets), danm(entries, "default", group)]


LEGACY = {"danm.namingScheme": "legacy"}
M, S = (
    net("DanmNet", "m", "a", host_device="ens4", cidr="10.9.0.0/24"),
    net("DanmNet", "s", "a", host_device="ens5", cidr="10.0.0.0/24", rt_tables=201),
)
STATIC = {"network": "s", "ip": "10.0.0.9", "ip6": "none", "proutes": {"10.1.0.0/16": "10.0.0.1"}}
CLUSTER = net("ClusterNetwork", "x", spec={"AllowedTenants": ["a"]}, host_device="ens4", cidr="10.0.0.0/24")
BLUE = gke_examples.network("blue", "L3", parametersRef=gke_examples.ref("p"))
GKE, RANGES = gke_examples.KEY, gke_examples.PARAMS
TWO = gke_examples.interfaces(("eth0", "default"), ("eth1", "blue"))
VIRTUAL = kubevirt_examples.machine(
    [kubevirt_examples.POD, kubevirt_examples.multus("red", "infra/net1")],
    {"name": "default", "masquerade": {}},
    {"name": "red", "macAddress": kubevirt_examples.MAC},
)
CASES = [
    Case("1 main", first("danm.io"), ["default.management@eth0", "external@ext1", "default.internal@int2"]),
    Case("1 released", first("danm.k8s.io"), ["default.management@eth0", "external@ext1", "default.internal@int2"]),
    Case("1 legacy", first("danm.io"), ["default.management@eth0", "external@ext", "default.internal@int"],
         settings=LEGACY),
    Case("2", [M, S, danm([{"network": "m", "ip": "dynamic"}, STATIC])], ["a.m@eth0", "a.s@eth1+"],
         warns=[f"{DANM}[1].ip6: "]),
    Case("3 two references", [M, danm([{"network": "m", "clusterNetwork": "x"}])], refuses=[
        f'{DANM}[0]: Invalid value: ["network", "clusterNetwork"]: invalid number of network references:2']),
    Case("3 none", [M, danm([{"network": "m"}, {"ip": "dynamic"}])], refuses=[
        f"{DANM}[1]: Invalid value: invalid number of network references:0"]),
    Case("3 unknown field", [M, danm([{"network": "m", "ip": "dynamic", "vlan": 5}])], refuses=[
        f"{DANM}[0].vlan: Unsupported value"]),
    Case("3 broken", [M, danm('[{"network": "m"},\n {"network" "m"}]')], refuses=[
        f"{DANM}: Invalid value: is not JSON: line 2, column 13, near "]),
    Case("4 DanmNet", [net(kind, "default", "" if kind == "ClusterNetwork" else "a", host_device="e", cidr=cidr)
                       for kind, cidr in (("DanmNet", "10.1.0.0/24"), ("ClusterNetwork", "10.3.0.0/24"))]
         + [pod({})], ["a.default@eth0"]),
    Case("4 TenantNetwork", [net("TenantNetwork", "default", "a", host_device="e", cidr="10.1.0.0/24"),
                             net("ClusterNetwork", "default", host_device="e", cidr="10.2.0.0/24"), pod({})],
         ["a.default@eth0"]),
    Case("4 ClusterNetwork", [net("ClusterNetwork", "default", host_device="e", cidr="10.2.0.0/24"), pod({})],
         ["danm-default@eth0"]),
    Case("4 none", [danm([])], refuses=[f"{DANM}: Required value: no networks are named, and no DanmNet"]),
    Case("5", [CLUSTER, danm([{"clusterNetwork": "x", "ip": "dynamic"}], "b")], refuses=[
        f"{DANM}[0]: Forbidden: namespace b is not in AllowedTenants of ClusterNetwork x (a)"]),
    Case("6", [genie(cni="flannel,weave@eth4")], ["flannel@eth0", "weave@eth4"]),
    Case("7 plugin twice", [genie(cni="weave,weave")], ["weave@eth0", "weave-2@eth1"]),
    Case("7 interface twice", [genie(cni="weave@eth1,flannel@eth1")], refuses=[
        'metadata.annotations[cni][1]: Duplicate value: "eth1": is the interface of metadata.annotations[cni][0]']),
    Case("8", [genie(cni="", networks="net1@eth0,net2@eth4"), logical("net1", plugin="weave"),
               logical("net2", plugin="flannel")], ["default.net1@eth0", "default.net2@eth4"]),
    Case("8 missing", [genie(cni="", networks="net1@eth0,net2@eth4"), logical("net1", plugin="weave")], refuses=[
        'metadata.annotations[networks][1]: Not found: "net2": there is no Logicalnetwork default/net2']),
    Case("9", [genie(cni="")], refuses=[
        "metadata.annotations[cni]: Required value: is empty: cAdvisor chose the plugin; name a network"]),
    Case("10", [ports(port("net_api", nic_name="eth0"), port("control", nic_name="eth1"))],
         ["default.net-api@eth0", "default.control@eth1"]),
    Case("10 nic_name", [ports(port("a", nic_name="abcdefghijklm"))], refuses=[
        f'{KNITTER}[0].attributes.nic_name: Invalid value: "abcdefghijklm": must be no longer than 12']),
    Case("10 combinable", [ports(port("a", nic_name="e1", combinable="true"), port("a", combinable="true"))],
         refuses=[f'{KNITTER}[1].attributes.combinable: Duplicate value: "true": is to be combined']),
    Case("10 no ports", [ports()], refuses=[f"{KNITTER}: Required value: must have a port"]),
    Case("10 collision", [ports(port("net_api", nic_name="a"), port("net-api", nic_name="b"))], refuses=[
        f'{KNITTER}[1].attach_to_network: Duplicate value: "net-api": becomes PodNetwork default.net-api, as \'net_api'
    ]),
    Case("11", [pod({NETWORKS: [{"name": "net", "ips": ["10.1.1.5"]}]}), tf(cidr="10.1.1.0/24")],
         ["default@eth0!", "a.net@eth1"], warns=[f"metadata.annotations[{NETWORKS}][0].ips: is dropped by Tungsten"]),
    Case("12 default-interface", [pod({f"{GKE}interfaces": TWO, f"{GKE}default-interface": "eth1"}), BLUE, RANGES],
         ["default@eth0", "blue@eth1!"]),
    Case("12 eth9", [pod({f"{GKE}interfaces": TWO, f"{GKE}default-interface": "eth9"}), BLUE, RANGES], refuses=[
        f'metadata.annotations[{GKE}default-interface]: Invalid value: "eth9"']),
    Case("12 both", [pod({f"{GKE}interfaces": [*TWO, {"interfaceName": "eth2", "network": "n", "interface": "i"}]}),
                     BLUE, RANGES], refuses=[
        f'metadata.annotations[{GKE}interfaces][2]: Invalid value: "n, i": must have exactly one of']),
    Case("13", [pod({isovalent_examples.KEY: "default, jupiter"}), isovalent_examples.JUPITER,
                isovalent_examples.POOL], refuses=[
        f'metadata.annotations[{isovalent_examples.KEY}][1]: Not found: " jupiter": IsovalentPodNetwork " jupiter"']),
    Case("14", [VIRTUAL], ["default@eth0!", "infra.net1@podb1f51a511f1+"]),
    # More found in use.
    Case("kuryr", [pod({NETWORKS: [{"name": "net", "namespace": "b"}, {"name": "far"}]}), kuryr("net", "b"),
                   kuryr("far")], ["default@eth0!", "b.net@eth1", "a.far@eth2"],
         warns=[f"metadata.annotations[{NETWORKS}][1].namespace: kuryr takes the namespace b"]),
    Case("OVN-K one name", [overlay("net", "a"), overlay("net", "b"), pod({NETWORKS: "net,b/net"})],
         ["default@eth0!", "tenant@net1", "tenant-b@net2"]),
    Case("OVN-K two lengths", [overlay(topology="layer3", subnets="10.1.0.0/16/24"), pod({NETWORKS: "net"})],
         ["default@eth0!", "tenant@net1"]),
    Case("OVN-K address with subnets", [overlay(subnets="10.1.0.0/16"),
                                        pod({NETWORKS: [{"name": "net", "ips": ["10.1.0.5/16"]}]})],
         refuses=[f"metadata.annotations[{NETWORKS}][0].ips: Forbidden"]),
    Case("OVN-K primary needs no annotation", [cudn(layer2("Primary")), space("a", primary=True, team="x"), pod({})]),
    Case("Kube-OVN of one interface", [kubeovn(), pod({NETWORKS: "net@x", "net.a.kubernetes.io/ip_address.x": "1.1"})],
         refuses=['metadata.annotations[net.a.kubernetes.io/ip_address.x]: Invalid value: "1.1"']),
    Case("Kube-OVN ip_pool", [kubeovn(), pod({NETWORKS: "net", "net.a.ovn.kubernetes.io/ip_pool": "10.9.0.5,1.1.1.1"})],
         ["default@eth0!", "a.net@net1"],
         warns=["metadata.annotations[net.a.ovn.kubernetes.io/ip_pool]: means one of these"]),
    Case("GKE stands alone", [pod({f"{GKE}default-interface": "eth0"})],
         warns=[f"metadata.annotations[{GKE}default-interface]: "]),
    Case("GKE gaps", [pod({f"{GKE}interfaces": gke_examples.interfaces(("eth0", "default"), ("eth7", "blue"))}), BLUE,
                      RANGES], ["default@eth0!", "blue@eth7"]),
    Case("Tungsten broken JSON", [tf(), pod({NETWORKS: "net"})], ["default@eth0!", "a.net@eth1"]),
    Case("kuryr without a spec", [kuryr(), pod({NETWORKS: "net"})], ["default@eth0!", "a.net@eth1"]),
    Case("DANM without ip", [M, danm([{"network": "m"}])], ["a.m@eth0"], warns=[f"{DANM}[0].ip: asks for no IPv4"]),
    Case("DANM prefix eth0", [net("DanmNet", "m", "a", host_device="e", container_prefix="eth0"),
                              danm([{"network": "m"}, {"network": "m"}])], ["a.m@eth0", "a.m-2@eth01"]),
    Case("DANM restricted default", [net("ClusterNetwork", "default", spec={"AllowedTenants": ["b"]}, host_device="e",
                                         cidr="10.0.0.0/24"), pod({})],
         refuses=["namespace a is not in AllowedTenants of ClusterNetwork default (b)"]),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.number)
def test_case(case: Case) -> None:
    outcome = translate_objects(case.objects, case.namespace, settings=case.settings)
    pods_ = [one for one in case.objects if "metadata" in one and one["kind"] in {"Pod", "VirtualMachineInstance"}]
    wrong = [error for error in outcome.errors if f" {pods_[-1]['kind']} " in error]
    for words in case.refuses:
        assert any(words in error for error in wrong), outcome.errors
    for words in case.warns:
        assert any(words in line for line in outcome.warnings), outcome.warnings
    assert bool(wrong) == bool(case.refuses), outcome.errors
    assert (listed(outcome) if outcome.changed else []) == case.gives


def _asked(text: str, *nads: Object) -> pods.Translation:
    """Cases 15 and 16 are of Multus' own annotation."""
    found = {(one["metadata"]["namespace"], one["metadata"]["name"]): legacy.nad(one) for one in nads}
    wanted = pods.read(core.Pod(metadata=ObjectMeta(name="p", namespace="a", annotations={NETWORKS: text})), "a")
    return pods.translate(wanted, lambda namespace, name: found.get((namespace, name)))


BOND = nad("bond", {"type": "bond", "mode": "active-backup", "linksInContainer": True,
                    "links": [{"name": "net1"}, {"name": "net2"}], "ipam": {}})  # fmt: skip
LINKS = [nad(name, {"type": "macvlan", "master": "eth1"}) for name in ("one", "two")]


def test_case_15() -> None:
    """A bond before its links."""
    assert len(_asked("one@net1,two@net2,bond@bond0", *LINKS, BOND).networks) == 4
    with pytest.raises(InvalidError) as caught:
        _asked("one@net1,bond@bond0,two@net2", *LINKS, BOND)
    [fault] = caught.value.faults
    assert (fault.path, fault.value) == (f"metadata.annotations[{NETWORKS}][1]", "net2")
    assert "interface bond0 is made of net2, which comes behind it: list it before" in fault.message


def test_case_16() -> None:
    """A device that no container asks for is injected, where injection is on."""
    function = nad("vf", {"type": "sriov"}, **{"k8s.v1.cni.cncf.io/resourceName": "intel.com/sriov"})
    made = _asked("vf", function)
    assert made.resources == {"intel.com/sriov": 1}
    [step, *_] = injection.patch({"spec": {"containers": [{"name": "c"}]}}, made.resources)
    assert step["value"]["requests"] == {"intel.com/sriov": "1"}
    assert injection.patch({"spec": {"containers": [{"resources": step["value"]}]}}, made.resources) == []


SYSTEMS = {
    "k8s.plugin.opnfv.org/nfn-network": "Nodus", "k8s.v1.cni.galaxy.io/release-policy": "Galaxy",
    "tke.cloud.tencent.com/networks": "TKE", "l2sm/networks": "L2S-M", "vpc.coreweave.cloud/name": "CoreWeave VPC",
    "yangtse.io/eippool": "Huawei CCE", "svc.dpu.nvidia.com/service": "NVIDIA DPF",
    "ipam.spidernet.io/ippools": "Spiderpool", "net.juniper.net/x": "JCNR",
}  # fmt: skip


@pytest.mark.parametrize(("key", "name"), SYSTEMS.items())
def test_systems_not_translated_are_named(key: str, name: str) -> None:
    outcome = translate_objects([pod({key: "x"})], "a")
    said = [line for line in (*outcome.warnings, *outcome.errors) if f"metadata.annotations[{key}]" in line]
    assert name in said[0]
    assert "not translated" in said[0]


def test_multi_nic_is_named_by_its_kind() -> None:
    [said] = translate_objects([item("multinic.fms.io/v1", "MultiNicNetwork", "n", {})], "a").warnings
    assert "belongs to multi-nic-cni, which is recognised and not translated" in said
