"""Hot-plug on a fake kernel: what an edit of the list does, entry by entry, and a crash at every step of it."""

from __future__ import annotations

import asyncio
import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from podnet_api import names
from podnet_kni_server import plug
from podnet_kni_server.datapath.model import NodeLinkState
from podnet_kni_server.records import Record, State
from podnet_tests.kni_world import World, network_config, sandbox


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path / "sandboxes")
    made.add(network_config("blue"))
    made.add(network_config("green", ipam={"ranges": [{"cidr": "10.2.0.0/24"}, {"cidr": "fd02::/64"}]}))
    made.add(network_config("red", ipam=None))
    made.attachment_of("one", "blue", addresses=["10.1.0.50"])
    made.attachment_of("two", "blue", addresses=["10.1.0.50", "10.1.0.51"])
    made.attachment_of("fast", "blue", addresses=["10.1.0.50"], routes=[{"destination": "10.9.0.0/16"}])
    return made


def named(name: str, interface: str, **more: Any) -> dict[str, Any]:
    return {"podNetworkName": name, "interfaceName": interface, **more}


def by(attachment: str, interface: str) -> dict[str, Any]:
    return {"podNetworkAttachmentName": attachment, "interfaceName": interface}


async def bring(world: World, *entries: Any) -> plug.Outcome:
    outcome = await plug.Plugger(world.core, world, world.datapath).bring(sandbox(*entries))
    assert outcome is not None
    assert world.core.record("s1") == outcome.record
    return outcome


def has(record: Record) -> dict[str, list[str]]:
    return {i.link.name: i.link.addresses for i in record.interfaces}


def touched(world: World) -> list[str]:
    """Names of the links that the kernel was asked to make or to take away."""
    return [link.name for call, about in world.datapath.calls if call in ("attach", "detach") for link in _links(about)]


def _links(about: Any) -> Any:
    return about[1]


async def test_an_entry_that_comes_leaves_the_others_untouched(world: World) -> None:
    await world.core.attach(sandbox(named("blue", "net1")))
    world.datapath.calls.clear()
    outcome = await bring(world, named("blue", "net1"), named("green", "net2"))
    assert has(outcome.record) == {"net1": ["10.1.0.2/24"], "net2": ["10.2.0.1/24", "fd02::1/64"]}
    assert touched(world) == ["net2"]
    assert outcome.done == ["attached net2 to green (10.2.0.1/24 fd02::1/64)"]


async def test_an_entry_that_goes_gives_everything_back(world: World) -> None:
    await world.core.attach(sandbox(named("blue", "net1"), named("green", "net2")))
    world.datapath.calls.clear()
    outcome = await bring(world, named("green", "net2"))
    assert has(outcome.record) == {"net2": ["10.2.0.1/24", "fd02::1/64"]}
    assert touched(world) == ["net1"]
    assert world.leases.used("blue") == 0
    await world.core.detach("s1")
    assert world.nothing_left()


async def test_all_may_go_and_come_again(world: World) -> None:
    await world.core.attach(sandbox(named("blue", "net1")))
    assert has((await bring(world, "default")).record) == {}
    assert world.core.record("s1") is not None, "it is still known, so that the old list is not attached again"
    assert has((await bring(world, "default", named("red", "net5"))).record) == {"net5": []}
    await world.core.detach("s1")
    assert world.nothing_left()


async def test_the_same_list_does_nothing(world: World) -> None:
    listed = ("default", named("blue", "net1"))
    await world.core.attach(sandbox(*listed))
    world.datapath.calls.clear()
    outcome = await bring(world, *listed)
    assert (outcome.done, outcome.errors, world.datapath.calls) == ([], [], [])


async def test_an_entry_that_changes_goes_and_comes_again(world: World) -> None:
    await world.core.attach(sandbox(named("blue", "net1"), named("green", "net2")))
    world.datapath.calls.clear()
    outcome = await bring(world, named("blue", "net1", isDefaultGW4=True), named("green", "net2"))
    assert [call for call, _ in world.datapath.calls] == ["detach", "attach"]
    assert touched(world) == ["net1", "net1"]
    assert outcome.record.interfaces[0].link.default_gateways == ["10.1.0.1"]
    assert [i.link.name for i in outcome.record.interfaces] == ["net1", "net2"], "in the order of the list"


async def test_a_default_route_goes_back_to_where_it_led(world: World) -> None:
    await world.core.attach(sandbox(named("blue", "net1", isDefaultGW4=True)))
    await bring(world, "default")
    assert ("restore_defaults", ("/run/netns/s1", ("default of /run/netns/s1",))) in world.datapath.calls


