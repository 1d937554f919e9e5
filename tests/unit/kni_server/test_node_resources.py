"""What a node says in its status of how many can attach, where kube-scheduler counts alone."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from podnet_api import core, kni, names
from podnet_api.meta import ObjectMeta
from podnet_kni_server import hostports, node_resources

BLUE, GREEN = names.attachments_resource("blue"), names.attachments_resource("green")
CONFIGS: dict[str, dict[str, Any]] = {
    "blue": {"bridge": {}},
    "green": {"bridge": {}, "ipam": {"ranges": [{"cidr": "10.0.0.0/24"}], "scope": "node"}},
    "pool": {"bridge": {}, "ipam": {"ranges": [{"cidr": "10.0.0.0/24"}]}},
    "card": {"sriov": {}, "uplink": {"interface": "eth1"}},
}


def config(name: str) -> kni.NetworkConfig | None:
    spec = CONFIGS.get(name)
    made = kni.NetworkConfig(metadata=ObjectMeta(name=name), spec=msgspec.convert(spec or {}, kni.NetworkConfigSpec))
    return made if spec else None


def entry(name: str, of: str, *, ready: bool = True, capacity: int = 1000, used: int = 0) -> kni.NodeNetworkEntry:
    count = kni.AttachmentCount(capacity=capacity, used=used)
    return kni.NodeNetworkEntry(name=name, config=of, ready=ready, attachments=count)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([entry("a", "blue")], {BLUE: "1k"}),
        ([entry("a", "blue", capacity=20)], {BLUE: "20"}),
        ([entry("a", "blue", capacity=2, used=3)], {BLUE: "3"}),
        ([entry("a", "blue", ready=False)], {BLUE: "2"}),
        ([entry("a", "blue", ready=False), entry("b", "blue")], {BLUE: "1k"}),
        ([entry("a", "green")], {BLUE: "2", GREEN: "254"}),
        ([entry("a", "pool"), entry("b", "card"), entry("c", "gone")], {BLUE: "2"}),
        ([], {BLUE: "2"}),
    ],
)
def test_what_nodes_count_alone(entries: list[kni.NodeNetworkEntry], expected: dict[str, str]) -> None:
    """Two Pods of the node ask for blue: they stay when the kubelet looks at them again, and there is no room more."""
    assert node_resources.wanted(entries, config, {BLUE: 2}) == expected


def pod(phase: str, *requests: dict[str, object]) -> hostports.Pod:
    containers = [{"name": "c", "resources": {"requests": one}} for one in requests]
    body = {"metadata": {"name": "p"}, "spec": {"containers": containers}, "status": {"phase": phase}}
    return msgspec.convert(body, hostports.Pod)


def test_what_pods_ask_for_is_added_up() -> None:
    pods = [
        pod("Running", {BLUE: "1", "cpu": "100m"}, {}),
        pod("Pending", {BLUE: "1"}, {BLUE: "1", GREEN: 1}),
        pod("Succeeded", {BLUE: "4"}),
        pod("Running", {BLUE: "1k", GREEN: "0.5"}, {GREEN: "9" * 5000}),
    ]
    assert node_resources.asked(pods) == {BLUE: 3, GREEN: 1}
    assert node_resources.of_pod(None) == {}
    assert node_resources.wanted([], config) == {}


def test_only_what_differs_is_written_and_only_of_ours() -> None:
    there = {"cpu": "4", BLUE: "1k", GREEN: "0", names.RESOURCE: "1"}
    assert node_resources.changes(there, {BLUE: "1k", GREEN: "254"}) == {GREEN: "254"}
    assert node_resources.changes(there, {BLUE: "20"}) == {BLUE: "20", GREEN: None}
    assert node_resources.changes({"cpu": "4"}, {}) == {}


class FakeClient:
    """Requests of the writer."""

    def __init__(self) -> None:
        self.merged: list[Any] = []

    async def merge(self, resource: object, name: str, patch: Any, *, subresource: str) -> None:
        self.merged.append((name, subresource, patch["status"]))


async def test_capacity_and_allocatable_are_written_together_and_once() -> None:
    client = FakeClient()
    writer = node_resources.Writer(client, config)  # type: ignore[arg-type]
    node = core.Node(metadata=ObjectMeta(name="n1"))
    await writer.write(node, [entry("a", "blue", capacity=5)], [])
    assert client.merged == [("n1", "status", {"capacity": {BLUE: "5"}, "allocatable": {BLUE: "5"}})]
    node = core.Node(metadata=ObjectMeta(name="n1"), status=core.NodeStatus(allocatable={BLUE: "5", "cpu": "2"}))
    assert node_resources.ours(node) == {BLUE: "5"}
    await writer.write(node, [entry("a", "blue", capacity=5)], [])
    await writer.write(None, [entry("a", "blue", capacity=5)], [])
    assert len(client.merged) == 1
