"""The second hook in a real cluster: the runtime calls the KNI server first; a network takes the default one's place.

It deploys the overlay with the shim and, at the end, podnet without it again.
"""

import json
from collections.abc import Iterator

import pytest
from podnet_hack import deploy, paths
from podnet_tests import objects
from podnet_tests.space import Space
from podnet_tests.waiting import eventually

OVERLAY = paths.CHECKOUT / "hack/manifests/overlays/cni-shim"
FILES = "ls /etc/cni/net.d /opt/cni/bin"
OURS = ("00-00-podnet.conflist", "podnet-cni")
DAEMONS = ("daemonset", "podnet-kni-server")
SERVER = ["python3", "-m", "http.server", "8080"]


@pytest.fixture(scope="module")
def shimmed(shared: Space) -> Iterator[Space]:
    """The shim is there on every node."""
    deploy.deploy(shared.world.name, OVERLAY)
    for worker in shared.world.workers():
        eventually(lambda worker=worker: _lacking(shared, worker), 30)  # type: ignore[misc]
    yield shared
    deploy.deploy(shared.world.name)
    for worker in shared.world.workers():
        assert not _present(shared, worker)


def _present(space: Space, node: str) -> list[str]:
    found = space.world.on_node(node, "sh", "-c", FILES).split()
    return [name for name in OURS if name in found]


def _lacking(space: Space, node: str) -> str:
    return "" if len(_present(space, node)) == len(OURS) else f"{node} lacks the shim"


def _ip(space: Space, pod: str) -> str:
    return str(space.world.get("pod", pod)["status"]["podIP"])


def _pod(name: str, node: str, *networks: str | objects.Object) -> objects.Object:
    """A Pod whose readiness the kubelet finds out over status.podIP."""
    made = objects.pod(name, *networks, **objects.on_node(node))
    probe = {"httpGet": {"port": 8080, "path": "/"}, "periodSeconds": 1}
    made["spec"]["containers"][0] |= {"command": SERVER, "readinessProbe": probe}
    return made


def test_the_clusters_own_network_goes_on(shimmed: Space) -> None:
    worker = shimmed.world.workers()[0]
    shimmed.make(_pod("plain", worker))
    shimmed.wait_ready("plain")
    cidr = shimmed.world.get("node", worker)["spec"]["podCIDR"]
    assert _ip(shimmed, "plain").rpartition(".")[0] == cidr.rpartition(".")[0]


def test_a_network_takes_the_place_of_the_default_one(shimmed: Space) -> None:
    worker = shimmed.world.workers()[0]
    ipam = objects.pool("10.132.0.0/24")
    ipam["ranges"][0]["gateway"] = "10.132.0.1"
    blue = shimmed.network(
        "primary", bridge={"gateway": True, "ipMasq": True}, ipam={**ipam, "scope": "node"}, on=[worker]
    )
    shimmed.make(_pod("own", worker, {"podNetworkName": blue, "interfaceName": "eth0", "isDefaultGW4": True}))
    shimmed.wait_ready("own")
    assert _ip(shimmed, "own").startswith("10.132.0.")
    assert set(shimmed.world.interfaces("own")) - {"lo"} == {"eth0"}
    assert "via 10.132.0.1 dev eth0" in shimmed.world.inside("own", "ip", "route", "show", "default")


def test_a_legacy_default_network(shimmed: Space) -> None:
    """v1.multus-cni.io/default-network, through the webhooks of compat and of the API."""
    worker = shimmed.world.workers()[0]
    ipam = {"type": "host-local", "subnet": "10.138.0.0/24"}
    config = {"type": "bridge", "bridge": "parprim", "isGateway": True, "ipMasq": True, "ipam": ipam}
    nad = {"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition", "metadata": {"name": "first"}}
    pod = _pod("legacy", worker)
    pod["metadata"]["annotations"] = {"v1.multus-cni.io/default-network": f"{shimmed.namespace}/first"}
    shimmed.make({**nad, "spec": {"config": json.dumps(config)}}, pod)
    shimmed.wait_ready("legacy")
    assert _ip(shimmed, "legacy").startswith("10.138.0.")
    assert set(shimmed.world.interfaces("legacy")) - {"lo"} == {"eth0"}
    shimmed.world.kubectl("delete", "pod", "legacy", timeout=60)


def test_without_the_server_the_cluster_has_its_own_configuration_back(shimmed: Space) -> None:
    """Stopped as an operator does: ours is withdrawn, Pods of both hooks start and stop, and it comes back."""
    worker = shimmed.world.workers()[0]
    nowhere = {"spec": {"template": {"spec": {"nodeSelector": {"podnet.local/nowhere": "true"}}}}}
    system = shimmed.world.in_namespace("podnet-system")
    system.kubectl("patch", *DAEMONS, "--type=merge", "--patch", json.dumps(nowhere))
    eventually(lambda: "the server runs" if shimmed.world.kni_server(worker) else "", 60)
    assert not _present(shimmed, worker)
    listed = {"podNetworkName": shimmed.name("primary"), "interfaceName": "eth0", "isDefaultGW4": True}
    stuck = _pod("stuck", worker, listed)
    stuck["spec"] |= {"nodeName": worker, "nodeSelector": None}
    shimmed.make(_pod("meanwhile", worker), stuck)
    shimmed.wait_ready("meanwhile")
    eventually(lambda: "" if "required plugin" in shimmed.said("stuck") else "it has no sandbox yet", 30)
    shimmed.world.kubectl("delete", "pod", "plain", timeout=60)
    back = [{"op": "remove", "path": "/spec/template/spec/nodeSelector/podnet.local~1nowhere"}]
    system.kubectl("patch", *DAEMONS, "--type=json", "--patch", json.dumps(back))
    eventually(lambda: _lacking(shimmed, worker), 90)
    shimmed.wait_ready("stuck", seconds=120)
    assert _ip(shimmed, "stuck").startswith("10.132.0."), "its sandbox was made anew, by the shim"
    assert any("the kubelet makes it anew" in event for event in shimmed.events("stuck"))
    shimmed.world.kubectl("delete", "pod", "meanwhile", "own", "stuck", timeout=60)
    eventually(lambda: _left(shimmed, worker), 20)


def test_after_a_kill_pods_wait_for_the_server(shimmed: Space) -> None:
    """kill -9: our configuration stays, so no sandbox is made without us; the runtime comes again."""
    worker = shimmed.world.workers()[0]
    shimmed.world.on_node(worker, "sh", "-c", "pkill -KILL -f '[p]odnet-kni-server --cni-cache-dir'")
    assert not _lacking(shimmed, worker)
    shimmed.make(_pod("later", worker))
    shimmed.wait_ready("later", seconds=120)


def _left(space: Space, node: str) -> str:
    """Checkpoints that hold an address of the network that replaced the default one."""
    found = space.world.on_node(node, "sh", "-c", "grep -l 10.132.0. /run/kni/sandboxes/*.json || true").split()
    return f"{found} are left on {node}" if found else ""
