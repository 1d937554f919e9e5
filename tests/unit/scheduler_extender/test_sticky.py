"""Addresses that are kept for the Pods of StatefulSets: nobody else gets them, and they have them on every node."""

from __future__ import annotations

import pytest
from podnet_api import kni
from podnet_scheduler_extender import refusals
from podnet_scheduler_extender.fake import NAMESPACE, Cluster

TWO = {"cidr": "10.0.0.0/24", "start": "10.0.0.10", "end": "10.0.0.11"}
NODES = ["a", "b"]


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    made.config("pool", TWO, sticky=True)
    made.network("pool")
    for node in NODES:
        made.node(node, "pool")
    return made


def member(pod: str, interface: str = "net0") -> kni.Member:
    return kni.Member(namespace=NAMESPACE, stateful_set="web", pod=pod, interface=interface)


def fitting(cluster: Cluster, pod: str, stateful_set: str = "") -> list[str]:
    return cluster.filter(pod, ["pool"], NODES, stateful_set).node_names or []


def started(cluster: Cluster, pod: str, address: str, node: str) -> None:
    """It is bound, and its node has claimed an address for it."""
    cluster.pod(pod, ["pool"], node=node, stateful_set="web")
    cluster.block("pool", f"{address}/32", node, member(pod))


def test_nobody_else_gets_what_is_kept(cluster: Cluster) -> None:
    started(cluster, "web-0", "10.0.0.10", "a")
    cluster.remove_pod("web-0")
    assert fitting(cluster, "other") == NODES
    cluster.pod("other", ["pool"], node="a")
    answer = cluster.filter("third", ["pool"], NODES)
    assert answer.failed_nodes == dict.fromkeys(NODES, refusals.NO_ADDRESSES.text)


def test_the_member_comes_back_to_any_node_though_the_pool_is_empty(cluster: Cluster) -> None:
    started(cluster, "web-0", "10.0.0.10", "a")
    cluster.remove_pod("web-0")
    cluster.pod("other", ["pool"], node="a")
    assert fitting(cluster, "web-0", "web") == NODES
    assert fitting(cluster, "web-1", "web") == []
    assert fitting(cluster, "web-0", "another-set") == []
    assert fitting(cluster, "web-0") == []


def test_an_address_counts_once_whatever_is_seen_first(cluster: Cluster) -> None:
    family = cluster.state.snapshot.stocks["pool"].families[4]
    started(cluster, "web-0", "10.0.0.10", "a")
    assert (family.common, dict(family.used)) == (1, {})
    cluster.remove_pod("web-0")
    cluster.pod("web-0", ["pool"], node="b", stateful_set="web")
    assert (family.common, dict(family.used)) == (1, {})
    cluster.block("pool", "10.0.0.10/32", "b", member("web-0"))
    assert (family.common, dict(family.used)) == (1, {})
    cluster.free_block("pool", "10.0.0.10/32")
    assert (family.common, dict(family.used)) == (1, {"b": 1})
    cluster.remove_pod("web-0")
    assert (family.common, dict(family.used)) == (2, {})


def test_what_is_kept_for_another_interface_is_not_for_this_one(cluster: Cluster) -> None:
    cluster.block("pool", "10.0.0.10/32", "a", member("web-0", "net7"))
    cluster.pod("other", ["pool"], node="a")
    assert fitting(cluster, "web-0", "web") == []


def test_a_static_address_that_is_kept_is_taken(cluster: Cluster) -> None:
    cluster.attachment("ten", "pool", addresses=["10.0.0.10"])
    cluster.block("pool", "10.0.0.10/32", "a", member("web-0"))
    answer = cluster.filter("p", [{"podNetworkAttachmentName": "ten"}], NODES)
    assert answer.failed_nodes == dict.fromkeys(NODES, refusals.ADDRESS_TAKEN.text)


def test_a_static_address_that_ranges_leave_out_takes_none_of_them(cluster: Cluster) -> None:
    cluster.attachment("far", "pool", addresses=["10.0.0.99"])
    wanted = [{"podNetworkAttachmentName": "far"}]
    assert cluster.fitting("p", wanted, NODES) == NODES
    cluster.pod("p", wanted, node="b")
    cluster.block("pool", "10.0.0.99/32", "b")
    assert cluster.state.snapshot.stocks["pool"].families[4].common == 2
    assert cluster.filter("q", wanted, NODES).failed_nodes["b"] == refusals.ADDRESS_TAKEN.text
    cluster.remove_pod("p")
    assert cluster.fitting("q", wanted, NODES) == ["b"]
