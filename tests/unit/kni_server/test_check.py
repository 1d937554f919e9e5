"""CHECK on a fake kernel: what is found is repaired, counted and said; nothing storms."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from podnet_api import core
from podnet_kni_server import check, events
from podnet_kni_server.datapath.model import Finding
from podnet_kni_server.records import Record
from podnet_tests.kni_world import World, network_config, sandbox
from prometheus_client import REGISTRY


class Node:
    """One node with one attached Pod, and what its checker said."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.words: list[str] = []
        self.changed: list[Record] = []
        self.node_repairs = 0
        self.said = events.Events(self)
        self.checker = check.Checker(
            world.core,
            world.datapath,
            self.said,
            interval=60,
            changed=self.changed.append,
            repair_node=self._repair_node,
        )

    def _repair_node(self) -> None:
        self.node_repairs += 1

    async def event(self, about: core.Pod | core.Node, type_: str, reason: str, message: str, component: str) -> None:
        self.words.append(f"{reason}: {message}")

    async def look(self, at: float) -> list[str]:
        """Do what is due at a time, and answer what was said meanwhile."""
        self.checker._plan(self.checker._ids(), at, check.FIRST)
        await self.checker.work(at + check.FIRST)
        while self.said._waiting:
            await self.said._write(self.said._waiting.popleft())
        words, self.words = self.words, []
        return words


@pytest.fixture
async def node(tmp_path: Path) -> Node:
    world = World(tmp_path / "sandboxes")
    world.add(network_config("blue"))
    await world.core.attach(sandbox("blue"))
    return Node(world)


def count(outcome: str) -> float:
    return REGISTRY.get_sample_value("podnet_kni_check_findings_total", {"outcome": outcome}) or 0.0


async def test_what_is_as_made_is_not_spoken_of(node: Node) -> None:
    assert await node.look(0) == []
    assert node.changed == []


async def test_what_differs_is_repaired_counted_and_said_each_time(node: Node) -> None:
    before = count("repaired")
    for at in (0.0, 100.0):
        node.world.datapath.damage["net0"] = [Finding("net0 was down"), Finding("net0 had lost its route")]
        assert await node.look(at) == ["NetworkRepaired: repaired: net0 was down; net0 had lost its route"]
    assert count("repaired") == before + 4


async def test_what_cannot_be_repaired_is_said_once_until_it_is_over(node: Node) -> None:
    broken = [Finding("net0 is gone", False, "the uplink is gone")]
    said = []
    for at in (0.0, 100.0, 200.0, 300.0):
        node.world.datapath.damage["net0"] = [] if at == 200 else list(broken)
        said.append(await node.look(at))
    words = ["NetworkDamaged: cannot repair: net0 is gone: the uplink is gone"]
    assert said == [words, [], [], words]


async def test_addresses_from_outside_are_noted_and_told_once(node: Node) -> None:
    own = ipaddress.ip_interface("10.1.0.2/24")
    came = ipaddress.ip_interface("2001:db8::5/64")
    node.world.datapath.outside = {"net0": (own, came)}
    await node.look(0)
    await node.look(100)
    assert [record.interfaces[0].observed for record in node.changed] == [["2001:db8::5/64"]]
    node.world.restart()
    assert node.world.core.records()[0].interfaces[0].observed == ["2001:db8::5/64"], "known after a restart"
    node = Node(node.world)
    node.world.datapath.outside = {}
    await node.look(0)
    assert node.changed[0].interfaces[0].observed == []


async def test_many_addresses_from_outside_are_bounded(node: Node) -> None:
    node.world.datapath.outside = {"net0": tuple(ipaddress.ip_interface(f"2001:db8::{i:x}/64") for i in range(100))}
    await node.look(0)
    assert len(node.changed[0].interfaces[0].observed) == check.OUTSIDE_LIMIT


async def test_the_node_is_made_right_when_it_is_not(node: Node) -> None:
    await node.look(0)
    assert node.node_repairs == 0
    node.world.datapath.damage[""] = [Finding("px-blue has lost its forwarding entry to 10.0.0.2")]
    assert await node.look(100) == ["NetworkRepaired: px-blue has lost its forwarding entry to 10.0.0.2"]
    assert node.node_repairs == 1


async def test_a_sandbox_whose_end_nobody_told_is_detached(node: Node) -> None:
    """containerd, once restarted, sends no Stop for the sandboxes that it had before."""
    node.world.datapath.drop_netns("/run/netns/s1")
    node.world.datapath.fail_detach = "told to fail"
    assert await node.look(0) == []
    assert node.world.core.record("s1") is not None
    node.world.datapath.fail_detach = ""
    assert await node.look(100) == []
    assert node.world.nothing_left()


async def test_looks_are_spread_and_new_ones_come_soon(node: Node) -> None:
    for i in range(2, 202):
        await node.world.core.attach(sandbox("blue", id=f"s{i}", name=f"p{i}"))
    node.checker._plan(node.checker._ids(), 0, 60)
    times = sorted(node.checker._due.values())
    assert len(times) == 202
    assert times[0] >= 30
    assert max(sum(1 for t in times if at <= t < at + 1) for at in range(30, 60)) < 40
    await node.world.core.attach(sandbox("blue", id="new", name="new"))
    node.checker._plan(node.checker._ids(), 10, check.FIRST)
    assert 10 < node.checker._due["new"] <= 10 + check.FIRST
    await node.world.core.detach("new")
    node.checker._plan(node.checker._ids(), 11, check.FIRST)
    assert "new" not in node.checker._due
