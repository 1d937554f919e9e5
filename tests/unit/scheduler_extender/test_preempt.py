"""/preempt as truth tables: a node stays a candidate where its victims, once gone, leave what the Pod lacks."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from podnet_scheduler_extender import wire
from podnet_scheduler_extender.fake import Cluster, wire_pod

TWO = {"cidr": "10.0.0.0/24", "start": "10.0.0.10", "end": "10.0.0.11"}
FIXED = [{"podNetworkAttachmentName": "fixed"}]


@pytest.fixture
def cluster() -> Cluster:
    """On a one attachment to blue, taken; pool has two addresses, taken on a and b; fixed is the one on b."""
    made = Cluster()
    for name in ("blue", "green"):
        made.config(name)
        made.network(name)
    made.config("pool", TWO)
    made.network("pool")
    made.attachment("fixed", "pool", addresses=["10.0.0.11"])
    made.node("a", "blue", "pool", capacity=1)
    made.node("b", "pool", "green")
    made.pod("blue-a", ["blue"], node="a")
    made.pod("pool-a", ["pool"], node="a")
    made.pod("fixed-b", FIXED, node="b")
    made.block("pool", "10.0.0.10/32", "a")
    made.block("pool", "10.0.0.11/32", "b")
    made.pod("plain-b", [], node="b")
    return made


def kept(cluster: Cluster, networks: list[Any], victims: dict[str, list[str]], pod: str = "p") -> list[str]:
    """The nodes that stay candidates."""
    found = {node: wire.MetaVictims([wire.MetaPod(uid) for uid in uids]) for node, uids in victims.items()}
    answer = cluster.extender.preempt(wire.PreemptionArgs(wire_pod(pod, networks), None, found))
    left = answer.node_name_to_meta_victims
    assert all(left[node] == found[node] for node in left)
    return list(left)


@pytest.mark.parametrize(
    ("networks", "victims", "nodes"),
    [
        (["blue"], {"a": ["blue-a"]}, ["a"]),
        (["blue"], {"a": ["pool-a"]}, []),
        (["blue"], {"a": ["pool-a", "blue-a"]}, ["a"]),
        (["blue"], {"a": ["fixed-b"]}, []),
        (["blue"], {"a": ["never-heard-of"]}, []),
        (["blue"], {"a": []}, []),
        (["blue"], {"b": ["plain-b"]}, []),
        (["green"], {"b": ["plain-b"]}, ["b"]),
        (["green"], {"b": []}, ["b"]),
        (["green"], {"a": ["blue-a"], "b": ["plain-b"]}, ["b"]),
        (["pool"], {"a": ["pool-a"], "b": ["plain-b"]}, ["a"]),
        (["pool"], {"b": ["pool-a"]}, []),
        (["pool"], {"a": ["pool-a"], "b": ["fixed-b"]}, ["a", "b"]),
        (FIXED, {"a": ["pool-a"], "b": ["fixed-b"]}, ["b"]),
        (FIXED, {"b": ["plain-b"]}, []),
        (["unknown"], {"a": ["blue-a"], "b": []}, []),
        (["blue"], {"ghost": []}, []),
        ([], {"a": [], "ghost": ["x"]}, ["a", "ghost"]),
    ],
)
def test_victims_are_spent_only_where_they_free_what_is_missing(
    cluster: Cluster, networks: list[Any], victims: dict[str, list[str]], nodes: list[str]
) -> None:
    assert kept(cluster, networks, victims) == nodes


def test_what_is_in_flight_counts_but_for_the_claim_of_the_pod_itself(cluster: Cluster) -> None:
    cluster.remove_pod("blue-a")
    assert cluster.fitting("p", ["blue"], ["a"]) == ["a"]
    assert kept(cluster, ["blue"], {"a": []}) == ["a"]
    assert cluster.fitting("other", ["blue"], ["a"]) == ["a"]
    assert kept(cluster, ["blue"], {"a": []}) == []


def test_the_books_are_as_before(cluster: Cluster) -> None:
    stocks = cluster.state.snapshot.stocks

    def books() -> object:
        parts = [(stock.attachments, stock.static, stock.blocks) for stock in stocks.values()]
        return copy.deepcopy([parts, [stock.families[4].used for stock in stocks.values() if stock.families]])

    before = books()
    for networks in (["blue"], ["pool"], FIXED, ["blue", "pool"]):
        kept(cluster, networks, {"a": ["blue-a", "pool-a"], "b": ["fixed-b", "plain-b"]})
    assert books() == before
