"""Addresses by DHCP on links of the kernel: lease, renewal, another address, release; with a server in the lab."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from netns import lab as labs
from netns.dhcp_server import Server
from netns.lab import Lab, Place, crosses
from podnet_hack.localcluster import components
from podnet_kni_server import status
from podnet_kni_server.cni.attach import Plugins
from podnet_kni_server.cni.errors import PluginError
from podnet_kni_server.cni.exec import Runner
from podnet_kni_server.cni.executor import Executor
from podnet_kni_server.composite import Composite
from podnet_kni_server.datapath.model import Link, Observed
from podnet_kni_server.details import DhcpRecord
from podnet_tests import kni_world
from podnet_tests.cni import Node

pytestmark = [
    pytest.mark.needs("go"),
    pytest.mark.skipif(not components.available(), reason="needs the CNI plugins, or Go to build them"),
]


@dataclass
class World:
    """A node with a bridge whose uplink leads to a place with a DHCP server."""

    node: Place
    far: Place
    pod: Place
    plugins: Plugins
    datapath: Composite
    executor: Executor
    server: Server
    keeping: "asyncio.Task[None]"
    socket: str
    """Of the daemon: others may run on this machine."""

    async def attach(self, link: Link) -> Observed:
        """One link."""
        (found,) = await self.datapath.attach(self.pod.path, [link])
        return found

    def addresses(self, name: str = "net1") -> list[str]:
        """IPv4 addresses of an interface of the Pod."""
        (shown,) = json.loads(self.pod.ip("-j", "-4", "addr", "show", name)) or [{"addr_info": []}]
        return [one["local"] for one in shown["addr_info"]]


@pytest.fixture
async def world(lab: Lab, tmp_path: Path) -> AsyncIterator[World]:
    node, pod, far = lab.place(), lab.place(), lab.place()
    lab.cable(node, far)
    far.ip("addr", "add", "10.5.0.1/24", "dev", "up0")
    server = Server(far, "up0", "10.5.0.1", ["10.5.0.50", "10.5.0.60"])
    server.start()
    kept = Node(tmp_path)
    runner = Runner([str(components.build(components.CNI_PLUGINS))], launcher=("nsenter", f"--net={node.path}", "--"))
    executor = Executor(runner, kept.cache, tmp_path / "net.d", 20)
    plugins = Plugins(executor, runner, f"{tmp_path}/dhcp.sock", node.path)
    keeping = asyncio.create_task(plugins.dhcp.run())
    datapath = Composite(lab.datapath(node), plugins)
    await labs.ready(datapath, labs.bridge(uplink="up0"))  # type: ignore[arg-type]
    try:
        yield World(node, far, pod, plugins, datapath, executor, server, keeping, f"{tmp_path}/dhcp.sock")
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])
        await plugins.close()
        server.stop()


def wanted(kind: str = "veth", **changed: bool) -> Link:
    """A link without an address of its own."""
    record = DhcpRecord(network="lan", namespace="ns", pod="web-0", uid="u1", sandbox="sandbox1", **changed)
    made = labs.link(7, kind=kind, addresses=(), master="up1" if kind == "macvlan" else "br0")
    return replace(made, dhcp=record)


async def test_lease_and_release(world: World) -> None:
    found = await world.attach(wanted())
    assert [str(a) for a in found.addresses] == ["10.5.0.50/24"]
    assert [str(g) for g in found.gateways] == ["10.5.0.1"]
    assert world.addresses() == ["10.5.0.50"]
    assert crosses(world.pod, world.far, "10.5.0.1")
    assert world.server.host_names == {"web-0"}
    assert "default" not in world.pod.ip("route")
    again = await world.attach(wanted())
    assert again.addresses == found.addresses
    assert world.server.count("REQUEST") == 1
    await world.datapath.detach(world.pod.path, [wanted()])
    await world.server.wait("RELEASE")
    assert world.server.leases == {}
    assert world.executor.entries() == []
    assert "net1" not in world.pod.links()


async def test_the_pods_status_has_the_address(world: World, tmp_path: Path) -> None:
    whole = kni_world.World(tmp_path / "records", datapath=world.datapath)  # type: ignore[arg-type]
    lan = kni_world.network_config("lan", bridge={"name": "br0"}, ipam={"dhcp": {}}, antiSpoof=False)
    whole.add(lan)
    record = await whole.core.attach(kni_world.sandbox("lan", netns=world.pod.path))
    assert record is not None
    (told,) = status.networks(record)
    assert (told["observedAddresses"], told["gateways"]) == (["10.5.0.50/24"], ["10.5.0.1"])
    assert status.npwg(record, str, None)[1]["ips"] == ["10.5.0.50"]
    whole.restart()
    again = await whole.core.attach(kni_world.sandbox("lan", netns=world.pod.path))
    assert again == record
    assert world.server.count("DISCOVER") == 1
    await whole.core.detach(record.sandbox)
    await world.server.wait("RELEASE")


async def test_default_route_to_the_router_of_the_server(world: World) -> None:
    await world.attach(wanted(default=True))
    assert "default via 10.5.0.1 dev net1" in world.pod.ip("route")


async def test_the_lease_is_renewed(world: World) -> None:
    world.server.seconds = 4
    await world.attach(wanted())
    await world.server.wait("REQUEST", 3, patience=12)
    assert world.server.count("DISCOVER") == 1
    assert world.addresses() == ["10.5.0.50"]


async def test_a_new_daemon_takes_the_leases_up_again(world: World) -> None:
    """kill -9: the daemon keeps leases in memory only."""
    await world.attach(wanted())
    (daemon,) = _children(world.socket)
    subprocess.run(["kill", "-9", str(daemon)], check=True)
    await world.server.wait("DISCOVER", 2, patience=30)
    await world.server.wait("REQUEST", 2, patience=30)
    assert world.addresses() == ["10.5.0.50"]
    await asyncio.sleep(0.5)  # what the daemon has not heard an answer about it does not release
    await world.datapath.detach(world.pod.path, [wanted()])
    await world.server.wait("RELEASE")


async def test_another_address_from_the_server_replaces_the_first(world: World) -> None:
    await world.attach(wanted())
    world.server.leases.clear()
    world.server.addresses = ["10.5.0.60"]
    (daemon,) = _children(world.socket)
    subprocess.run(["kill", "-9", str(daemon)], check=True)
    await world.server.wait("REQUEST", 2, patience=30)
    for _ in range(100):
        if world.addresses() == ["10.5.0.60"]:
            break
        await asyncio.sleep(0.05)
    assert world.addresses() == ["10.5.0.60"]
    assert crosses(world.pod, world.far, "10.5.0.1")


async def test_without_a_server_the_attach_fails_and_leaves_nothing(world: World) -> None:
    world.server.stop()
    world.executor.seconds = 3
    with pytest.raises(PluginError, match="plugin dhcp"):
        await world.attach(wanted())
    assert "net1" not in world.pod.links()
    assert world.executor.entries() == []


async def test_macvlan(world: World, lab: Lab) -> None:
    lab.cable(world.node, world.far, "up1")
    world.far.ip("addr", "add", "10.6.0.1/24", "dev", "up1")
    other = Server(world.far, "up1", "10.6.0.1", ["10.6.0.50"])
    other.start()
    try:
        found = await world.attach(wanted("macvlan"))
        assert [str(a) for a in found.addresses] == ["10.6.0.50/24"]
        assert crosses(world.pod, world.far, "10.6.0.1")
    finally:
        other.stop()


def _children(word: str) -> list[int]:
    """Processes of ours whose command has a word."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"/dhcp") and any(one.endswith(word.encode()) for one in words):
            found.append(int(path.parent.name))
    return found
