"""The packed numbers against plain ones, and the filter over them against one that looks at each node by itself."""

from __future__ import annotations

import random
from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from podnet_scheduler_extender import filter, lanes, refusals
from podnet_scheduler_extender.demand import Need, Resolution
from podnet_scheduler_extender.fake import Cluster
from podnet_scheduler_extender.ledger import Ledger
from podnet_scheduler_extender.refusals import Refusal
from podnet_scheduler_extender.snapshot import Snapshot
from podnet_scheduler_extender.stock import Family

NUMBERS = st.integers(0, lanes.LARGEST)


@given(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=50))
def test_a_comparison_of_all_lanes_is_one_of_each(pairs: list[tuple[int, int]]) -> None:
    index = lanes.Index()
    left, right = lanes.Lanes(index), lanes.Lanes(index)
    for number, (one, other) in enumerate(pairs):
        index.add(f"n{number}")
        left.put(f"n{number}", one)
        right.put(f"n{number}", other)
    mask = lanes.at_least(left.packed, right.packed, len(index))
    flags = lanes.flags_of(mask, len(index))
    assert list(flags) == [one >= other for one, other in pairs]
    assert lanes.mask_of(flags) == mask
    assert list(lanes.unpacked(left.packed, len(index))) == [one for one, _ in pairs]


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abcdefgh"))), st.lists(st.sampled_from("abcdefghxy")))
def test_nodes_come_and_go(changes: list[tuple[bool, str]], asked: list[str]) -> None:
    index, there = lanes.Index(), set()
    for comes, node in changes:
        if comes:
            index.add(node)
            there.add(node)
        else:
            index.remove(node)
            there.discard(node)
    selection = index.select(asked)
    assert sorted(index.names(selection.flags)) == sorted(there & set(asked))
    assert selection.unknown == [node for node in asked if node not in there]
    assert set(lanes.Chosen(index, selection.flags)) == there & set(asked)


def test_names_are_joined_as_if_at_once() -> None:
    """From Pod to Pod a few nodes change sides, and now and then a node comes or goes."""
    chance, index = random.Random(3), lanes.Index()
    for number in range(2100):
        index.add(f"node-{number}")
    flags = bytearray(chance.choices((0, 1), k=2100))
    for turn in range(200):
        flags[chance.randrange(2100)] ^= 1
        if turn % 50 == 49:
            index.remove(f"node-{turn}")
            index.add(f"late-{turn}")
        for separator in (b",", b':"full",'):
            wanted = separator.join(f'"{name}"'.encode() for name in index.names(bytes(flags)))
            assert index.joined(bytes(flags), separator) == wanted
    assert index.joined(bytes(2100), b",") == b""


def test_a_lane_that_is_used_again_starts_with_what_is_true_of_the_new_node() -> None:
    cluster = Cluster()
    cluster.config("blue")
    cluster.network("blue")
    cluster.node("a", "blue", capacity=1)
    cluster.pod("one", ["blue"], node="a")
    cluster.pod("two", ["blue"], node="b")
    cluster.remove_node("a")
    cluster.node("c", "blue", capacity=1)
    assert cluster.fitting("p", ["blue"], ["a", "c"]) == ["c"]
    cluster.node("b", "blue", capacity=1)
    assert cluster.fitting("q", ["blue"], ["a", "b"]) == []


Claims = list[tuple[Collection[str], Need]]


def obvious(resolution: Resolution, node: str, snapshot: Snapshot, ledger: Ledger) -> Refusal | None:
    """The verdict on one node, said as plainly as it can be."""
    for network in resolution.demand.networks:
        entry = snapshot.on(network).get(node)
        if entry is None or not entry.ready:
            return refusals.NOT_ON_NODE
    for need in resolution.demand.needs:
        claims: Claims = [(set(nodes), other) for nodes, other in ledger.on(need.config).by_uid.values()]
        refusal = _obvious_need(need, node, snapshot, claims)
        if refusal is not None:
            return refusal
    return None


