"""The promise of the ledger, against every order of events that hypothesis finds: a scheduler that binds
only where the filter said so, and a watch that lags, never give out more than there is."""

from __future__ import annotations

import ipaddress
from collections import Counter
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)
from podnet_scheduler_extender.demand import Demand, Need
from podnet_scheduler_extender.fake import Cluster
from podnet_scheduler_extender.lanes import Chosen, Index
from podnet_scheduler_extender.ledger import Ledger

NODES = ["a", "b", "c"]
SINGLE = {"cidr": "10.0.0.0/24", "start": "10.0.0.10", "end": "10.0.0.15"}
BLOCKS = {"cidr": "10.0.1.0/24", "start": "10.0.1.8", "end": "10.0.1.15"}
RESTARTS = 1
"""In one story; each ends all claims, and what is sought are too many of them."""
CONFIG = {"single": "single", "again": "single", "blocks": "blocks", "bare": "bare"}


class World(RuleBasedStateMachine):
    """What is true of Pods and blocks here, and what the watch has told the extender so far."""

    capacity = 2
    lists: tuple[list[str], ...] = (["single"], ["blocks"], ["blocks", "single"], ["single", "again"], ["bare"])
    placed = Bundle("placed")
    bound = Bundle("bound")

    @initialize()
    def objects(self) -> None:
        self._start()
        self.asked: dict[str, list[str]] = {}
        self.where: dict[str, str] = {}
        self.there: dict[str, dict[str, Any]] = {}
        """The Pods of the API server as LIST would show them."""
        self.started = 0
        self.unseen: dict[str, list[Any]] = {"pods": [], "blocks": []}
        self.free: dict[str, list[Any]] = {
            "single": [ipaddress.ip_network(f"10.0.0.{n}") for n in range(10, 16)],
            "blocks": list(ipaddress.ip_network("10.0.1.8/29").subnets(new_prefix=30)),
        }
        self.held: dict[tuple[str, str], list[Any]] = {}

    def _start(self) -> None:
        """An extender that knows of everything but Pods and blocks."""
        self.cluster = Cluster(ttl=1e9)
        self.cluster.config("single", SINGLE)
        self.cluster.config("blocks", BLOCKS, blockPrefix4=30)
        self.cluster.config("bare")
        for name, config in CONFIG.items():
            self.cluster.network(name, config)
        for node in NODES:
            self.cluster.node(node, *CONFIG, capacity=self.capacity)

    @rule(target=placed, data=st.data(), nodes=st.sets(st.sampled_from(NODES), min_size=1))
    def arrive(self, data: st.DataObject, nodes: set[str]) -> Any:
        name = f"p{len(self.asked)}"
        self.asked[name] = data.draw(st.sampled_from(self.lists))
        self._shown(name)
        return self._filter(name, nodes)

    def _filter(self, pod: str, nodes: set[str]) -> Any:
        fitting = self.cluster.fitting(pod, self.asked[pod], sorted(nodes))
        assert set(fitting) <= nodes
        return (pod, fitting, self.started) if fitting else multiple()

    @rule(what=consumes(placed), nodes=st.sets(st.sampled_from(NODES), min_size=1), target=placed)
    def filtered_again(self, what: tuple[str, list[str], int], nodes: set[str]) -> Any:
        return self._filter(what[0], nodes)

    @rule(what=consumes(placed), data=st.data(), target=bound)
    def bind(self, what: tuple[str, list[str], int], data: st.DataObject) -> Any:
        """What was answered before a restart is bound before the extender is ready again, or asked anew."""
        pod, fitting, started = what
        if started != self.started:
            return multiple()
        self._bound(pod, data.draw(st.sampled_from(fitting)))
        return pod

    def _bound(self, pod: str, node: str) -> None:
        self.where[pod] = node
        self._shown(pod, node=node)
        self._claim_blocks(node)

    @precondition(lambda self: self.started < RESTARTS)
    @rule(what=consumes(placed), target=bound, data=st.data())
    def restart_while_binding(self, what: tuple[str, list[str], int], data: st.DataObject) -> Any:
        """The extender is killed, a Pod in flight lands meanwhile, and LIST shows all that is true."""
        pod, fitting, started = what
        if started != self.started:
            return multiple()
        self._bound(pod, data.draw(st.sampled_from(fitting)))
        self.restart()
        return pod

    @precondition(lambda self: self.started < RESTARTS)
    @rule()
    def restart(self) -> None:
        self.started += 1
        self._start()
        for (node, config), blocks in self.held.items():
            for block in blocks:
                self.cluster.block(config, str(block), node)
        self.unseen = {"pods": [], "blocks": []}
        self.listed_again()

    @rule()
    def listed_again(self) -> None:
        """The watch of Pods was too old: what happened meanwhile is seen at once, and not in order."""
        self.unseen["pods"].clear()
        self.watch("blocks", len(self.unseen["blocks"]))
        for name in [name for name in self.cluster.pods if name not in self.there]:
            self.cluster.remove_pod(name)
        for name, more in self.there.items():
            self.cluster.pod(name, self.asked[name], **more)

    @rule(pod=consumes(bound), finished=st.booleans())
    def end(self, pod: str, finished: bool) -> None:
        node = self.where.pop(pod)
        if finished:
            self._shown(pod, node=node, phase="Succeeded")
        else:
            self._gone(pod)

    @rule(what=consumes(placed))
    def give_up(self, what: tuple[str, list[str], int]) -> None:
        self._gone(what[0])

    def _shown(self, pod: str, **more: str) -> None:
        self.there[pod] = more
        self.unseen["pods"].append((pod, more))

    def _gone(self, pod: str) -> None:
        self.there.pop(pod)
        self.unseen["pods"].append((pod, None))

    @rule(kind=st.sampled_from(["pods", "blocks"]), count=st.integers(1, 5))
    def watch(self, kind: str, count: int) -> None:
        """Some of what happened reaches the extender, in order within a kind.

        That the watch of blocks is behind by the whole life of a Pod is not looked at: then the node is the judge.
        """
        for what, more in self.unseen[kind][:count]:
            if kind == "pods" and (more is None or "phase" in more):
                self.watch("blocks", len(self.unseen["blocks"]))
            if kind == "blocks":
                config, block, node = what
                self.cluster.block(config, block, node) if node else self.cluster.free_block(config, block)
            elif more is not None:
                self.cluster.pod(what, self.asked[what], **more)
            elif what in self.cluster.pods:
                self.cluster.remove_pod(what)
        del self.unseen[kind][:count]

    @rule()
    def give_back_blocks(self) -> None:
        for (node, config), blocks in self.held.items():
            while blocks and self._used(config, node) <= sum(b.num_addresses for b in blocks[:-1]):
                block = blocks.pop()
                self.free[config].append(block)
                self.unseen["blocks"].append(((config, str(block), ""), None))

    @invariant()
    def nothing_is_given_twice(self) -> None:
        for node in NODES:
            for config in ("single", "blocks", "bare"):
                assert self._attached(config, node) <= self.capacity
            for config in ("single", "blocks"):
                blocks = self.held.get((node, config), [])
                assert self._used(config, node) <= sum(b.num_addresses for b in blocks)

    @invariant()
    def the_sums_are_those_of_the_parts(self) -> None:
        for stock in self.cluster.state.snapshot.stocks.values():
            for family in stock.families.values():
                nodes = {*family.held, *family.used}
                assert family.reserved == sum(family.withheld(node) for node in nodes)
                assert all(count > 0 for count in [*family.held.values(), *family.used.values()])

    def teardown(self) -> None:
        """When the watch has caught up, what is on the books is what is true."""
        if not hasattr(self, "unseen"):
            return
        for kind, unseen in self.unseen.items():
            self.watch(kind, len(unseen))
        assert not any(pod in self.cluster.extender.ledger for pod in self.where)
        for config in ("single", "blocks"):
            stock = self.cluster.state.snapshot.stocks[config]
            assert stock.families[4].used == Counter({n: u for n in NODES if (u := self._used(config, n))})
            assert stock.attachments == Counter({n: u for n in NODES if (u := self._attached(config, n))})

    def _attached(self, config: str, node: str) -> int:
        on = [self.asked[pod] for pod, place in self.where.items() if place == node]
        return sum(CONFIG[name] == config for networks in on for name in networks)

    def _used(self, config: str, node: str) -> int:
        return self._attached(config, node)

    def _claim_blocks(self, node: str) -> None:
        """What the KNI server does; that it finds none is what must never happen."""
        for config, free in self.free.items():
            held = self.held.setdefault((node, config), [])
            while self._used(config, node) > sum(b.num_addresses for b in held):
                assert free, f"no block of {config} is left for {node}"
                held.append(free.pop(0))
                self.unseen["blocks"].append(((config, str(held[-1]), node), None))


