"""Devices of a node in Pods of a real cluster: one Pod at a time, and what the kubelet says of a resource."""

from collections.abc import Iterator

import pytest
from podnet_api import reasons
from podnet_tests import objects
from podnet_tests.space import Space
from podnet_tests.waiting import eventually

DEVICE, CABLE = "pdtest0", "pdtest1"
MAC = "02:00:00:00:de:02"


@pytest.fixture
def node(space: Space) -> Iterator[str]:
    """A worker with a device that nobody uses, at the end of a cable."""
    name = space.world.workers()[1]
    veth = ("type", "veth", "peer", "name", CABLE)
    space.world.on_node(name, "ip", "link", "add", DEVICE, "address", MAC, "mtu", "1400", *veth)
    space.world.on_node(name, "ip", "address", "add", "10.107.0.1/24", "dev", CABLE)
    space.world.on_node(name, "ip", "link", "set", CABLE, "up")
    yield name
    space.world.on_node(name, "ip", "link", "delete", CABLE)


def test_a_device_goes_from_pod_to_pod(space: Space, node: str) -> None:
    pool = {"ranges": [{"cidr": "10.107.0.0/24", "start": "10.107.0.5", "end": "10.107.0.9"}]}
    name = space.network("device", hostDevice={"mac": MAC}, on=[node], ipam=pool)
    eventually(lambda: _counts(space, node, name, capacity=1, used=0), 30)
    space.make(objects.pod("first", name))
    space.wait_ready("first")
    assert f"link/ether {MAC}" in space.world.inside("first", "ip", "link", "show", "dev", "net1")
    assert space.world.ping("first", "10.107.0.1").lost == 0
    eventually(lambda: _counts(space, node, name, capacity=1, used=1), 10)
    space.make(objects.pod("second", name))
    eventually(lambda: space.waits("second", reasons.NO_ATTACHMENTS_LEFT), 30)
    space.world.kubectl("delete", "pod", "first", "--wait=false")
    space.wait_ready("second")
    space.world.kubectl("delete", "pod", "second")
    eventually(lambda: _is_back(space, node), 30)


def test_what_the_kubelet_did_not_give_is_not_attached(space: Space) -> None:
    """The kubelet itself is asked: no device plugin runs here, so it gave the Pod no function."""
    name = space.network("functions", sriov={"resource": "example.com/vf"})
    space.make(objects.pod("without", name))
    words = "the kubelet gave it none; its containers must ask for example.com/vf in resources.limits"
    eventually(lambda: "" if words in space.said("without") else space.said("without"), 60)


def _counts(space: Space, node: str, network: str, **wanted: int) -> str:
    entry = space.entry(node, network)
    return "" if entry.get("ready") and entry["attachments"] == wanted else f"{node} says {entry}"


def _is_back(space: Space, node: str) -> str:
    links = space.world.on_node(node, "ip", "link")
    return "" if f"{DEVICE}@{CABLE}" in links and MAC in links and "mtu 1400" in links else links
