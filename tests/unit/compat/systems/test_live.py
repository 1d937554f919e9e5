"""Pods of these systems at admission: what the translators ask for is read, what the list needs is made."""

from __future__ import annotations

import json
from typing import Any

import pytest
from podnet_api import networks
from podnet_api.admission import Allow, Deny, Request
from podnet_compat import store as stores
from podnet_tests import foreign_live, gke_examples, isovalent_examples, npwg_examples, ovn_examples
from podnet_tests.foreign_objects import DECIDED, NETWORKS, Object

PATHS = {
    "Network": "/apis/networking.gke.io/v1/networks",
    "NetworkInterface": "/apis/networking.gke.io/v1/namespaces/a/networkinterfaces",
    "IsovalentPodNetwork": "/apis/isovalent.com/v1alpha1/isovalentpodnetworks",
    "CiliumPodIPPool": "/apis/cilium.io/v2alpha1/ciliumpodippools",
    "IPPool": "/apis/crd.antrea.io/v1beta1/ippools",
    "ConfigMap": "/api/v1/namespaces/kube-system/configmaps",
    "NetworkAttachmentDefinition": "/apis/k8s.cni.cncf.io/v1/namespaces/a/network-attachment-definitions",
}


def put(api: Any, *items: Object) -> None:
    """Write ``items`` as somebody else does."""
    for item in items:
        rest = {key: value for key, value in item.items() if key not in {"apiVersion", "kind"}}
        api.put(f"{PATHS[item['kind']]}/{item['metadata']['name']}", **rest)


async def ask(store: stores.Store, system: str, annotations: dict[str, Any]) -> list[str]:
    """The list of a new Pod: networks, or attachments, with their interfaces."""
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in annotations.items()}
    item = {"metadata": {"generateName": "web-", "annotations": texts}, "spec": {}}
    hook = foreign_live.hook(store, system)
    answer = await hook.mutate_pod(Request("1", "CREATE", "me", "a", "web-", item, None, False))
    assert isinstance(answer, Allow), answer
    found = [entry for step in answer.patch for entry in networks.parse(step["value"])]
    return [f"{one.pod_network_name or one.pod_network_attachment_name}@{one.interface_name}" for one in found]


async def test_gke(api: Any, store: stores.Store) -> None:
    own = gke_examples.interface("own", "blue", ipAddresses=["10.1.0.5/24"])
    put(api, gke_examples.network("blue", "L2", nodeInterfaceMatcher={"interfaceName": "eth1"}), own)
    entries = [{"interfaceName": "eth1", "interface": "own"}]
    assert await ask(store, "gke", {"networking.gke.io/interfaces": entries}) == ["default@eth0", "own@eth1"]
    assert api.names("networkconfigs") == ["blue"]
    assert api.names("attachmentconfigs") == ["own"]


async def test_isovalent(api: Any, store: stores.Store) -> None:
    put(api, isovalent_examples.JUPITER, isovalent_examples.POOL)
    assert await ask(store, "isovalent", {isovalent_examples.KEY: "default,jupiter"}) == [
        "default@eth0", "jupiter@cil1"]  # fmt: skip
    assert api.names("networkconfigs") == ["jupiter"]


async def test_antrea(api: Any, store: stores.Store) -> None:
    put(api, npwg_examples.agent("eth1"), npwg_examples.ippool())
    put(api, npwg_examples.antrea(vlan=7, ipam={"type": "antrea", "ippools": ["pool4"]}))
    assert await ask(store, "antrea", {NETWORKS: "net"}) == ["default@eth0", "a.net@eth1"]
    assert "vlan" in api.objects["/apis/kni.multinetwork.x-k8s.io/v1alpha1/networkconfigs/a.net"]["spec"]


async def test_kuryr_decided(api: Any, store: stores.Store) -> None:
    put(api, npwg_examples.kuryr(**{DECIDED: "blue"}))
    assert await ask(store, "kuryr", {NETWORKS: "net"}) == ["default@eth0", "a.net@eth1"]
    made = api.objects["/apis/multinetwork.x-k8s.io/v1alpha1/podnetworks/a.net"]
    assert made["spec"]["parametersRefs"][0]["name"] == "blue"


async def test_tungsten_decided(api: Any, store: stores.Store) -> None:
    """The primary network by the Namespace's word, the second by the Pod's."""
    virtual = npwg_examples.tf(cidr="10.1.0.0/24")
    virtual["metadata"]["annotations"][DECIDED] = "blue"
    put(api, virtual)
    primary = {"opencontrail.org/network": "{'domain': 'd', 'project': 'k8s-a', 'name': 'k8s-net-pod-network'}"}
    api.put("/api/v1/namespaces/a", metadata={"name": "a", "annotations": primary})
    assert await ask(store, "tungsten", {NETWORKS: "net"}) == ["a.net@eth0", "a.net-2@eth1"]
    assert api.names("podnetworks") == ["a.net", "a.net-2"]


async def test_kube_ovn(api: Any, store: stores.Store) -> None:
    """Its NAD is the mirror's to make; what the Pod asks of the NIC is asked of podnet as well."""
    put(api, ovn_examples.kubeovn())
    asked = await ask(store, "kube-ovn", {NETWORKS: "net", "net.a.ovn.kubernetes.io/ip_address": "10.9.0.5"})
    [made] = [item for path, item in api.objects.items() if "/attachmentconfigs/" in path]
    assert made["spec"]["addresses"] == ["10.9.0.5"]
    assert asked == ["default@eth0", f"{made['metadata']['name']}@net1"]


async def test_ovn_kubernetes(api: Any, store: stores.Store) -> None:
    put(api, ovn_examples.overlay())
    assert await ask(store, "ovn-kubernetes", {NETWORKS: "net"}) == ["default@eth0", "tenant@net1"]
    assert api.names("networkconfigs") == ["tenant"]


@pytest.mark.parametrize("system", ["gke", "isovalent"])
async def test_what_is_not_there_is_said(api: Any, store: stores.Store, system: str) -> None:
    hook = foreign_live.hook(store, system)
    keys = {isovalent_examples.KEY: "mars", "networking.gke.io/interfaces": '[{"interfaceName":"a","interface":"b"}]'}
    item = {"metadata": {"annotations": keys}, "spec": {}}
    answer = await hook.mutate_pod(Request("1", "CREATE", "me", "a", "p", item, None, False))
    assert isinstance(answer, Deny)
    assert "FieldValueNotFound" in {fault.type.value for fault in answer.faults}
