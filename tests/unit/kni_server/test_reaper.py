"""Stopped sandboxes are written down at once and go together; what goes wrong is told, to be tried one by one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from podnet_kni_server import faultpoints
from podnet_kni_server.reaper import Reaper
from podnet_kni_server.records import State
from podnet_tests.kni_world import World, network_config, sandbox

IDS = [f"s{number}" for number in range(5)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.add(network_config("blue"))
    return made


@contextlib.asynccontextmanager
async def running(reaper: Reaper) -> AsyncIterator[None]:
    """It works meanwhile."""
    task = asyncio.create_task(reaper.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _attach(world: World) -> None:
    for id in IDS:
        assert await world.core.attach(sandbox("blue", id=id, name=f"of-{id}"))
    world.datapath.calls.clear()


async def test_what_stops_is_written_down_and_goes_together(world: World) -> None:
    lost: list[str] = []
    reaper = Reaper(world.core, lost.append)
    await _attach(world)
    for id in IDS:
        await reaper.take(id)
    assert [record.state for record in world.core.records()] == [State.DETACHING] * len(IDS)
    assert world.leases.used("blue") == len(IDS), "until the links are gone the addresses are in use"
    async with running(reaper):
        await reaper.gone("ns/of-s3")
    ((what, _),) = world.datapath.calls
    assert what == "detach"
    assert world.nothing_left()
    assert not lost


async def test_one_of_another_pod_is_not_waited_for(world: World) -> None:
    reaper = Reaper(world.core, lambda _: None)
    await _attach(world)
    await reaper.take("s1")
    async with asyncio.timeout(1):
        await reaper.gone("ns/of-s2")
    assert world.core.record("s1") is not None


async def test_what_has_to_be_taken_out_of_its_namespace_goes_at_once(world: World) -> None:
    world.add(network_config("upon", macvlan={}, uplink={"interface": "eth9"}))
    assert await world.core.attach(sandbox("blue", "upon"))
    await Reaper(world.core, lambda _: None).take("s1")
    assert world.nothing_left()


async def test_a_full_disk_does_not_hold_it_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await _attach(world)
    monkeypatch.setattr("os.replace", _refuse)
    for id in IDS:
        await Reaper(world.core, lambda _: None).take(id)
    assert world.nothing_left()


def _refuse(*_: object) -> None:
    raise OSError(28, "No space left on device")


async def test_what_is_not_known_is_gone(world: World) -> None:
    await Reaper(world.core, lambda _: None).take("s1")
    assert world.nothing_left()


async def test_what_fails_is_told_and_not_forgotten(world: World) -> None:
    lost: list[str] = []
    reaper = Reaper(world.core, lost.append)
    await _attach(world)
    world.datapath.fail_detach = "told to fail"
    async with running(reaper):
        for id in IDS:
            await reaper.take(id)
        async with asyncio.timeout(1):
            await reaper.gone("ns/of-s0")
        assert sorted(lost) == IDS
        world.datapath.fail_detach = ""
        for id in lost:
            await world.core.detach(id)
    assert world.nothing_left()


async def test_removing_waits_for_what_goes_on(world: World) -> None:
    reaper = Reaper(world.core, lambda _: None)
    await _attach(world)
    world.datapath.delay = 0.05
    async with running(reaper):
        await reaper.take("s1")
        await asyncio.sleep(0.01)
        await world.core.detach("s1")
    assert world.core.record("s1") is None
    assert [what for what, _ in world.datapath.calls] == ["detach"]


async def test_a_sandbox_that_comes_back_is_attached_anew(world: World) -> None:
    """The runtime asks again for one whose Stop it gave up."""
    reaper = Reaper(world.core, lambda _: None)
    await _attach(world)
    await reaper.take("s1")
    attached = await world.core.attach(sandbox("blue", id="s1", name="of-s1"))
    async with running(reaper):
        await reaper.take("s2")
        await reaper.gone("ns/of-s2")
    assert attached is not None
    assert world.core.record("s1") == attached


class _Killed(BaseException):
    """As by SIGKILL: nothing that follows is carried out."""


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("point", sorted({*faultpoints.DETACH} - {"kernel.unlinked"}))
async def test_what_a_kill_leaves_is_undone_at_the_next_start(
    world: World, monkeypatch: pytest.MonkeyPatch, point: str, times: int
) -> None:
    """At the first of a batch, and in its middle."""
    passed: list[str] = []

    def reached(name: str) -> None:
        passed.append(name)
        if passed.count(point) == times:
            raise _Killed

    await _attach(world)
    reaper = Reaper(world.core, lambda _: None)
    with monkeypatch.context() as patch, pytest.raises(_Killed):
        patch.setattr(faultpoints, "reached", reached)
        for id in IDS:
            await reaper.take(id)
        await reaper.run()
    world.restart()
    await world.core.reconcile([])
    assert world.nothing_left()
