"""Running Pods: from the edit of a list to the attach, and what is said of it; failures are tried again."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from podnet_api import core, names
from podnet_api.errors import PodnetError
from podnet_api.meta import ObjectMeta
from podnet_kni_server import changes, events, plug, running
from podnet_kni_server.attach import Hooks
from podnet_kni_server.records import Record, Sandbox
from podnet_tests.kni_world import World, network_config, sandbox


class Said(events.Events):
    """Remembers instead of writing."""

    def __init__(self) -> None:
        super().__init__(Silent())
        self.words: list[str] = []

    def say(self, event: events.Event, *, once: bool = False) -> None:
        if not (once and f"{event.reason}: {event.message}" in self.words[-1:]):
            self.words.append(f"{event.reason}: {event.message}")


class Silent:
    """An events.Writer for nobody."""

    async def event(self, about: core.Pod | core.Node, type_: str, reason: str, message: str, component: str) -> None:
        raise AssertionError("nothing is written here")


@dataclasses.dataclass
class Node:
    """A node with one Pod: what its list says, and what was told of it."""

    world: World
    runs: running.Running
    said: Said
    pods: dict[str, core.Pod] = dataclasses.field(default_factory=dict)
    told: list[tuple[str, list[str]]] = dataclasses.field(default_factory=list)

    def attached(self, record: Record) -> None:
        self.told.append(("attached", [i.link.name for i in record.interfaces]))

    def partly(self, record: Record, error: PodnetError) -> None:
        self.told.append((str(error), [i.link.name for i in record.interfaces]))

    def edit(self, *entries: Any, uid: str = "uid-p", phase: str = "Running") -> None:
        """The Pod's list becomes this, and the watch tells of it."""
        meta = ObjectMeta(name="p", namespace="ns", uid=uid, annotations=dict(sandbox(*entries).annotations))
        old = self.pods.get("p")
        self.pods["p"] = core.Pod(metadata=meta, status=core.PodStatus(phase=phase))
        self.runs.pod_changed(old, self.pods["p"])

    async def until(self, *names_: str) -> None:
        """Wait until the Pod has exactly these interfaces."""
        async with asyncio.timeout(5):
            while self.has() != list(names_):
                await asyncio.sleep(0.01)

    async def says(self, *words: str) -> None:
        """Wait until exactly this was said."""
        async with asyncio.timeout(5):
            while self.said.words != list(words):
                await asyncio.sleep(0.01)

    def has(self) -> list[str]:
        record = self.world.core.record("s1")
        return [i.link.name for i in record.interfaces] if record else []


@pytest.fixture
async def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Node]:
    monkeypatch.setattr(running, "_PAUSES", (0.05, 0.2))
    world = World(tmp_path / "sandboxes")
    world.add(network_config("blue"))
    world.add(network_config("green"))
    said = Said()
    pods: dict[str, core.Pod] = {}
    made: list[Node] = []

    class Teller:
        def attached(self, record: Record) -> None:
            made[0].attached(record)

        def partly(self, record: Record, error: PodnetError) -> None:
            made[0].partly(record, error)

    plugger = plug.Plugger(world.core, world, world.datapath)
    runs = running.Running(world.core, plugger, lambda namespace, name: pods.get(name), Teller(), said)
    made.append(Node(world, runs, said, pods))
    runs.sandboxes = lambda: {"s1": sandbox("blue")}
    task = asyncio.create_task(runs.run())
    yield made[0]
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_an_edit_is_carried_out_and_said(node: Node) -> None:
    await node.world.core.attach(sandbox("blue"))
    node.edit("blue")
    await asyncio.sleep(0.05)
    node.told.clear()
    node.edit("blue", "green")
    await node.until("net0", "net1")
    await node.says("NetworksChanged: attached net1 to green (10.1.0.2/24)")
    async with asyncio.timeout(5):
        while node.told[-1:] != [("attached", ["net0", "net1"])]:
            await asyncio.sleep(0.01)
    node.said.words.clear()
    node.edit("blue")
    await node.until("net0")
    await node.says("NetworksChanged: detached net1 from green")


async def test_what_fails_is_said_once_and_tried_again(node: Node) -> None:
    await node.world.core.attach(sandbox("blue"))
    node.edit("blue")
    await asyncio.sleep(0.05)
    node.told.clear()
    node.edit("blue", "later")
    async with asyncio.timeout(5):
        while len(node.told) < 3:
            await asyncio.sleep(0.01)
    failure = "cannot attach Pod ns/p: PodNetwork later does not exist"
    assert node.told[-1] == (failure, ["net0"])
    assert node.said.words == [f"NetworkChangeFailed: {failure}"]
    node.world.add(network_config("later", ipam=None))
    node.runs.objects_changed()
    await node.until("net0", "net1")
    async with asyncio.timeout(5):
        while node.told[-1][0] != "attached":
            await asyncio.sleep(0.01)


async def test_the_list_of_now_is_that_of_the_api_and_not_of_the_runtime(node: Node) -> None:
    """After a restart the runtime tells the list of the sandbox's birth: what was edited since must stay."""
    node.edit("blue", "green")
    await node.world.core.attach(node.runs.now(sandbox("blue")))
    node.world.restart()
    node.world.core._hooks = Hooks(alive=node.runs.look)
    node.runs._core = node.world.core
    node.runs._plugger = plug.Plugger(node.world.core, node.world, node.world.datapath)
    await node.world.core.reconcile([node.runs.now(sandbox("blue"))])
    await asyncio.sleep(0.1)
    assert node.has() == ["net0", "net1"]
    assert not [call for call, _ in node.world.datapath.calls if call == "detach"]


