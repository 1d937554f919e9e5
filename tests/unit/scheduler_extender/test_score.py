"""Scores: more free is better, addresses at hand are better, always 0 to 10."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from podnet_scheduler_extender import main, score
from podnet_scheduler_extender.fake import NAMESPACE, Cluster, listed, request


class Known(Cluster):
    """With the scores that are kept from one question to the next."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = score.Scores()


@pytest.fixture
def cluster() -> Known:
    made = Known()
    made.config("blue", {"cidr": "10.0.0.0/24"}, blockPrefix4=28)
    made.network("blue")
    made.config("own", {"cidr": "10.9.0.0/28"}, scope="node")
    made.network("own")
    for node in "ab":
        made.node(node, "blue", "own", capacity=20)
    return made


def scores(cluster: Known, networks: list[str], nodes: str = "ab") -> dict[str, int]:
    found = cluster.state.resolve(NAMESPACE, listed(networks))
    snapshot, weights = cluster.state.snapshot, cluster.extender.weights
    points, elsewhere = cluster.scores.on(found.demand, snapshot, weights)
    lanes = {node: snapshot.index.lane(node) for node in nodes}
    reckoned = score.reckoned(found.demand, snapshot.index.select(list(nodes)), snapshot, weights)
    kept = {node: elsewhere if lane is None else points[lane] for node, lane in lanes.items()}
    assert {node: one.score for node, one in reckoned.items()} == {n: kept[n] for n in nodes if lanes[n] is not None}
    return kept


def leads(cluster: Known, networks: list[str], nodes: str = "ab") -> dict[str, int]:
    answer = cluster.extender.prioritize(request("new", networks, list(nodes)))
    return {entry["Host"]: entry["Score"] for entry in json.loads(answer)}


def test_free_attachments(cluster: Known) -> None:
    for number in range(10):
        cluster.pod(f"p{number}", ["blue"], node="a")
    cluster.block("blue", "10.0.0.0/28", "a")
    cluster.block("blue", "10.0.0.16/28", "b")
    assert scores(cluster, ["blue"]) == {"a": 6, "b": 10}


def test_a_block_with_free_addresses(cluster: Known) -> None:
    cluster.block("blue", "10.0.0.0/28", "b")
    assert scores(cluster, ["blue"]) == {"a": 8, "b": 10}


@pytest.mark.parametrize("asked_before", [False, True])
def test_kube_scheduler_is_told_only_who_is_ahead(cluster: Known, asked_before: bool) -> None:
    """It adds what we say to its own scores; the same for all, or 0, changes nothing."""
    cluster.block("blue", "10.0.0.0/28", "b")
    if asked_before:
        assert cluster.fitting("new", ["blue"], "ab") == ["a", "b"]
    assert leads(cluster, ["blue"]) == {"b": 2}
    assert leads(cluster, ["blue"], "b") == {}
    cluster.block("blue", "10.0.0.16/28", "a")
    assert leads(cluster, ["blue"]) == {}


def test_what_was_answered_before_is_not_taken_for_other_nodes(cluster: Known) -> None:
    """The lanes of nodes that are gone are given to others."""
    cluster.block("blue", "10.0.0.0/28", "b")
    cluster.fitting("new", ["blue"], "ab")
    cluster.remove_node("b")
    cluster.remove_node("a")
    cluster.node("b", "blue", capacity=20)
    cluster.node("a", "blue", capacity=20)
    assert leads(cluster, ["blue"]) == {"b": 2}


def test_addresses_of_the_node_itself(cluster: Known) -> None:
    for number in range(7):
        cluster.pod(f"p{number}", ["own"], node="b")
    assert scores(cluster, ["own"]) == {"a": 10, "b": 6}


@pytest.mark.parametrize(
    ("flag", "expected"),
    [
        ("spread=8,near=2", {"a": 6, "b": 10}),
        ("spread=1", {"a": 5, "b": 10}),
        ("pack=1", {"a": 5, "b": 0}),
        ("near=1", {"a": 10, "b": 10}),
        ("pack=9,near=1", {"a": 6, "b": 1}),
    ],
)
def test_weights(cluster: Known, flag: str, expected: dict[str, int]) -> None:
    for number in range(10):
        cluster.pod(f"p{number}", ["blue"], node="a")
    cluster.block("blue", "10.0.0.0/28", "a")
    cluster.block("blue", "10.0.0.16/28", "b")
    cluster.extender.weights = main.arguments(["--score-weights", flag]).score_weights
    assert scores(cluster, ["blue"]) == expected


@pytest.mark.parametrize(("flag", "expected"), [("spread=8,local=2", [8, 10, 10]), ("spread=8,near=2", [10] * 3)])
def test_devices_on_one_numa_node(cluster: Known, flag: str, expected: list[int]) -> None:
    """As far as nodes say: of c nothing is known of one of them."""
    for node, numbers in {"a": ([0], [1]), "b": ([0, 1], [1]), "c": ([0], [])}.items():
        entries = [
            {"name": name, "config": name, "ready": True, "attachments": {"capacity": 9}, "numaNodes": known}
            for name, known in zip(("blue", "own"), numbers, strict=True)
        ]
        cluster.node(node, *entries)
        cluster.block("blue", f"10.0.0.{16 * ord(node) % 256}/28", node)
    cluster.extender.weights = main.arguments(["--score-weights", flag]).score_weights
    assert list(scores(cluster, ["blue", "own"], "abc").values()) == expected


@pytest.mark.parametrize("networks", [[], ["default"], ["blue", "own"], ["nowhere"]])
def test_bounds(cluster: Known, networks: list[str]) -> None:
    for number in range(40):
        cluster.pod(f"p{number}", ["blue", "own"], node="a")
    assert all(0 <= score <= 10 for score in scores(cluster, networks, "abz").values())


_STEP = st.tuples(st.integers(0, 3), st.sampled_from("abcdef"), st.sampled_from(["blue", "own"]))


@settings(max_examples=60, deadline=None)
@given(st.lists(_STEP, max_size=40))
def test_points_that_are_kept_are_those_reckoned_anew(steps: list[tuple[int, str, str]]) -> None:
    """Whatever happens to nodes, Pods and blocks between two questions (``scores`` compares)."""
    cluster = Known()
    cluster.config("blue", {"cidr": "10.0.0.0/24"}, blockPrefix4=28)
    cluster.network("blue")
    cluster.config("own", {"cidr": "10.9.0.0/28"}, scope="node")
    cluster.network("own")
    for number, (what, node, network) in enumerate(steps):
        if what == 0:
            cluster.node(node, "blue", "own", capacity=1 + number % 5)
        elif what == 1:
            cluster.pod(f"p{number}", [network], node=node)
        elif what == 2:
            cluster.block("blue", f"10.0.0.{16 * (number % 16)}/28", node)
        elif node in cluster.state.snapshot.nodes:
            cluster.remove_node(node)
        for asked in (["blue"], ["blue", "own"]):
            assert all(0 <= points <= 10 for points in scores(cluster, asked, "abcdefg").values())


def test_more_changes_than_are_remembered(cluster: Known) -> None:
    scores(cluster, ["blue"])
    for number in range(3000):
        cluster.node("a", "blue", "own", capacity=10 + number % 2)
    cluster.pod("p", ["blue"], node="a")
    scores(cluster, ["blue"])
