"""An attachment after which the Pod keeps only the default routes that its list asks for."""

from pathlib import Path

import pytest
from podnet_api import names
from podnet_kni_server.plug import Plugger
from podnet_kni_server.records import Sandbox
from podnet_tests.kni_world import World, network_config, sandbox

NETNS = "/run/netns/s1"
NONE = {"podNetworkAttachmentName": "none"}


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.add(network_config("blue"))
    made.add(network_config("green", ipam={"ranges": [{"cidr": "10.2.0.0/24", "gateway": "10.2.0.1"}]}))
    made.attachment_of("none", "blue", noOtherDefaultRoutes=True)
    return made


def _dropped(world: World) -> list[object]:
    return [told for call, told in world.datapath.calls if call == "drop_defaults"]


async def test_all_go_but_those_that_the_list_asks_for(world: World) -> None:
    await world.core.attach(sandbox(NONE, {"podNetworkName": "green", "isDefaultGW4": True}))
    assert _dropped(world) == [(NETNS, ((4, ("net1",)), (6, ())))]


async def test_nobody_asks_without_it(world: World) -> None:
    await world.core.attach(sandbox("blue", {"podNetworkName": "green", "isDefaultGW4": True}))
    assert _dropped(world) == []


async def test_they_come_back_when_the_attachment_goes(world: World) -> None:
    await world.core.attach(sandbox(NONE))
    plugger = Plugger(world.core, world, world.datapath)
    assert await plugger.bring(_with(sandbox("green"))) is not None
    assert [call for call, _ in world.datapath.calls][-2:] == ["restore_defaults", "attach"]


async def test_and_go_again_with_what_is_plugged_in(world: World) -> None:
    await world.core.attach(sandbox(NONE))
    await Plugger(world.core, world, world.datapath).bring(_with(sandbox(NONE, "green")))
    assert len(_dropped(world)) == 2


def _with(one: Sandbox) -> Sandbox:
    assert names.NETWORKS_ANNOTATION in one.annotations
    return one
