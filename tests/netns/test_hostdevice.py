"""Devices of the node in Pods: moved, used by one Pod at a time, and given back as they were."""

import asyncio
import dataclasses
import json
import os
import pathlib
import signal

import msgspec
import pytest
from netns.lab import Lab, Place, crosses, link
from podnet_api import reasons
from podnet_kni_server.datapath.channel import Channel
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.kernel import KernelDatapath
from podnet_kni_server.datapath.lent import Ledger
from podnet_kni_server.datapath.model import Link, NodeLink, NodeLinkState, host_name
from podnet_kni_server.details import HostDeviceDetail

MAC = "02:00:00:00:de:01"


class Node:
    """A node with a device `dev0`, whose cable ends at `far`; the datapath of it, and what is lent."""

    def __init__(self, lab: Lab, directory: pathlib.Path) -> None:
        self.place, self.far = lab.place(), lab.place()
        lab.cable(self.place, self.far, "dev0")
        self.place.ip("link", "set", "dev0", "address", MAC, "mtu", "1400")
        self.far.ip("addr", "add", "10.1.0.1/24", "dev", "dev0")
        self.ledger = Ledger(directory)
        self.datapath = lab.datapath(self.place, self.ledger)

    def shown(self) -> tuple[object, ...]:
        """What must be the same before and after."""
        (found,) = json.loads(self.place.ip("-j", "-d", "link", "show", "dev", "dev0"))
        fields = ("ifname", "address", "mtu", "group", "promiscuity", "allmulti", "link_type")
        return *(found[field] for field in fields), "UP" in found["flags"], "master" in found


@pytest.fixture
def node(lab: Lab, tmp_path: pathlib.Path) -> Node:
    return Node(lab, tmp_path)


BY_NAME = HostDeviceDetail(name="dev0")


def wanted(number: int = 5, *, pod: str = "default/one", detail: HostDeviceDetail = BY_NAME) -> Link:
    """A link to a device."""
    chosen = msgspec.structs.replace(detail, pod=pod)
    named = host_name(pod, "net1")
    return link(number, kind="hostDevice", master="", mtu=1400, mac="", host_name=named, detail=chosen)


@pytest.mark.parametrize("detail", [BY_NAME, HostDeviceDetail(mac=MAC.upper())])
async def test_a_device_is_in_the_pod_and_back(lab: Lab, node: Node, detail: HostDeviceDetail) -> None:
    before, pod, one = node.shown(), lab.place(), wanted(detail=detail)
    (made,) = await node.datapath.attach(pod.path, [one])
    assert (made.name, made.mac, made.mtu, made.up) == ("net1", MAC, 1400, True)
    assert node.place.links() == {"lo"}
    assert crosses(pod, node.far, "10.1.0.1")
    assert (await node.datapath.attach(pod.path, [one]))[0] == made, "attaching again changes nothing"
    await node.datapath.detach(pod.path, [one])
    assert node.shown() == before
    assert pod.links() == {"lo"}
    assert not list(node.ledger)
    await node.datapath.detach(pod.path, [one])


async def test_what_the_pod_changed_is_undone(lab: Lab, node: Node) -> None:
    before, pod = node.shown(), lab.place()
    one = dataclasses.replace(wanted(), mtu=1300, mac="02:00:00:00:00:77")
    (made,) = await node.datapath.attach(pod.path, [one])
    assert (made.mac, made.mtu) == ("02:00:00:00:00:77", 1300)
    pod.ip("link", "set", "net1", "down")
    pod.ip("link", "set", "net1", "name", "mine", "promisc", "on", "allmulticast", "on", "mtu", "1200")
    await node.datapath.detach(pod.path, [one])
    assert node.shown() == before


async def test_one_pod_at_a_time(lab: Lab, node: Node) -> None:
    pod, other = lab.place(), lab.place()
    await node.datapath.attach(pod.path, [wanted()])
    for detail in (BY_NAME, HostDeviceDetail(mac=MAC)):
        with pytest.raises(DatapathError, match="Pod default/one has it"):
            await node.datapath.attach(other.path, [wanted(6, pod="default/two", detail=detail)])
    assert (await _state(node)).free == 0
    await node.datapath.detach(pod.path, [wanted()])
    assert (await _state(node)).free == 1
    await node.datapath.attach(other.path, [wanted(6, pod="default/two")])


