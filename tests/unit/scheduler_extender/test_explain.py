"""The words for waiting Pods, by situation."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from podnet_api import reasons
from podnet_scheduler_extender import demand, explain
from podnet_scheduler_extender.explain import Explanation
from podnet_scheduler_extender.fake import NAMESPACE, Cluster, listed, request

FIVE = {"cidr": "10.0.0.0/24", "start": "10.0.0.10", "end": "10.0.0.14"}


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    for name in ("blue", "green", "dark"):
        made.config(name)
        made.network(name)
    made.config("pool", FIVE)
    made.network("pool")
    made.node("podnet-worker", "blue", "pool")
    made.node("podnet-worker2", "blue", "pool")
    broken = {"name": "dark", "config": "dark", "reason": "UplinkMissing", "message": "no interface eth7"}
    made.node("podnet-worker3", "green", "pool", broken)
    return made


def told(cluster: Cluster, networks: list[Any], offered: list[str] | None = None) -> Explanation:
    resolution = demand.resolve(NAMESPACE, listed(networks), cluster.state)
    return explain.explain(resolution, offered, cluster.state.snapshot, cluster.extender.ledger)


@pytest.mark.parametrize(
    ("networks", "reason", "message"),
    [
        (
            ["blue", "green"],
            reasons.NO_NODE_WITH_NETWORKS,
            "no node has all networks of the Pod: blue is on podnet-worker, podnet-worker2; green is on podnet-worker3",
        ),
        (["blue", "nowhere"], reasons.NETWORK_NOT_FOUND, "PodNetwork nowhere does not exist"),
        (
            ["this", "that"],
            reasons.NETWORK_NOT_FOUND,
            "PodNetwork this does not exist; PodNetwork that does not exist",
        ),
        (
            [{"podNetworkAttachmentName": "x"}],
            reasons.ATTACHMENT_NOT_FOUND,
            "PodNetworkAttachment team/x does not exist",
        ),
        (["blue", "blue"], reasons.DUPLICATE_NETWORK, "PodNetwork blue is named twice"),
        (
            ["dark"],
            reasons.NO_NODE_WITH_NETWORKS,
            "dark is ready on no node (podnet-worker3: UplinkMissing, no interface eth7)",
        ),
    ],
)
def test_what_is_missing(cluster: Cluster, networks: list[Any], reason: str, message: str) -> None:
    found = told(cluster, networks)
    assert (found.fits, found.reason) == (False, reason)
    assert message in found.message
    assert found.message.endswith("; " + reasons.ADVICE[reason])


def test_it_fits(cluster: Cluster) -> None:
    assert told(cluster, ["blue", "pool"]) == Explanation(True)


@pytest.mark.parametrize(
    ("change", "reason", "message"),
    [
        ({"enabled": False}, reasons.NETWORK_DISABLED, "PodNetwork blue is disabled"),
        ({"ready": False}, reasons.NETWORK_NOT_READY, "PodNetwork blue is not ready: it has no condition Ready yet"),
        ({"config": "gone"}, reasons.PARAMS_NOT_FOUND, "NetworkConfig gone of PodNetwork blue does not exist"),
    ],
)
def test_what_is_wrong_with_a_network(cluster: Cluster, change: dict[str, Any], reason: str, message: str) -> None:
    cluster.network("blue", **change)
    found = told(cluster, ["blue"])
    assert found.reason == reason
    assert message in found.message


def test_a_full_pool_is_named_with_its_size(cluster: Cluster) -> None:
    for number in range(5):
        cluster.pod(f"p{number}", ["pool"], node="podnet-worker")
    found = told(cluster, ["pool", "blue"])
    assert found.reason == reasons.NO_ADDRESSES_LEFT
    assert "no addresses left in the network's pool: podnet-worker, podnet-worker2" in found.message
    assert "podnet-worker3" not in found.message
    assert "(the pool of pool has 5 IPv4 addresses)" in found.message
    cluster.pod("p9", ["blue"], node="podnet-worker")
    assert told(cluster, ["pool", "blue"]) == found


def test_full_nodes_are_named(cluster: Cluster) -> None:
    cluster.node("podnet-worker", "blue", capacity=0)
    cluster.node("podnet-worker2", "blue", capacity=0)
    found = told(cluster, ["blue"])
    assert found.reason == reasons.NO_ATTACHMENTS_LEFT
    assert "no attachments left on the node: podnet-worker, podnet-worker2" in found.message


def test_only_nodes_that_were_offered_count(cluster: Cluster) -> None:
    found = told(cluster, ["blue"], ["podnet-worker3"])
    assert found.reason == reasons.NO_NODE_WITH_NETWORKS
    assert "on podnet-worker, podnet-worker2, which kube-scheduler refuses for other reasons" in found.message


def test_long_lists_and_long_texts_are_cut(cluster: Cluster) -> None:
    for number in range(100):
        cluster.node(f"node-{number:03}", "green")
    text = told(cluster, ["blue", "green"]).message
    assert "node-000, node-001, node-002, node-003, node-004 and 96 more" in text
    many = [f"{'x' * 200}{number}" for number in range(30)]
    assert len(told(cluster, many).message) <= 1024


def test_the_page_has_numbers_for_each_node() -> None:
    cluster = Cluster()
    cluster.config("blue", {"cidr": "10.0.0.0/30"})
    cluster.network("blue")
    cluster.node("a", "blue", capacity=1)
    cluster.node("b", "blue", capacity=4)
    cluster.node("c")
    cluster.pod("one", ["blue"], node="a")
    cluster.pod("p", ["blue"])
    report = cluster.extender.explain(NAMESPACE, "p")
    assert report is not None
    left = "1 IPv4 addresses left"
    assert explain.page(report).splitlines() == [
        "Pod team/p: fits",
        f"  a: no attachments left on the node (blue: 1 of 1 attachments in use, {left})",
        f"  b: fits (score 8: 100% free, addresses to be claimed first; blue: 0 of 4 attachments in use, {left})",
        "  c: networks not available on the node",
    ]
    assert msgspec.to_builtins(report)["nodes"][1] == {
        "node": "b",
        "fits": True,
        "why": "fits",
        "score": 8,
        "free": 1.0,
        "near": False,
        "local": True,
        "networks": [
            {
                "network": "blue",
                "attachmentsUsed": 0,
                "attachmentsCapacity": 4,
                "addressesLeft": {"IPv4": 1},
            }
        ],
    }


def test_the_scores_on_the_page_are_those_that_kube_scheduler_is_told(cluster: Cluster) -> None:
    for number in range(30):
        cluster.pod(f"p{number}", ["blue"], node="podnet-worker")
    cluster.pod("new", ["blue"])
    report = cluster.extender.explain(NAMESPACE, "new")
    assert report is not None
    scores = {node.node: node.score for node in report.nodes if node.score is not None}
    told = json.loads(cluster.extender.prioritize(request("new", ["blue"], list(scores))))
    lowest = min(scores.values())
    assert {one["Host"]: one["Score"] for one in told} == {n: s - lowest for n, s in scores.items() if s > lowest}


def test_who_has_a_static_address(cluster: Cluster) -> None:
    cluster.attachment("eleven", "pool", addresses=["10.0.0.11"])
    wanted = [{"podNetworkAttachmentName": "eleven"}]
    cluster.block("pool", "10.0.0.11/32", "podnet-worker")
    assert "10.0.0.11 belongs to podnet-worker" in told(cluster, wanted, ["podnet-worker2"]).message
    cluster.pod("holder", wanted, node="podnet-worker")
    said = told(cluster, wanted)
    assert said.reason == reasons.NO_ADDRESSES_LEFT
    assert "static address in use by another Pod" in said.message
    assert f"Pod {NAMESPACE}/holder on podnet-worker has 10.0.0.11" in said.message
