"""/filter as truth tables: availability, attachments, addresses, static addresses, claims."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest
from podnet_api import names
from podnet_scheduler_extender import demand, refusals
from podnet_scheduler_extender.fake import Cluster
from podnet_scheduler_extender.refusals import Refusal

ABC = ["a", "b", "c"]
FIVE = {"cidr": "10.0.0.0/24", "start": "10.0.0.10", "end": "10.0.0.14"}
BLOCKS_OF_FOUR = {"cidr": "10.0.0.0/24", "start": "10.0.0.8", "end": "10.0.0.15"}


@pytest.fixture
def cluster() -> Cluster:
    """Networks blue on a and b, green on c, five addresses in pool; pool is on all."""
    made = Cluster()
    for name in ("blue", "green"):
        made.config(name)
        made.network(name)
    made.config("pool", FIVE)
    made.network("pool")
    made.network("pool2", "pool")
    made.node("a", "blue", "pool", "pool2", capacity=2)
    made.node("b", "blue", "pool", "pool2")
    made.node("c", "green", "pool", "pool2")
    return made


def why(cluster: Cluster, networks: list[Any], nodes: list[str] = ABC, pod: str = "p") -> dict[str, Refusal | None]:
    """The verdict by node."""
    answer = cluster.filter(pod, networks, nodes)
    texts = {r.text: r for r in refusals.REASONS}
    refused = {node: texts[text] for node, text in answer.failed_nodes.items()}
    for node, text in answer.failed_and_unresolvable_nodes.items():
        assert texts[text].static
        refused[node] = texts[text]
    assert not any(r.static for node, r in refused.items() if node in answer.failed_nodes)
    return dict.fromkeys(answer.node_names or []) | refused


NOT = refusals.NOT_ON_NODE


@pytest.mark.parametrize(
    ("networks", "verdict"),
    [
        ([], {"a": None, "b": None, "c": None}),
        (["default"], {"a": None, "b": None, "c": None}),
        (["blue"], {"a": None, "b": None, "c": NOT}),
        (["default", "green"], {"a": NOT, "b": NOT, "c": None}),
        (["blue", "green"], dict.fromkeys(ABC, NOT)),
        (["nowhere"], dict.fromkeys(ABC, refusals.NO_NETWORK)),
        ([{"podNetworkAttachmentName": "nothing"}], dict.fromkeys(ABC, refusals.NO_ATTACHMENT)),
        (["blue", "blue"], dict.fromkeys(ABC, refusals.NAMED_TWICE)),
        ([{"podNetworkAttachmentName": "x"}] * 2, dict.fromkeys(ABC, refusals.NO_ATTACHMENT)),
        ([{"interfaceName": "x"}], dict.fromkeys(ABC, refusals.INVALID_LIST)),
    ],
)
def test_availability(cluster: Cluster, networks: list[Any], verdict: dict[str, Refusal | None]) -> None:
    assert why(cluster, networks) == verdict


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"enabled": False}, refusals.DISABLED),
        ({"ready": False}, refusals.NOT_READY),
        ({"provider": "example.com/fabric"}, refusals.NOT_READY),
        ({"config": "gone"}, refusals.NO_PARAMETERS),
    ],
)
def test_a_network_that_cannot_be_used_anywhere(cluster: Cluster, change: dict[str, Any], refusal: Refusal) -> None:
    cluster.network("blue", **change)
    assert why(cluster, ["blue"]) == dict.fromkeys(ABC, refusal)
    cluster.network("blue")
    assert cluster.fitting("p", ["blue"], ABC) == ["a", "b"]


def test_the_default_network_can_be_disabled(cluster: Cluster) -> None:
    cluster.network("default", provider=names.CLUSTER_PROVIDER)
    assert cluster.fitting("p", ["default"], ABC) == ABC
    cluster.network("default", provider=names.CLUSTER_PROVIDER, enabled=False)
    assert why(cluster, ["default"]) == dict.fromkeys(ABC, refusals.DISABLED)


def test_a_network_named_by_itself_and_by_an_attachment_is_named_twice(cluster: Cluster) -> None:
    cluster.attachment("mine", "blue")
    assert why(cluster, ["blue", {"podNetworkAttachmentName": "mine"}]) == dict.fromkeys(ABC, refusals.NAMED_TWICE)
    assert cluster.fitting("p", [{"podNetworkAttachmentName": "mine"}], ABC) == ["a", "b"]


def test_an_entry_that_is_not_ready_counts_as_absent(cluster: Cluster) -> None:
    cluster.node("b", {"name": "blue", "config": "blue", "ready": False, "attachments": {"capacity": 9}})
    assert why(cluster, ["blue"]) == {"a": None, "b": NOT, "c": NOT}
    cluster.remove_node("a")
    assert why(cluster, ["blue"]) == dict.fromkeys(ABC, NOT)


def test_a_node_that_nobody_knows_has_no_networks(cluster: Cluster) -> None:
    assert why(cluster, ["blue"], ["a", "ghost"]) == {"a": None, "ghost": NOT}
    assert cluster.fitting("q", [], ["ghost"]) == ["ghost"]


def test_attachments_of_bound_pods_count_until_they_finish(cluster: Cluster) -> None:
    cluster.pod("one", ["blue"], node="a")
    cluster.pod("two", ["blue"], node="a", phase="Running")
    assert why(cluster, ["blue"])["a"] is refusals.NO_ATTACHMENTS
    cluster.pod("two", ["blue"], node="a", phase="Succeeded")
    assert why(cluster, ["blue"])["a"] is None
    cluster.remove_pod("one")
    assert not cluster.state.snapshot.stocks["blue"].attachments


def test_two_networks_of_one_config_share_its_attachments_and_addresses(cluster: Cluster) -> None:
    assert cluster.fitting("one", ["pool", "pool2"], ABC) == ABC
    cluster.pod("one", ["pool", "pool2"], node="a")
    assert why(cluster, ["pool"])["a"] is refusals.NO_ATTACHMENTS
    cluster.pod("two", ["pool2", "pool"], node="b")
    assert why(cluster, ["pool", "pool2"], ["b", "c"]) == dict.fromkeys("bc", refusals.NO_ADDRESSES)
    assert cluster.fitting("p", ["pool2"], ["b", "c"]) == ["b", "c"]


def test_a_pool_for_five_pods_keeps_the_sixth_waiting(cluster: Cluster) -> None:
    for number in range(5):
        name, node = f"p{number}", "bc"[number % 2]
        assert node in cluster.fitting(name, ["pool"], ABC)
        cluster.pod(name, ["pool"], node=node)
        cluster.block("pool", f"10.0.0.{10 + number}/32", node)
    assert why(cluster, ["pool"], pod="six") == dict.fromkeys(ABC, refusals.NO_ADDRESSES)
    cluster.remove_pod("p0")
    assert cluster.fitting("six", ["pool"], ABC) == ["b"]  # b still holds the block of p0
    cluster.free_block("pool", "10.0.0.10/32")
    assert cluster.fitting("six", ["pool"], ABC) == ABC


def test_pods_in_flight_count_once_for_the_pool_and_on_each_candidate(cluster: Cluster) -> None:
    for number in range(5):
        assert cluster.fitting(f"p{number}", ["pool"], ["b", "c"]) == ["b", "c"]
    assert cluster.fitting("six", ["pool"], ["b", "c"]) == []
    cluster.pod("p0", ["pool"], node="b")
    assert cluster.fitting("six", ["pool"], ["b", "c"]) == []
    cluster.remove_pod("p0")
    assert cluster.fitting("six", ["pool"], ["b", "c"]) == ["b", "c"]
    assert cluster.fitting("one", ["blue"], ["a"]) == ["a"]
    assert cluster.fitting("two", ["blue"], ["a", "b"]) == ["a", "b"]
    assert cluster.fitting("three", ["blue"], ["a", "b"]) == ["b"]


def test_a_claim_is_replaced_when_the_pod_is_filtered_again_and_ends_by_itself(cluster: Cluster) -> None:
    for _ in range(3):
        assert cluster.fitting("one", ["blue"], ["a"]) == ["a"]
    assert cluster.fitting("two", ["blue"], ["a"]) == ["a"]
    assert cluster.fitting("three", ["blue"], ["a"]) == []
    cluster.clock.now += 29.9
    assert cluster.fitting("three", ["blue"], ["a"]) == []
    cluster.clock.now += 0.2
    assert cluster.fitting("three", ["blue"], ["a"]) == ["a"]


def test_a_claim_ends_where_the_watch_shows_its_pod(cluster: Cluster) -> None:
    cluster.filter("one", ["blue"], ["a", "b"])
    cluster.pod("one", ["blue"])
    assert "one" in cluster.extender.ledger
    cluster.pod("one", ["blue"], node="b")
    assert "one" not in cluster.extender.ledger
    cluster.filter("one", ["blue"], ["a", "b"])  # a scheduler that lags behind
    assert "one" not in cluster.extender.ledger
    cluster.filter("two", ["blue"], ["a", "b"])
    cluster.pod("two", ["blue"])
    cluster.remove_pod("two")
    assert len(cluster.extender.ledger) == 0


def test_blocks_of_other_nodes_are_withheld_whole(cluster: Cluster) -> None:
    cluster.config("wide", BLOCKS_OF_FOUR, blockPrefix4=30)
    cluster.network("wide")
    for node in ABC:
        cluster.node(node, "wide")
    cluster.pod("one", ["wide"], node="a")
    cluster.block("wide", "10.0.0.8/30", "a")
    assert cluster.fitting("p", ["wide"], ABC) == ABC
    cluster.pod("p", ["wide"], node="b")  # bound, but b has no block yet
    assert why(cluster, ["wide"], pod="q") == {"a": None, "b": None, "c": refusals.NO_ADDRESSES}


def test_claims_elsewhere_may_each_take_a_whole_block(cluster: Cluster) -> None:
    cluster.config("wide", BLOCKS_OF_FOUR, blockPrefix4=30)
    cluster.network("wide")
    for node in ABC:
        cluster.node(node, "wide")
    assert cluster.fitting("one", ["wide"], ABC) == ABC
    assert cluster.fitting("two", ["wide"], ABC) == ABC
    assert cluster.fitting("three", ["wide"], ABC) == []
    cluster.pod("one", ["wide"], node="a")
    assert cluster.fitting("three", ["wide"], ABC) == ["a"]


def test_scope_node_gives_the_whole_pool_to_each_node(cluster: Cluster) -> None:
    cluster.config("own", {"cidr": "10.9.0.0/30"}, scope="node")
    cluster.network("own")
    cluster.node("a", "own")
    cluster.node("b", "own")
    cluster.pod("one", ["own"], node="a")
    assert cluster.fitting("two", ["own"], ["a"]) == ["a"]
    assert why(cluster, ["own"], ["a", "b"], "three") == {"a": refusals.NO_ADDRESSES, "b": None}


def test_both_families_must_have_an_address(cluster: Cluster) -> None:
    cluster.config("dual", {"cidr": "10.9.0.0/24"}, {"cidr": "fd00::/127"})
    cluster.network("dual")
    cluster.node("a", "dual")
    for name in ("one", "two"):
        assert cluster.fitting(name, ["dual"], ["a"]) == ["a"]
    assert why(cluster, ["dual"], ["a"]) == {"a": refusals.NO_ADDRESSES}


def test_a_static_address_goes_where_its_block_is(cluster: Cluster) -> None:
    cluster.attachment("eleven", "pool", addresses=["10.0.0.11/24"])
    wanted = [{"podNetworkAttachmentName": "eleven"}]
    assert cluster.fitting("p", wanted, ABC) == ABC
    cluster.block("pool", "10.0.0.11/32", "b")
    assert why(cluster, wanted) == {
        "a": refusals.ADDRESS_ELSEWHERE,
        "b": None,
        "c": refusals.ADDRESS_ELSEWHERE,
    }
    assert why(cluster, wanted, pod="q") == dict.fromkeys(ABC, refusals.ADDRESS_TAKEN)  # p is in flight
    cluster.pod("p", wanted, node="b")
    assert why(cluster, wanted, pod="q") == dict.fromkeys(ABC, refusals.ADDRESS_TAKEN)
    cluster.pod("p", wanted, node="b", phase="Failed")
    assert cluster.fitting("q", wanted, ABC) == ["b"]


def test_a_static_address_outside_the_pool_never_fits(cluster: Cluster) -> None:
    cluster.attachment("far", "pool", addresses=["10.0.1.99"])
    assert why(cluster, [{"podNetworkAttachmentName": "far"}]) == dict.fromkeys(ABC, refusals.BAD_PARAMETERS)


def test_a_running_pod_keeps_its_addresses_when_its_objects_go(cluster: Cluster) -> None:
    used = cluster.state.snapshot.stocks["pool"].families[4].used
    cluster.pod("one", ["pool"], node="a")
    cluster.network("pool", enabled=False)
    assert used["a"] == 1
    cluster.remove_network("pool")
    assert used["a"] == 1
    cluster.remove_pod("one")
    assert used == {}


def test_objects_may_come_in_any_order() -> None:
    cluster = Cluster()
    cluster.node("a", {"name": "late", "config": "late", "ready": True, "attachments": {"capacity": 9}})
    cluster.pod("one", ["late"], node="a")
    cluster.block("late", "10.0.0.10/32", "a")
    assert why(cluster, ["late"], ["a"]) == {"a": refusals.NO_NETWORK}
    cluster.network("late")
    assert why(cluster, ["late"], ["a"]) == {"a": refusals.NO_PARAMETERS}
    cluster.config("late", FIVE)
    family = cluster.state.snapshot.stocks["late"].families[4]
    assert (family.used["a"], family.held["a"], family.reserved) == (1, 1, 1)
    assert cluster.fitting("p", ["late"], ["a"]) == ["a"]


def test_every_refusal_has_advice_and_a_constant_text() -> None:
    assert len({r.text for r in refusals.REASONS}) == len(refusals.REASONS)
    for refusal in refusals.REASONS:
        assert refusal.advice
        assert len(refusal.text) < 60


def test_a_resolution_says_which_objects_it_rests_on(cluster: Cluster) -> None:
    cluster.attachment("mine", "blue", mac="02:00:00:00:00:01")
    found = demand.resolve("team", '[{"podNetworkAttachmentName":"mine"},{"podNetworkName":"gone"}]', cluster.state)
    assert found.refs == {
        ("PodNetworkAttachment", "team", "mine"),
        ("AttachmentConfig", "team", "mine"),
        ("PodNetwork", "", "blue"),
        ("NetworkConfig", "", "blue"),
        ("PodNetwork", "", "gone"),
    }
    assert [fault.message for fault in found.faults] == ["PodNetwork gone does not exist"]


def test_where_one_place_is_left_a_pod_in_flight_leaves_nodes_for_the_next() -> None:
    cluster = Cluster()
    cluster.config("tight")
    cluster.network("tight")
    nodes = [f"n{number}" for number in range(40)]
    for number, node in enumerate(nodes):
        cluster.node(node, "tight", capacity=2 if number < 3 else 1)
    told = [set(cluster.fitting("p0", ["tight"], nodes))]
    assert len(told[0]) == 3 + 4
    assert {"n0", "n1", "n2"} < told[0]
    while found := set(cluster.fitting(f"p{len(told)}", ["tight"], nodes)):
        told.append(found)
    assert len(told) == 10
    assert Counter(itertools.chain(*told)) == Counter(nodes) + Counter(nodes[:3])


def test_of_few_nodes_with_one_place_all_are_told(cluster: Cluster) -> None:
    nodes = ["a", "b", "c", "d"]
    for node in nodes:
        cluster.node(node, "blue", capacity=1)
    assert cluster.fitting("p", ["blue"], nodes) == nodes