async def test_an_edit_while_the_server_was_away_is_found_at_its_start(node: Node) -> None:
    await node.world.core.attach(sandbox("blue"))
    node.pods["p"] = core.Pod(
        metadata=ObjectMeta(name="p", namespace="ns", uid="uid-p", annotations=dict(sandbox("green").annotations))
    )
    node.runs.look(sandbox("blue"))
    async with asyncio.timeout(5):
        while [i.network for i in node.world.core.records()[0].interfaces] != ["green"]:
            await asyncio.sleep(0.01)


async def test_a_pod_that_ran_without_networks_gets_its_first(node: Node) -> None:
    node.runs.sandboxes = lambda: {"s1": sandbox()}
    node.edit()
    node.edit("blue")
    await node.until("net0")
    await node.says("NetworksChanged: attached net0 to blue")


async def test_a_pod_that_is_starting_is_the_hooks(node: Node) -> None:
    node.edit(phase="Pending")
    node.edit("blue", phase="Pending")
    await asyncio.sleep(0.1)
    assert node.has() == []


@pytest.mark.parametrize("uid", ["another", ""])
async def test_a_pod_of_the_same_name_is_another(node: Node, uid: str) -> None:
    """Also a static Pod, whose mirror has a uid of its own."""
    node.edit("green", uid=uid)
    assert node.runs.now(sandbox("blue")) == sandbox("blue")


async def test_a_sandbox_that_could_not_be_detached_is_tried_again(node: Node) -> None:
    await node.world.core.attach(sandbox("blue"))
    node.world.datapath.fail_detach = "told to fail"
    node.runs.sandboxes = dict
    node.runs.lost("s1")
    await asyncio.sleep(0.1)
    assert node.has() == ["net0"]
    node.world.datapath.fail_detach = ""
    await node.until()
    assert node.world.nothing_left()


async def test_a_fault_in_one_change_does_not_end_the_server(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    await node.world.core.attach(sandbox("blue"))

    def odd(*_: object) -> None:
        raise KeyError("odd")

    monkeypatch.setattr(changes, "between", odd)
    node.edit("blue")
    node.edit("green")
    async with asyncio.timeout(5):
        while not node.said.words:
            await asyncio.sleep(0.01)
    assert node.said.words[0] == "NetworkChangeFailed: cannot change the networks of Pod ns/p: KeyError: 'odd'"
    monkeypatch.undo()
    async with asyncio.timeout(5):
        while [i.network for i in node.world.core.records()[0].interfaces] != ["green"]:
            await asyncio.sleep(0.01)


async def test_a_pod_on_the_hosts_network_is_left_alone(node: Node) -> None:
    node.runs.sandboxes = lambda: {"s1": dataclasses.replace(sandbox(), host_network=True)}
    node.edit()
    node.edit("blue")
    await asyncio.sleep(0.1)
    assert node.has() == []


async def test_events_are_said_once_and_survive_an_api_that_is_away() -> None:
    written: list[str] = []
    faults = [OSError]

    class Writer:
        async def event(
            self, about: core.Pod | core.Node, type_: str, reason: str, message: str, component: str
        ) -> None:
            written.append(f"{about.resource.kind} {about.metadata.name} {type_} {reason} {message}")

    said = events.Events(Writer(), "n1")
    for _ in range(3):
        said.say(events.Event("ns", "p", "u", events.WARNING, "Bad", "m"), once=True)
    said.say(events.Event("ns", "p", "u", events.NORMAL, "Good", "m"))
    said.forget("u", "Bad")
    said.say(events.Event("ns", "p", "u", events.WARNING, "Bad", "m"), once=True)
    said.say_of_node("Odd", "x")
    task = asyncio.create_task(said.run())
    async with asyncio.timeout(5):
        while len(written) < 4:
            await asyncio.sleep(0.01)
    task.cancel()
    assert written == ["Pod p Warning Bad m", "Pod p Normal Good m", "Pod p Warning Bad m", "Node n1 Warning Odd x"]
    assert faults


def test_an_annotation_that_is_not_ours_changes_nothing() -> None:
    assert running._list_of(core.Pod(metadata=ObjectMeta(name="p", annotations={"a": "b"}))) is None
    assert names.NETWORKS_ANNOTATION


def test_the_sandbox_keeps_all_but_its_annotations() -> None:
    pod = core.Pod(metadata=ObjectMeta(name="p", namespace="ns", uid="u", annotations={"a": "b"}))
    runs = running.Running.__new__(running.Running)
    runs._pod_of = lambda namespace, name: pod
    told = Sandbox("s", "u", "ns", "p", "/n", {"c": "d"}, ips=("10.0.0.1",))
    assert runs.now(told) == dataclasses.replace(told, annotations={"a": "b"})


async def test_others_get_their_turn_between_two_sandboxes(node: Node) -> None:
    """After a start all are looked at, and none of them has anything to wait for."""
    many = {f"s{number}": sandbox("blue", id=f"s{number}", name=f"p{number}") for number in range(2, 22)}
    for one in many.values():
        await node.world.core.attach(one)
    node.runs.sandboxes = lambda: many
    seen: list[int] = []
    for one in many.values():
        node.runs.look(one)
    async with asyncio.timeout(5):
        while len(node.told) < len(many):
            seen.append(len(node.told))
            await asyncio.sleep(0)
    assert len(set(seen)) > len(many) / 2