async def test_names_may_be_exchanged(world: World) -> None:
    await world.core.attach(sandbox(named("blue", "net1"), named("green", "net2")))
    outcome = await bring(world, named("green", "net1"), named("blue", "net2"))
    assert [(i.link.name, i.network) for i in outcome.record.interfaces] == [("net1", "green"), ("net2", "blue")]


async def test_addresses_are_added_and_removed_in_place(world: World) -> None:
    await world.core.attach(sandbox(by("one", "net1")))
    world.datapath.calls.clear()
    outcome = await bring(world, by("two", "net1"))
    assert has(outcome.record) == {"net1": ["10.1.0.50/24", "10.1.0.51/24"]}
    outcome = await bring(world, by("one", "net1"))
    assert has(outcome.record) == {"net1": ["10.1.0.50/24"]}
    assert [call for call, _ in world.datapath.calls] == ["readdress", "readdress"], "the link stayed"
    assert world.leases.used("blue") == 1
    await world.core.detach("s1")
    assert world.nothing_left()


async def test_a_lease_gives_way_to_a_static_address_in_place(world: World) -> None:
    await world.core.attach(sandbox(named("blue", "net1")))
    outcome = await bring(world, by("one", "net1"))
    assert has(outcome.record) == {"net1": ["10.1.0.50/24"]}
    assert world.leases.used("blue") == 1


async def test_addresses_of_a_routed_link_change_in_place_where_its_routes_stay(world: World) -> None:
    spec = {"routed": {}, "anti_spoof": False}
    world.add(network_config("hop", **spec, ipam={"ranges": [{"cidr": "10.5.0.0/24"}]}))
    world.add(network_config("two-hops", **spec, ipam={"ranges": [{"cidr": "10.6.0.0/24"}, {"cidr": "10.7.0.0/24"}]}))
    world.attachment_of("five", "hop", addresses=["10.5.0.9"])
    world.attachment_of("six", "two-hops", addresses=["10.6.0.9"])
    await world.core.attach(sandbox(named("hop", "net1"), named("two-hops", "net2")))
    world.datapath.calls.clear()
    outcome = await bring(world, by("five", "net1"), by("six", "net2"))
    assert has(outcome.record) == {"net1": ["10.5.0.9/32"], "net2": ["10.6.0.9/32"]}
    calls = [call for call, _ in world.datapath.calls]
    assert calls == ["readdress", "detach", "attach"], "which of two subnets a lease has decides about routes"


async def test_what_differs_in_more_than_addresses_is_made_anew(world: World) -> None:
    await world.core.attach(sandbox(by("one", "net1")))
    world.datapath.calls.clear()
    outcome = await bring(world, by("fast", "net1"))
    assert touched(world) == ["net1", "net1"]
    assert [r.destination for r in outcome.record.interfaces[0].link.routes] == ["10.9.0.0/16"]


async def test_an_address_of_somebody_else_changes_nothing(world: World) -> None:
    await world.core.attach(sandbox(by("one", "net1")))
    world.attachment_of("taken", "blue", addresses=["10.1.0.50", "10.1.0.60"])
    world.attachment_of("sixty", "blue", addresses=["10.1.0.60"])
    await world.core.attach(sandbox(by("sixty", "net1"), id="s2", name="q"))
    outcome = await bring(world, by("taken", "net1"))
    assert "Pod ns/q holds it" in str(outcome.errors[0])
    assert has(outcome.record) == {"net1": ["10.1.0.50/24"]}
    assert world.leases.used("blue") == 2


async def test_a_change_of_addresses_that_fails_is_finished_later(world: World) -> None:
    await world.core.attach(sandbox(by("two", "net1")))
    world.datapath.fail_readdress = 1
    outcome = await bring(world, by("one", "net1"))
    assert outcome.record.interfaces[0].leaving == ["10.1.0.51/24"]
    assert world.leases.used("blue") == 2, "in use until the kernel has let it go"
    world.restart()
    assert world.leases.used("blue") == 2
    outcome = await bring(world, by("one", "net1"))
    assert (outcome.errors, outcome.record.interfaces[0].leaving) == ([], [])
    assert world.leases.used("blue") == 1