class Narrow(World):
    """The same with two blocks of four addresses for three nodes and nothing else."""

    capacity = 100
    lists = (["blocks"],)


World.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
Narrow.TestCase.settings = settings(max_examples=200, stateful_step_count=20, deadline=None)
TestWorld = World.TestCase
TestNarrow = Narrow.TestCase


def needs(config: str) -> Demand:
    return Demand((config,), (Need(config, config, 1, (), (), ()),))


def chosen(*nodes: str) -> Chosen:
    index = Index()
    for node in "abc":
        index.add(node)
    return Chosen(index, index.select(nodes).flags)


def test_a_ledger_keeps_claims_by_config_and_forgets_all_of_them() -> None:
    ledger = Ledger(ttl=10)
    ledger.record("one", chosen("a", "b"), needs("blue"), 100)
    ledger.record("two", chosen("a"), needs("green"), 101)
    ledger.record("three", chosen(), needs("green"), 101)
    ledger.record("four", chosen("a"), Demand(), 101)
    assert len(ledger) == 2
    assert [list(nodes) for nodes, _ in ledger.on("blue").by_uid.values()] == [["a", "b"]]
    assert (ledger.on("blue").attachments, ledger.on("blue").packed_attachments) == (1, 1 + (1 << 32))
    assert ledger.next_expiry == 110
    ledger.record("one", chosen("b"), needs("green"), 105)
    assert (ledger.on("blue").attachments, ledger.on("green").packed_attachments) == (0, 1 + (1 << 32))
    assert ledger.next_expiry == 111
    assert ledger.expire(111) == 1
    assert ledger.drop("one")
    assert not ledger.drop("one")
    assert len(ledger) == 0
    assert ledger.next_expiry is None
    assert not ledger.on("green").by_uid


@pytest.mark.parametrize(("now", "left"), [(109.9, 1), (110.0, 0), (500.0, 0)])
def test_a_claim_lives_for_its_ttl(now: float, left: int) -> None:
    ledger = Ledger(ttl=10)
    ledger.record("one", chosen("a"), needs("blue"), 100)
    ledger.expire(now)
    assert len(ledger) == left