async def _state(node: Node) -> NodeLinkState:
    states = await node.datapath.ensure_node([_node_link()])
    return states[_node_link().key]


def _node_link() -> NodeLink:
    return NodeLink("device", "dev0", device=BY_NAME)


BUSY = {
    "it has the node's address 203.0.113.1/24": ["addr add 203.0.113.1/24 dev dev0"],
    "the node's default route leads over it": ["route add default dev dev0"],
    "it is a port of br0": ["link add br0 type bridge", "link set dev0 master br0"],
    "upper stands upon it": ["link add link dev0 name upper type macvlan"],
}


@pytest.mark.parametrize("why", BUSY)
async def test_what_the_node_uses_is_not_lent(lab: Lab, node: Node, why: str) -> None:
    for words in BUSY[why]:
        node.place.ip(*words.split())
    before = node.shown()
    with pytest.raises(DatapathError, match=f"cannot lend dev0 to a Pod: {why}"):
        await node.datapath.attach(lab.place().path, [wanted()])
    assert node.shown() == before
    assert not list(node.ledger)
    state = await _state(node)
    assert (state.ready, state.message) == (False, f"cannot lend dev0 to a Pod: {why}")


async def test_a_device_that_is_not_there(lab: Lab, node: Node) -> None:
    with pytest.raises(DatapathError, match="cannot use dev7: the node has no such device") as caught:
        await node.datapath.attach(lab.place().path, [wanted(detail=HostDeviceDetail(name="dev7"))])
    assert caught.value.reason == reasons.UPLINK_MISSING
    with pytest.raises(DatapathError, match="cannot use the device at 0000:07"):
        await node.datapath.attach(lab.place().path, [wanted(detail=HostDeviceDetail(pci_address="0000:07:00.0"))])


async def test_a_second_link_that_fails_gives_the_device_back(lab: Lab, node: Node) -> None:
    before, pod = node.shown(), lab.place()
    with pytest.raises(DatapathError):
        await node.datapath.attach(pod.path, [wanted(), link(6, master="nowhere", name="net2")])
    assert node.shown() == before
    assert not list(node.ledger)


async def test_a_device_of_software_ends_with_its_namespace(lab: Lab, node: Node) -> None:
    pod, other = lab.place(), lab.place()
    await node.datapath.attach(pod.path, [wanted()])
    pod.delete()
    await node.datapath.detach(None, [wanted()])
    assert not list(node.ledger)
    lab.cable(node.place, other, "dev0")
    await node.datapath.attach(lab.place().path, [wanted()])


async def test_killed_at_any_step_it_comes_back(lab: Lab, node: Node) -> None:
    before, pod = node.shown(), lab.place()
    steps = 0
    while killed_after(steps, node.place, node.ledger, pod, wanted()):
        fresh = lab.datapath(node.place, node.ledger)
        await fresh.detach(pod.path, [wanted()])
        assert node.shown() == before, f"after {steps} steps"
        assert not list(node.ledger)
        steps += 1
    assert steps > 5
    fresh = lab.datapath(node.place, node.ledger)
    await fresh.sweep(set())
    await fresh.detach(pod.path, [wanted()])


def killed_after(steps: int, node: Place | None, ledger: Ledger, pod: Place, one: Link) -> bool:
    """Attach in a process that is killed after so many exchanges with the kernel; whether it came that far."""
    child = os.fork()
    if child == 0:
        _attach_and_die(steps, node, ledger, pod, one)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def _attach_and_die(steps: int, node: Place | None, ledger: Ledger, pod: Place, one: Link) -> None:
    left = steps
    batch = Channel.batch

    def counted(self: Channel, requests: object) -> object:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return batch(self, requests)  # type: ignore[arg-type]

    Channel.batch = counted  # type: ignore[method-assign,assignment]
    try:
        datapath = KernelDatapath(node.path if node else None, lent=ledger)
        asyncio.new_event_loop().run_until_complete(datapath.attach(pod.path, [one]))
        os._exit(0)
    finally:
        os._exit(1)