async def test_one_failure_leaves_the_others_alone_and_is_tried_again(world: World) -> None:
    await world.core.attach(sandbox(named("blue", "net1")))
    listed = (named("blue", "net1"), named("nowhere", "net2"), named("green", "net3"))
    outcome = await bring(world, *listed)
    assert [str(error) for error in outcome.errors] == ["cannot attach Pod ns/p: PodNetwork nowhere does not exist"]
    assert list(has(outcome.record)) == ["net1", "net3"]
    world.add(network_config("nowhere", ipam=None))
    outcome = await bring(world, *listed)
    assert list(has(outcome.record)) == ["net1", "net2", "net3"]
    assert outcome.errors == []


async def test_a_network_that_the_node_does_not_carry_is_refused_by_name(world: World) -> None:
    await world.core.attach(sandbox(named("blue", "net1")))
    world.states["green"] = NodeLinkState(False, "UplinkMissing", "the node has no such interface")
    outcome = await bring(world, named("blue", "net1"), named("green", "net2"))
    assert "cannot attach Pod ns/p to PodNetwork green: UplinkMissing" in str(outcome.errors[0])
    assert world.leases.used("green") == 0


async def test_a_network_twice_is_refused(world: World) -> None:
    await world.core.attach(sandbox(named("blue", "net1")))
    outcome = await bring(world, named("blue", "net1"), by("one", "net2"))
    assert "PodNetwork blue is named twice" in str(outcome.errors[0])


async def test_a_list_that_cannot_be_read_changes_nothing(world: World) -> None:
    await world.core.attach(sandbox(named("blue", "net1")))
    broken = dataclasses.replace(sandbox(), annotations={names.NETWORKS_ANNOTATION: "{"})
    outcome = await plug.Plugger(world.core, world, world.datapath).bring(broken)
    assert outcome is not None
    assert has(outcome.record) == {"net1": ["10.1.0.2/24"]}
    assert len(outcome.errors) == 1


async def test_a_sandbox_that_is_not_attached_is_not_ours(world: World) -> None:
    assert await plug.Plugger(world.core, world, world.datapath).bring(sandbox(named("blue", "net1"))) is None


class Killed(BaseException):
    """The process dies here: nothing of what follows is done."""


