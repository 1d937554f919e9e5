"""The runtime hook: what each event does, and what a container is shown of its networks."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Collection
from pathlib import Path

import pytest
from podnet_api import names
from podnet_kni_server import hook, publish, status
from podnet_kni_server.attach import Hooks
from podnet_kni_server.datapath.fake import FakeDatapath
from podnet_kni_server.errors import CheckpointError
from podnet_kni_server.nri import errors, types
from podnet_kni_server.records import Record, Sandbox
from podnet_tests.kni_world import World, network_config

LIST = json.dumps([{"podNetworkName": "default"}, {"podNetworkName": "blue"}])
ANNOTATED = {names.NETWORKS_ANNOTATION: LIST}
CONTAINER = types.Container("c1", "s1", "app", env={"PODNET_NET1_MAC": "mine"})


class Files:
    """hook.Files without a disk."""

    def __init__(self) -> None:
        self.kept: Collection[str] | None = None
        self.full = False

    def directory(self, sandbox: str) -> Path:
        return Path("/run/kni/status") / sandbox

    def show(self, record: Record) -> None:
        if self.full:
            raise CheckpointError("cannot write: No space left on device")

    def tidy(self, known: Collection[str]) -> None:
        self.kept = known


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path / "sandboxes")
    made.add(network_config("blue"))
    made.add(network_config("green"))
    return made


def pod(netns: str = "/proc/self/ns/net", **annotations: str) -> types.PodSandbox:
    network = types.Namespace("network", netns)
    return types.PodSandbox("s1", "p", "ns", "uid-p", annotations=annotations, namespaces=(network,))


async def test_a_container_sees_its_networks(world: World) -> None:
    made = hook.Hook(world.core, Files())
    await made.run_pod_sandbox(pod(**ANNOTATED))
    adjustment = await made.create_container(pod(**ANNOTATED), CONTAINER)
    assert adjustment.mounts == (types.Mount("/etc/podnet", "bind", "/run/kni/status/s1", ("rbind", "ro")),)
    assert adjustment.env == {
        "PODNET_INTERFACES": "net1",
        "PODNET_NET1_NETWORK": "blue",
        "PODNET_NET1_IPV4": "10.1.0.2",
        "PODNET_NET1_GATEWAY4": "10.1.0.1",
        "PODNET_NET1_MTU": "1450",
    }, "what the user set stays"


async def test_a_container_that_could_not_see_its_networks_does_not_start(world: World) -> None:
    files = Files()
    made = hook.Hook(world.core, files)
    files.full = True
    with pytest.raises(errors.HookRefused, match="No space left"):
        await made.create_container(pod(**ANNOTATED), CONTAINER)
    files.full = False
    assert (await made.create_container(pod(**ANNOTATED), CONTAINER)).mounts


async def test_a_mount_of_the_users_own_stays(world: World) -> None:
    made = hook.Hook(world.core, Files())
    own = dataclasses.replace(CONTAINER, mounts=(types.Mount("/etc/podnet/", "bind", "/elsewhere"),))
    assert (await made.create_container(pod(**ANNOTATED), own)).mounts == ()


async def test_a_pod_without_networks_is_left_alone(world: World) -> None:
    made = hook.Hook(world.core, Files())
    await made.run_pod_sandbox(pod())
    assert await made.create_container(pod(), CONTAINER) == types.Adjustment()


async def test_the_gate_denies_what_cannot_be_attached(world: World) -> None:
    world.datapath.fail_at = 1
    made = hook.Hook(world.core, Files())
    with pytest.raises(errors.HookRefused, match="told to fail"):
        await made.create_container(pod(**ANNOTATED), CONTAINER)
    assert world.nothing_left()


async def test_the_list_of_now_counts_and_not_the_one_at_the_sandboxes_birth(world: World) -> None:
    """The trap: Synchronize and each event tell the annotations as they were when the sandbox was made."""
    edited = LIST.replace("blue", "green")

    def now(sandbox: Sandbox) -> Sandbox:
        return dataclasses.replace(sandbox, annotations={names.NETWORKS_ANNOTATION: edited})

    files = Files()
    made = hook.Hook(world.core, files, now)
    await made.synchronize([pod(**ANNOTATED)], [])
    record = world.core.record("s1")
    assert record is not None
    assert [i.network for i in record.interfaces] == ["green"]
    assert files.kept == {"s1"}
    assert made.synchronized.is_set()


async def test_sandboxes_are_remembered_while_they_live(world: World) -> None:
    made = hook.Hook(world.core, Files())
    await made.run_pod_sandbox(pod())
    assert list(made.sandboxes) == ["s1"]
    await made.stop_pod_sandbox(pod())
    assert made.sandboxes == {}


async def test_a_sandbox_that_was_refused_is_not_remembered(world: World) -> None:
    world.datapath.fail_at = 1
    made = hook.Hook(world.core, Files())
    with pytest.raises(errors.HookRefused):
        await made.run_pod_sandbox(pod(**ANNOTATED))
    assert made.sandboxes == {}


async def test_a_sandbox_that_cannot_be_detached_is_told(world: World) -> None:
    lost: list[str] = []
    made = hook.Hook(world.core, Files(), lost=lost.append)
    await made.run_pod_sandbox(pod(**ANNOTATED))
    world.datapath.fail_detach = "told to fail"
    with pytest.raises(errors.HookRefused):
        await made.stop_pod_sandbox(pod(**ANNOTATED))
    world.datapath.fail_detach, world.datapath.delay = "", 1.0
    async with world.core.turn("s1"):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await made.remove_pod_sandbox(pod(**ANNOTATED))
    assert lost == ["s1", "s1"]


async def test_a_sandbox_without_a_namespace_is_gone(world: World) -> None:
    made = hook.Hook(world.core, Files())
    await made.synchronize([pod("/proc/self/ns/absent", **ANNOTATED)], [])
    assert made.sandboxes == {}
    assert world.nothing_left()


async def test_a_sandbox_that_has_ended_is_told_without_a_namespace(world: World) -> None:
    """As one on the host's network is, whose Pod has no list."""
    made = hook.Hook(world.core, Files())
    ended = types.PodSandbox("s1", "p", "ns", "uid-p", annotations=ANNOTATED)
    on_host = types.PodSandbox("s2", "q", "ns", "uid-q")
    await made.synchronize([ended, on_host], [])
    assert list(made.sandboxes) == ["s2"]


