"""Pods of DANM, CNI-Genie and Knitter on a real cluster: they come with their own annotations and are attached by them.

It deploys the overlay with the components compat-systems and cni-shim (DANM gives eth0 to a network of its own), and at
the end podnet without them again.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from podnet_api import names
from podnet_hack import deploy, paths
from podnet_tests import danm_examples, genie_examples, legacy_kinds, objects
from podnet_tests.space import Space
from podnet_tests.waiting import eventually

OVERLAY = paths.CHECKOUT / "hack/manifests/overlays/foreign"
KINDS = [
    legacy_kinds.definition("danm.io", "v1", "DanmNet", "danmnets", legacy_kinds.OPEN),
    legacy_kinds.definition("alpha.network.k8s.io", "v1", "Logicalnetwork", "logicalnetworks", legacy_kinds.OPEN),
]
KINDS[1]["metadata"]["annotations"] = {"api-approved.kubernetes.io": "unapproved, as Genie's is"}
"""Groups below k8s.io are guarded; Genie is older than that."""
ROLES = (
    ("clusterrole", "default"), ("clusterrolebinding", "default"), ("role", "kube-system"),
    ("rolebinding", "kube-system"),
)  # fmt: skip
CONFLIST = "/etc/cni/net.d/00-00-podnet.conflist"
STATUS = names.NPWG_STATUS_ANNOTATION


@pytest.fixture(scope="module")
def town(shared: Space) -> Iterator[Space]:
    """A namespace where such Pods are attached."""
    try:
        shared.world.apply(*KINDS)
        deploy.deploy(shared.world.name, OVERLAY)
        for worker in shared.world.workers():
            eventually(lambda worker=worker: shared.world.on_node(worker, "ls", CONFLIST) and "", 30)  # type: ignore[misc]
        yield shared
        # In this order nothing waits: Pods hold their networks, and attachments do so for a minute after a Pod.
        for kinds in ("pods", "podnetworkattachments", "danmnets,logicalnetworks"):
            shared.world.kubectl("delete", kinds, "--all")
        eventually(lambda: " ".join(_made(shared)), 60)
    finally:
        shared.world.kubectl("delete", "crd", "--ignore-not-found", *(one["metadata"]["name"] for one in KINDS))
        deploy.deploy(shared.world.name)
        for kind, namespace in ROLES:
            where = shared.world.in_namespace(namespace)
            where.kubectl("delete", kind, "podnet-compat-systems", "--ignore-not-found")


def _made(space: Space) -> list[str]:
    """The PodNetworks that were made from objects of the namespace."""
    return [
        one["metadata"]["name"]
        for one in space.world.all_of("podnetworks")
        if f" {space.namespace}/" in one["metadata"].get("annotations", {}).get(names.SOURCE_ANNOTATION, "")
    ]


def _pod(space: Space, name: str, **annotations: Any) -> objects.Object:
    """A Pod on the first node; ``__`` in a key stands for a slash."""
    made = objects.pod(name, **objects.on_node(space.world.workers()[0]))
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in annotations.items()}
    made["metadata"]["annotations"] = {key.replace("__", "/"): text for key, text in texts.items()}
    return made


def _danm(space: Space, name: str, address: str) -> objects.Object:
    """A Pod on both networks, the second one by a fixed address."""
    entries = [{"network": "first", "ip": "dynamic"}, {"network": "second", "ip": address}]
    return {**_pod(space, name), "metadata": {"name": name, "annotations": {"danm.io/interfaces": json.dumps(entries)}}}


def _rows(space: Space, pod: str) -> dict[str, list[str]]:
    """Addresses by interface, as consumers of the network-status read them."""
    found = space.world.get("pod", pod)["metadata"]["annotations"].get(STATUS, "[]")
    return {one["interface"]: one.get("ips", []) for one in json.loads(found)}


def test_danm(town: Space) -> None:
    """Its first network is eth0; the fixed address of the second can be had again when the Pod is gone."""
    town.make(
        danm_examples.network("DanmNet", "first", town.namespace, host_device="eth0", cidr="10.161.0.0/24",
                              vxlan=town.vni()),
        danm_examples.network("DanmNet", "second", town.namespace, host_device="eth0", cidr="10.162.0.0/24",
                              container_prefix="ext", vxlan=town.vni()),
    )  # fmt: skip
    for name in ("danm", "again"):
        town.make(_danm(town, name, "10.162.0.9"))
        town.wait_ready(name)
        found = town.world.interfaces(name)
        assert sorted(set(found) - {"lo"}) == ["eth0", "ext1"]
        assert [one.partition("/")[0] for one in found["ext1"] if ":" not in one] == ["10.162.0.9"]
        assert str(town.world.get("pod", name)["status"]["podIP"]).startswith("10.161.0.")
        eventually(lambda name=name: "" if _rows(town, name).get("ext1") == ["10.162.0.9"] else "no status", 20)  # type: ignore[misc]
        assert _rows(town, name)["eth0"][0].startswith("10.161.0.")
        town.world.kubectl("delete", "pod", name, timeout=60)
    refused = town.refused(_danm(town, "outside", "10.163.0.9"))
    assert "metadata.annotations[danm.io/interfaces][1].ip" in refused
    assert "is outside the network's 10.162.0.0/24" in refused


def test_genie(town: Space) -> None:
    network = genie_examples.logical("lab", town.namespace, plugin="bridge", sub_subnet="10.164.0.0/24")
    town.make(network, _pod(town, "genie", cni="", networks="lab@lab0"))
    town.wait_ready("genie")
    found = town.world.interfaces("genie")
    assert sorted(set(found) - {"lo"}) == ["eth0", "lab0"]
    eventually(lambda: "" if _rows(town, "genie").get("lab0") else "no status", 20)
    [address] = _rows(town, "genie")["lab0"]
    assert address.startswith("10.164.0.")
    own = town.world.get("pod", "genie")["metadata"]["annotations"]["multi-ip-preferences"]
    assert json.loads(own)["ips"]["ip2"] == {"ip": address, "interface": "lab0"}
    refused = town.refused(_pod(town, "lost", cni="", networks="lab@lab0,gone@lab1"))
    assert (
        f'metadata.annotations[networks][1]: Not found: "gone": there is no Logicalnetwork {town.namespace}/gone'
        in refused
    )


def test_knitter(town: Space) -> None:
    """Its networks are of a REST interface: who has moved has them natively."""
    name = f"{town.namespace}.api"
    town.make(objects.config(name, bridge={}, ipam=objects.pool("10.165.0.0/24")), objects.network(name))
    port = {"attach_to_network": "api", "attributes": {"nic_name": "nic0", "ip_addr": "10.165.0.9"}}
    town.make(_pod(town, "knitter", networks={"ports": [port]}))
    town.wait_ready("knitter")
    assert any(one.startswith("10.165.0.9/") for one in town.world.interfaces("knitter")["nic0"])
    port["attributes"] = {"nic_name": "abcdefghijklm"}
    refused = town.refused(_pod(town, "long", networks={"ports": [port]}))
    assert "ports[0].attributes.nic_name" in refused
    assert '"abcdefghijklm": must be no longer than 12' in refused
