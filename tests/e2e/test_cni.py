"""Networks that CNI plugins make, run by the KNI server from its container with the node's files."""

import json

import pytest
from podnet_tests import objects
from podnet_tests.space import Space
from podnet_tests.waiting import eventually

KEPT = "/var/lib/cni/networks"


def _chain(name: str, *more: objects.Object) -> objects.Object:
    ipam = {"type": "host-local", "subnet": "10.131.0.0/24", "routes": [{"dst": "0.0.0.0/0"}]}
    bridge = {"type": "bridge", "bridge": "e2ecni0", "isGateway": True, "ipam": ipam}
    return {"config": json.dumps({"cniVersion": "1.1.0", "name": name, "plugins": [bridge, *more]})}


def _leases(space: Space, node: str, name: str) -> list[str]:
    found = space.world.on_node(node, "sh", "-c", f"ls {KEPT}/{name} 2>/dev/null || true").split()
    return [one for one in found if one[0].isdigit()]


@pytest.fixture(scope="module")
def worker(shared: Space) -> str:
    return shared.world.workers()[0]


def test_pods_attach_through_plugins_and_leave_nothing(shared: Space, worker: str) -> None:
    conf = f"e2e-{shared.namespace}"
    tuning = {"type": "tuning", "capabilities": {"mac": True}}
    network = shared.network("plugins", cni=_chain(conf, tuning), on=[worker])
    shared.make(
        *objects.attachment("own-mac", network, mac="02:00:00:00:13:01"),
        objects.pod("one", {"podNetworkAttachmentName": "own-mac"}),
        objects.pod("two", network),
    )
    shared.wait_ready("one", "two")
    (address,) = shared.addresses("two", network)
    assert address.startswith("10.131.0.")
    went = shared.world.ping("one", address, "-Inet1")
    assert went.lost == 0, went.output
    assert "02:00:00:00:13:01" in shared.world.inside("one", "ip", "link", "show", "net1")
    assert "dev eth0" in shared.world.inside("one", "ip", "route", "show", "default")
    assert len(_leases(shared, worker, conf)) == 2
    shared.world.kubectl("delete", "pod", "one", "two")
    eventually(lambda: "leases are left" if _leases(shared, worker, conf) else "", 30)


def test_a_configuration_of_the_node(shared: Space, worker: str) -> None:
    """kind's own default network has a file on every node."""
    files = shared.world.on_node(worker, "sh", "-c", "cat /etc/cni/net.d/*").strip()
    name = json.loads(files)["name"]
    network = shared.network("of-node", cni={"config": json.dumps({"name": name})}, on=[worker])
    shared.make(objects.pod("three", network))
    shared.wait_ready("three")
    assert shared.addresses("three", network)
    shared.world.kubectl("delete", "pod", "three")


def test_a_node_without_the_plugin_says_so(shared: Space, worker: str) -> None:
    network = shared.network(
        "absent", cni={"config": '{"cniVersion": "1.0.0", "type": "ovs", "name": "x"}'}, on=[worker]
    )

    def probe() -> str:
        said = str(shared.entry(worker, network).get("message", ""))
        return "" if "cannot find the CNI plugin ovs in /opt/cni/bin" in said else f"it says {said!r}"

    eventually(probe, 20)


def test_a_request_that_nothing_carries_is_refused(shared: Space, worker: str) -> None:
    network = shared.network("carries", cni=_chain(f"carries-{shared.namespace}"), on=[worker])
    limited = objects.attachment("limited", network, bandwidth={"ingressRate": 1000000})
    shared.make(*limited, objects.pod("four", {"podNetworkAttachmentName": "limited"}))
    eventually(lambda: "" if "bridge does not declare the capability bandwidth" in shared.said("four") else "waits", 30)