def _obvious_need(need: Need, node: str, snapshot: Snapshot, claims: Claims) -> Refusal | None:
    stock = snapshot.stocks[need.config]
    capacity = snapshot.on(need.network)[node].attachments.capacity
    flying = sum(other.attachments for nodes, other in claims if node in nodes)
    if capacity - stock.attachments.get(node, 0) - flying < need.attachments:
        return refusals.NO_ATTACHMENTS
    for version, count in need.leased:
        counted = [(nodes, n) for nodes, other in claims for v, n in other.uses if v == version]
        if stock.families[version].left(node) - _most(stock.families[version], counted, node) < count:
            return refusals.NO_ADDRESSES
    for address in need.static:
        if stock.static.get(address) or any(address in other.static for _, other in claims):
            return refusals.ADDRESS_TAKEN
        assert stock.pool is not None
        inside = stock.pool.range_of(address)
        assert inside is not None
        if stock.blocks.get(inside.block_at(int(address))) not in {None, node}:
            return refusals.ADDRESS_ELSEWHERE
    return None


def _most(family: Family, claims: list[tuple[Collection[str], int]], node: str) -> int:
    """The most that claims can take from a node."""
    if family.per_node:
        return sum(count for nodes, count in claims if node in nodes)
    claimed = sum(count for _, count in claims)
    elsewhere = 0
    for other in {name for nodes, _ in claims for name in nodes} - {node}:
        here = sum(count for nodes, count in claims if other in nodes)
        elsewhere += family.withheld(other, here) - family.withheld(other)
    blocks = -(-elsewhere // family.step)
    return min(claimed * family.step, elsewhere + max(0, claimed - blocks))


NODES = [f"node-{number}" for number in range(12)]
LISTS: list[list[Any]] = [
    ["single"], ["blocks"], ["own"], ["bare"], ["single", "bare"], ["own", "blocks"], ["single", "again"], ["default"],
    [{"podNetworkAttachmentName": "fixed"}],
]  # fmt: skip


def world(chance: random.Random) -> Cluster:
    """Networks of every kind, on nodes that differ in what they carry and hold."""
    cluster = Cluster(ttl=1e9)
    cluster.config("single", {"cidr": "10.0.0.0/24", "start": "10.0.0.10", "end": "10.0.0.20"})
    cluster.config("blocks", {"cidr": "10.0.1.0/24"}, blockPrefix4=chance.choice([27, 28, 30]))
    cluster.config("own", {"cidr": "10.0.2.0/30"}, {"cidr": "fd00::/125"}, scope="node")
    cluster.config("bare")
    for name, config in {
        "single": "single",
        "again": "single",
        "blocks": "blocks",
        "own": "own",
        "bare": "bare",
    }.items():
        cluster.network(name, config)
    cluster.attachment("fixed", "single", addresses=["10.0.0.12"])
    for node in NODES:
        carried = [name for name in ("single", "again", "blocks", "own", "bare") if chance.random() < 0.9]
        cluster.node(node, *carried, capacity=chance.choice([1, 2, 100]))
    cluster.node(NODES[0], {"name": "bare", "config": "bare", "ready": False, "attachments": {"capacity": 9}})
    for number in range(chance.randint(0, 8)):
        cluster.block("blocks", f"10.0.1.{32 * number}/27", chance.choice(NODES))
        cluster.block("single", f"10.0.0.{10 + number}/32", chance.choice(NODES))
    return cluster


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_the_quick_filter_says_what_the_obvious_one_says(seed: int) -> None:
    chance = random.Random(seed)
    cluster = world(chance)
    snapshot, ledger = cluster.state.snapshot, cluster.extender.ledger
    for number in range(30):
        pod, networks = f"p{number}", chance.choice(LISTS)
        asked = chance.sample([*NODES, "ghost"], chance.randint(1, len(NODES)))
        if chance.random() < 0.4:
            cluster.pod(pod, networks, node=chance.choice(NODES))
            continue
        found = cluster.pod(pod, networks)
        tracked = cluster.state.tracked(pod)
        assert tracked is not None
        verdict = filter.judge(tracked.resolution, asked, snapshot, ledger)
        said = dict.fromkeys(verdict.fitting) | verdict.refused
        assert said == {node: obvious(tracked.resolution, node, snapshot, ledger) for node in asked}, found
        cluster.fitting(pod, networks, asked)


@pytest.mark.parametrize("count", [0, 1, 5000])
def test_ones(count: int) -> None:
    assert lanes.flags_of(lanes.ones(count), count) == b"\1" * count
