"""The core: attach and detach, and a crash at every point, on a fake kernel."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from podnet_api import reasons
from podnet_api.errors import PodnetError
from podnet_kni_server.attach import Hooks
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.model import NodeLinkState
from podnet_kni_server.errors import AttachError, CheckpointError, NoAddressError
from podnet_kni_server.records import State
from podnet_tests.kni_world import World, network_config, pod_network, sandbox


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path / "sandboxes")
    made.add(network_config("blue"))
    made.add(network_config("green", ipam={"ranges": [{"cidr": "10.2.0.0/24"}, {"cidr": "fd02::/64"}]}))
    return made


async def test_attach_then_detach_leaves_nothing(world: World) -> None:
    record = await world.core.attach(sandbox("default", "blue", "green"))
    assert record is not None
    assert record.state is State.ATTACHED
    assert [i.link.addresses for i in record.interfaces] == [["10.1.0.2/24"], ["10.2.0.1/24", "fd02::1/64"]]
    assert set(world.datapath.namespaces["/run/netns/s1"]) == {"net1", "net2"}
    await world.core.detach("s1")
    assert world.nothing_left()


async def test_a_pod_without_networks_costs_nothing(world: World) -> None:
    assert await world.core.attach(sandbox()) is None
    assert await world.core.attach(sandbox("default")) is None
    assert world.nothing_left()
    assert world.api.writes == 0


async def test_attach_again_verifies_and_answers_the_same(world: World) -> None:
    first = await world.core.attach(sandbox("blue"))
    again = await world.core.attach(sandbox("blue"))
    assert first == again
    assert world.leases.used("blue") == 1


async def test_the_second_sandbox_of_a_pod_is_another(world: World) -> None:
    await world.core.attach(sandbox("blue", id="s1"))
    record = await world.core.attach(sandbox("blue", id="s2"))
    assert record is not None
    assert record.interfaces[0].link.addresses == ["10.1.0.3/24"]
    await world.core.detach("s1")
    await world.core.detach("s2")
    assert world.nothing_left()


async def test_two_handles_of_one_config_give_the_wire_twice(world: World) -> None:
    world.networks["blue2"] = pod_network("blue2", "blue")
    record = await world.core.attach(sandbox("blue", "blue2"))
    assert record is not None
    assert len({i.link.addresses[0] for i in record.interfaces}) == 2
    assert world.core.attached("blue") == 2


async def test_a_failing_kernel_leaves_nothing_and_names_the_cause(world: World) -> None:
    world.datapath.fail_at = 2
    world.datapath.fail_times = 1
    with pytest.raises(DatapathError, match="told to fail"):
        await world.core.attach(sandbox("blue", "green"))
    assert world.nothing_left()
    assert await world.core.attach(sandbox("blue", "green")) is not None


async def test_a_full_disk_leaves_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(CheckpointError, match="No space left"):
        await world.core.attach(sandbox("blue"))
    monkeypatch.undo()
    assert world.nothing_left()


async def test_a_network_that_is_not_ready_here_is_refused(world: World) -> None:
    world.states["blue"] = NodeLinkState(False, reasons.UPLINK_DOWN, "eth1 is down")
    with pytest.raises(AttachError, match="UplinkDown: eth1 is down"):
        await world.core.attach(sandbox("blue"))
    assert world.nothing_left()


async def test_the_runtimes_deadline_cleans_up(world: World) -> None:
    world.datapath.delay = 0.2
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await world.core.attach(sandbox("blue"))
    assert world.nothing_left()


@pytest.mark.parametrize("alive", [True, False])
@pytest.mark.parametrize("state", list(State))
async def test_a_crash_at_any_point_is_put_right(world: World, alive: bool, state: State) -> None:
    record = await world.core.attach(sandbox("blue", "green"))
    assert record is not None
    path = world.directory / "s1.json"
    path.write_text(path.read_text().replace('"attached"', f'"{state.value}"'))
    world.restart()
    await world.core.reconcile([sandbox("blue", "green")] if alive else [])
    if alive:
        found = world.core.record("s1")
        assert found is not None
        assert found.state is State.ATTACHED
        assert set(world.datapath.namespaces["/run/netns/s1"]) == {"net0", "net1"}
        await world.core.detach("s1")
    assert world.nothing_left()


async def test_a_crash_before_the_record_is_swept(world: World) -> None:
    await world.core.attach(sandbox("blue"))
    (world.directory / "s1.json").unlink()
    world.restart()
    await world.core.reconcile([])
    assert world.datapath.host_ends == {}


async def test_a_restart_keeps_addresses(world: World) -> None:
    await world.core.attach(sandbox("blue", id="s1"))
    world.restart()
    await world.core.reconcile([sandbox("blue", id="s1")])
    record = await world.core.attach(sandbox("blue", id="s2", name="q"))
    assert record is not None
    assert record.interfaces[0].link.addresses == ["10.1.0.3/24"]


async def test_what_was_not_said_before_a_crash_is_said_after(world: World) -> None:
    await world.core.attach(sandbox("blue"))
    world.restart()
    said: list[str] = []
    world.core._hooks = Hooks(attached=lambda record: said.append(record.sandbox))
    await world.core.reconcile([sandbox("blue")])
    assert said == ["s1"]


async def test_one_broken_pod_does_not_hinder_the_others(world: World) -> None:
    await world.core.reconcile([sandbox("nowhere", id="s1"), sandbox("blue", id="s2", name="q")])
    assert [r.sandbox for r in world.core.records()] == ["s2"]


async def test_detach_works_when_namespace_and_objects_are_gone(world: World) -> None:
    await world.core.attach(sandbox("blue"))
    world.configs.clear()
    world.networks.clear()
    world.datapath.drop_netns("/run/netns/s1")
    await world.core.detach("s1")
    await world.core.detach("s1")
    world.add(network_config("blue"))
    assert world.nothing_left()


async def test_a_broken_record_is_set_aside(world: World) -> None:
    (world.directory / "s9.json").write_text("{")
    world.restart()
    assert world.core.records() == []
    assert [p.name for p in world.directory.iterdir()] == ["s9.broken"]


async def test_two_pods_race_for_the_last_address(world: World) -> None:
    world.add(network_config("tiny", ipam={"ranges": [{"cidr": "10.3.0.0/30", "gateway": "10.3.0.1"}]}))
    boxes = [sandbox("tiny", id=f"s{i}", name=f"p{i}") for i in range(2)]
    results = await asyncio.gather(*(world.core.attach(box) for box in boxes), return_exceptions=True)
    errors = [r for r in results if isinstance(r, PodnetError)]
    assert len(errors) == 1
    assert isinstance(errors[0], NoAddressError)
    assert "all 1 are in use" in str(errors[0])


async def test_the_api_server_is_not_needed_while_blocks_last(world: World) -> None:
    await world.core.attach(sandbox("blue", id="s0"))
    world.api.down = True
    for i in range(1, 13):
        assert await world.core.attach(sandbox("blue", id=f"s{i}", name=f"p{i}")) is not None
    with pytest.raises(NoAddressError, match="API server is away"):
        for i in range(13, 20):
            await world.core.attach(sandbox("blue", id=f"s{i}", name=f"p{i}"))


async def test_a_mac_address_twice_on_a_network_names_its_holder(world: World) -> None:
    world.attachment_of("fixed", "blue", mac="02:00:00:00:00:AA")
    entry = {"podNetworkAttachmentName": "fixed"}
    await world.core.attach(sandbox(entry, id="s1", name="first"))
    for _ in range(2):
        with pytest.raises(AttachError, match=r"cannot give MAC address .* Pod ns/first of this node has it"):
            await world.core.attach(sandbox(entry, id="s2", name="second"))
        world.restart()
    world.attachment_of("elsewhere", "green", mac="02:00:00:00:00:aa")
    await world.core.attach(sandbox({"podNetworkAttachmentName": "elsewhere"}, id="s3", name="third"))
    await world.core.detach("s1")
    assert await world.core.attach(sandbox(entry, id="s2", name="second")) is not None


async def test_a_network_without_addresses_needs_none(world: World) -> None:
    world.add(network_config("bare", ipam=None))
    record = await world.core.attach(sandbox("bare"))
    assert record is not None
    assert record.interfaces[0].link.addresses == []
    assert world.api.writes == 0


async def test_static_addresses_of_both_families_replace_those_of_the_pool(world: World) -> None:
    world.attachment_of("both", "green", addresses=["10.2.0.77", "fd02::77/64"])
    record = await world.core.attach(sandbox({"podNetworkAttachmentName": "both"}))
    assert record is not None
    assert record.interfaces[0].link.addresses == ["10.2.0.77/24", "fd02::77/64"]


async def test_ranges_are_used_in_turn_and_exclusions_never(world: World) -> None:
    ranges = [{"cidr": "10.5.0.0/30"}, {"cidr": "10.6.0.0/29", "exclude": ["10.6.0.1", "10.6.0.4/31"]}]
    world.add(network_config("several", ipam={"ranges": ranges}))
    given = []
    for i in range(5):
        record = await world.core.attach(sandbox("several", id=f"s{i}", name=f"p{i}"))
        assert record is not None
        given += record.interfaces[0].link.addresses
    assert given == ["10.5.0.1/30", "10.5.0.2/30", "10.6.0.2/29", "10.6.0.3/29", "10.6.0.6/29"]
    with pytest.raises(NoAddressError, match="all 5 are in use"):
        await world.core.attach(sandbox("several", id="s9", name="p9"))