@pytest.mark.parametrize("at", range(1, 13))
async def test_a_kill_at_every_step_leaks_nothing(world: World, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """The steps are the writes of the record and the calls of the kernel; the process dies before the ``at``-th."""
    before = (named("blue", "net1"), named("red", "net2"))
    after = (named("red", "net2"), named("green", "net3"))
    await world.core.attach(sandbox(*before))
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1
        if steps == at:
            raise Killed

    _die_in(world, monkeypatch, step)
    died = False
    try:
        await bring(world, *after)
    except Killed:
        died = True
    monkeypatch.undo()
    assert died == (steps >= at)
    world.restart()
    await world.core.reconcile([sandbox(*before)])
    outcome = await bring(world, *after)
    assert has(outcome.record) == {"net2": [], "net3": ["10.2.0.1/24", "fd02::1/64"]}
    assert all(i.state is State.ATTACHED for i in outcome.record.interfaces)
    assert set(world.datapath.namespaces["/run/netns/s1"]) == {"net2", "net3"}
    assert world.leases.used("blue") == 0
    await world.core.detach("s1")
    assert world.nothing_left()


def _die_in(world: World, monkeypatch: pytest.MonkeyPatch, step: Any) -> None:
    keep, attach, detach = world.core.keep, world.datapath.attach, world.datapath.detach
    dead = False

    def dying() -> None:
        nonlocal dead
        if dead:
            raise Killed
        try:
            step()
        except Killed:
            dead = True
            raise

    def dying_keep(record: Record) -> None:
        dying()
        keep(record)

    async def dying_attach(*arguments: Any) -> Any:
        dying()
        return await attach(*arguments)

    async def dying_detach(*arguments: Any) -> None:
        dying()
        await detach(*arguments)

    monkeypatch.setattr(world.core, "keep", dying_keep)
    monkeypatch.setattr(world.datapath, "attach", dying_attach)
    monkeypatch.setattr(world.datapath, "detach", dying_detach)


@pytest.fixture
def bonded(world: World) -> World:
    """Two links without addresses, and what is made of them."""
    world.add(network_config("left"))
    world.add(network_config("pair", bond={"links": ["net1", "net2"]}))
    world.add(network_config("pool", ipam={"ranges": [{"cidr": "10.5.0.0/24"}]}, vrf={"table": 7, "members": ["net2"]}))
    return world


PAIR = (named("blue", "net1"), named("left", "net2"), named("pair", "bond0"))


async def test_a_bond_comes_and_goes_with_its_links(bonded: World) -> None:
    await bonded.core.attach(sandbox(named("red", "net5")))
    outcome = await bring(bonded, named("red", "net5"), *PAIR)
    assert outcome.errors == []
    assert has(outcome.record) == {"net5": [], "net1": [], "net2": [], "bond0": ["10.1.0.2/24"]}
    bonded.datapath.calls.clear()
    assert not (await bring(bonded, named("red", "net5"), *PAIR)).done
    assert bonded.datapath.calls == []
    outcome = await bring(bonded, named("red", "net5"), *PAIR[:2])
    assert has(outcome.record) == {"net5": [], "net1": ["10.1.0.2/24"], "net2": ["10.1.0.2/24"]}, "on their own again"
    assert "net5" not in touched(bonded)
    await bonded.core.detach("s1")
    assert bonded.nothing_left()


async def test_a_bond_is_made_anew_when_a_link_of_it_changes(bonded: World) -> None:
    await bonded.core.attach(sandbox(*PAIR))
    bonded.datapath.calls.clear()
    outcome = await bring(bonded, named("green", "net1"), *PAIR[1:])
    assert outcome.errors == []
    assert touched(bonded) == ["bond0", "net2", "net1", "net1", "net2", "bond0"]
    assert [i.network for i in outcome.record.interfaces] == ["green", "left", "pair"]


async def test_a_bond_without_one_of_its_links_is_refused_whole(bonded: World) -> None:
    await bonded.core.attach(sandbox(named("red", "net5")))
    outcome = await bring(bonded, named("red", "net5"), PAIR[0], PAIR[2])
    assert "interface net2, which no earlier entry of the list attaches" in str(outcome.errors[0])
    assert list(has(outcome.record)) == ["net5"]
    assert bonded.leases.used("blue") == bonded.leases.used("pair") == 0


async def test_a_kill_between_a_bond_and_its_links(bonded: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of a bond must not be taken for links of their own, which would have addresses."""
    await bonded.core.attach(sandbox(*PAIR))
    steps = 0

    def step() -> None:
        nonlocal steps
        steps += 1
        if steps == 5:
            raise Killed

    _die_in(bonded, monkeypatch, step)
    with pytest.raises(Killed):
        await bring(bonded, *PAIR[:2])
    monkeypatch.undo()
    bonded.restart()
    await bonded.core.reconcile([sandbox(*PAIR)])
    outcome = await bring(bonded, *PAIR[:2])
    assert has(outcome.record) == {"net1": ["10.1.0.2/24"], "net2": ["10.1.0.2/24"]}


NETWORKS = ("blue", "green", "red", "left")
LISTS = st.lists(st.sampled_from(NETWORKS), unique=True).flatmap(
    lambda chosen: st.permutations([f"net{i}" for i in range(1, 6)]).map(
        lambda order: list(zip(chosen, order, strict=False))
    )
)


@given(st.lists(LISTS, min_size=1, max_size=5), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_any_edits_end_with_what_was_asked_for(edits: list[list[Any]], fails: int) -> None:
    """Whatever is edited in whatever order, with some failures on the way and a restart in the end."""

    async def story(directory: Path) -> None:
        world = World(directory)
        for name in NETWORKS:
            world.add(network_config(name, ipam={"ranges": [{"cidr": f"10.{NETWORKS.index(name)}.0.0/24"}]}))
        await world.core.attach(sandbox(named("blue", "net1")))
        plugger = plug.Plugger(world.core, world, world.datapath)
        for edit in edits:
            listed = sandbox("default", *(named(network, interface) for network, interface in edit))
            world.datapath.fail_at, world.datapath.fail_times = world.datapath._made + 1, 1 if fails else 0
            await plugger.bring(listed)
            world.datapath.fail_at = 0
            world.restart()
            await world.core.reconcile([listed])
            plugger = plug.Plugger(world.core, world, world.datapath)
            outcome = await plugger.bring(listed)
            assert outcome is not None
            assert outcome.errors == []
            made = [(i.network, i.link.name) for i in outcome.record.interfaces]
            assert made == [(network, interface) for network, interface in edit]
            assert set(world.datapath.namespaces["/run/netns/s1"]) == {interface for _, interface in made}
            assert sum(world.leases.used(name) for name in NETWORKS) == len(made)
        await world.core.detach("s1")
        assert world.nothing_left()

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(story(Path(directory) / "sandboxes"))
