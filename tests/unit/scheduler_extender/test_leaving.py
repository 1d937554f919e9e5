"""Pods that were deleted with grace period 0: gone from the API, and their node has not detached them yet."""

from __future__ import annotations

import pytest
from podnet_scheduler_extender import refusals
from podnet_scheduler_extender.fake import Cluster, wire_pod
from podnet_scheduler_extender.wire import MetaPod, MetaVictims, PreemptionArgs

ONE = {"cidr": "10.0.0.0/24", "start": "10.0.0.10", "end": "10.0.0.10"}


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster()
    made.config("blue")
    made.network("blue")
    made.config("pool", ONE)
    made.network("pool")
    made.node("a", "blue", "pool", capacity=1)
    made.node("b", "blue", "pool", capacity=1)
    return made


def test_an_attachment_counts_until_the_node_has_detached_it(cluster: Cluster) -> None:
    cluster.pod("p", ["blue"], node="a")
    cluster.node("a", "blue", capacity=1, used=1)
    cluster.remove_pod("p")
    answer = cluster.filter("q", ["blue"], ["a", "b"])
    assert (answer.node_names, answer.failed_nodes) == (["b"], {"a": refusals.NO_ATTACHMENTS.text})
    cluster.node("a", "blue", capacity=1, used=0)
    assert cluster.fitting("q", ["blue"], ["a", "b"]) == ["a", "b"]


def test_so_does_its_address(cluster: Cluster) -> None:
    cluster.pod("p", ["pool"], node="a")
    cluster.block("pool", "10.0.0.10/32", "a")
    cluster.node("a", "pool", used=1)
    cluster.remove_pod("p")
    assert cluster.fitting("q", ["pool"], ["a", "b"]) == []
    cluster.node("a", "pool", used=0)
    assert cluster.fitting("q", ["pool"], ["a", "b"]) == ["a"]
    cluster.free_block("pool", "10.0.0.10/32")
    assert cluster.fitting("q", ["pool"], ["a", "b"]) == ["a", "b"]


def test_who_waits_is_woken_by_what_the_node_says(cluster: Cluster) -> None:
    calls: list[None] = []
    cluster.extender.changed = lambda: calls.append(None)
    cluster.node("a", "blue", "pool", capacity=1, used=1)
    assert not calls
    cluster.node("a", "blue", "pool", capacity=1, used=0)
    assert calls


def test_a_node_that_is_gone_says_nothing(cluster: Cluster) -> None:
    cluster.node("a", "pool", used=1)
    cluster.remove_node("a")
    assert cluster.state.snapshot.stocks["pool"].in_use("a") == 0
    assert cluster.fitting("q", ["pool"], ["b"]) == ["b"]


def test_what_the_node_says_of_pods_that_are_there_counts_once(cluster: Cluster) -> None:
    stock = cluster.state.snapshot.stocks["pool"]
    cluster.node("a", "pool", used=1)
    assert (stock.in_use("a"), dict(stock.families[4].used)) == (1, {"a": 1})
    cluster.pod("p", ["pool"], node="a")
    assert (stock.in_use("a"), dict(stock.families[4].used)) == (1, {"a": 1})
    cluster.config("pool", ONE)
    assert (stock.in_use("a"), dict(stock.families[4].used)) == (1, {"a": 1})


def test_victims_make_room_though_the_node_still_has_them(cluster: Cluster) -> None:
    cluster.pod("p", ["blue"], node="a")
    cluster.node("a", "blue", capacity=1, used=1)
    victims = {"a": MetaVictims([MetaPod("p")])}
    args = PreemptionArgs(wire_pod("new", ["blue"]), None, victims)
    assert cluster.extender.preempt(args).node_name_to_meta_victims == victims
    assert cluster.state.snapshot.stocks["blue"].in_use("a") == 1