def refuse(*_: object) -> None:
    raise OSError(28, "No space left on device")


async def test_a_file_that_changes_is_seen_in_the_same_directory(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = tmp_path / "status"
    publisher = publish.Publisher(None, FakeDatapath(), shown, str, lambda *_: None)  # type: ignore[arg-type]
    world.core._hooks = Hooks(attached=publisher.attached, forgotten=publisher.forgotten)
    made = hook.Hook(world.core, publisher)
    await made.run_pod_sandbox(pod(**ANNOTATED))
    place = publisher.directory("s1")
    before = place.stat().st_ino
    record = world.core.record("s1")
    assert record is not None
    publisher.attached(record)
    assert [path.name for path in place.iterdir()] == ["networks.json"]
    assert place.stat().st_ino == before
    assert json.loads((place / "networks.json").read_text()) == status.networks(record)
    monkeypatch.setattr("os.replace", refuse)
    publisher.attached(record)  # a full disk undoes no attach
    with pytest.raises(CheckpointError, match="cannot write the networks of Pod ns/p"):
        publisher.show(record)
    monkeypatch.undo()
    (shown / "stray").mkdir()
    publisher.tidy({"s1"})
    await made.stop_pod_sandbox(pod(**ANNOTATED))
    assert list(shown.iterdir()) == []


def test_names_that_no_variable_can_have(record_of: Record) -> None:
    assert status.environment(record_of)["PODNET_ETH_1_X_NETWORK"] == "blue"


@pytest.fixture
async def record_of(world: World) -> Record:
    listed = json.dumps([{"podNetworkName": "blue", "interfaceName": "eth-1.x"}])
    made = await world.core.attach(Sandbox("s1", "u", "ns", "p", "/n", {names.NETWORKS_ANNOTATION: listed}))
    assert made is not None
    return made
