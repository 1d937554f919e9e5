"""The fake keeps the promises of the Protocol."""

import asyncio

import pytest
from podnet_api import reasons
from podnet_kni_server.datapath.errors import DatapathError, NetnsMissing
from podnet_kni_server.datapath.fake import FakeDatapath
from podnet_kni_server.datapath.interface import Datapath
from podnet_kni_server.datapath.model import Link, LinkEvent, NodeLink, NodeLinkState

NETNS = "/run/netns/a"


def _link(name: str) -> Link:
    return Link("veth", name, f"pnv-{name}", "br0", "02:00:00:00:00:05", 0)


def test_it_is_a_datapath() -> None:
    datapath: Datapath = FakeDatapath()
    assert datapath


async def test_all_or_nothing_and_again() -> None:
    datapath = FakeDatapath()
    datapath.fail_link, datapath.fail_times = "net2", 1
    links = [_link("net1"), _link("net2")]
    with pytest.raises(DatapathError):
        await datapath.attach(NETNS, links)
    assert datapath.namespaces[NETNS] == {}
    assert datapath.host_ends == {}
    first = await datapath.attach(NETNS, links)
    assert await datapath.attach(NETNS, links) == first
    assert await datapath.observe(NETNS, {"net2"}) == first[1:]
    await datapath.detach(NETNS, links)
    await datapath.detach(None, links)
    assert datapath.host_ends == {}


async def test_a_cancelled_attach_is_carried_out() -> None:
    datapath = FakeDatapath()
    datapath.delay = 0.01
    task = asyncio.create_task(datapath.attach(NETNS, [_link("net1")]))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await datapath.detach(None, [])
    assert "pnv-net1" in datapath.host_ends


async def test_namespaces_that_are_gone() -> None:
    datapath = FakeDatapath()
    await datapath.attach(NETNS, [_link("net1")])
    datapath.drop_netns(NETNS)
    assert datapath.host_ends == {}
    with pytest.raises(NetnsMissing):
        await datapath.attach(NETNS, [_link("net1")])
    await datapath.detach(NETNS, [_link("net1")])


async def test_node_sweep_and_watch() -> None:
    datapath = FakeDatapath()
    datapath.node_states["br1"] = NodeLinkState(False, reasons.UPLINK_DOWN, "cannot")
    states = await datapath.ensure_node([NodeLink("bridge", "br0", mtu=1400), NodeLink("bridge", "br1")])
    assert states["br0"] == NodeLinkState(True, reasons.READY, "", 1400)
    assert not states["br1"].ready
    await datapath.attach(NETNS, [_link("net1"), _link("net2")])
    assert await datapath.sweep({"pnv-net1"}) == ["pnv-net2"]
    assert list(datapath.namespaces[NETNS]) == ["net1"]
    datapath.tell(LinkEvent("up0", True, True))
    events = datapath.watch_links()
    assert await anext(events) == LinkEvent("up0", True, True)
    datapath.tell(LinkEvent("up0", False, True))
    assert await anext(events) == LinkEvent("up0", False, True)
