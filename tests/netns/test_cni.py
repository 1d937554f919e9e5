"""The real CNI plugins, run by the executor on a node made of a namespace: packets, addresses, and nothing left.

Longer than our files are: all of it stands on one world.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from netns import lab as labs
from netns import reach
from netns.lab import Lab, Place, crosses, route
from podnet_hack.localcluster import components
from podnet_kni_server import status
from podnet_kni_server.cni.attach import Plugins
from podnet_kni_server.cni.cache import Cache
from podnet_kni_server.cni.errors import CniError, PluginError, RequestError
from podnet_kni_server.cni.exec import Runner
from podnet_kni_server.cni.executor import Executor
from podnet_kni_server.composite import Composite
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.datapath.model import PLUGINS_PREFIX, Link, NodeLink, Observed
from podnet_kni_server.details import CniDetail, PortRecord, ShapingRecord
from podnet_tests import kni_world
from podnet_tests.cni import Node

KEY = "net.ipv4.conf.IFNAME.arp_ignore"
pytestmark = [
    pytest.mark.needs("go"),
    pytest.mark.skipif(not components.available(), reason="needs the CNI plugins, or Go to build them"),
]


@dataclass
class World:
    """One node with the plugins, and what attaches to it."""

    lab: Lab
    directory: Path
    node: Place
    executor: Executor
    cache: Cache
    datapath: Composite

    def pod(self) -> Place:
        """A Pod."""
        return self.lab.place()

    def ipam(self, subnet: str = "10.7.0.0/24", **keys: Any) -> dict[str, Any]:
        """host-local, its store below the test's directory."""
        return {"type": "host-local", "subnet": subnet, "dataDir": str(self.directory / "ipam"), **keys}

    def leases(self) -> set[str]:
        """The addresses that host-local has given."""
        kept = self.directory / "ipam" / "net-a"
        return {path.name for path in kept.iterdir() if path.name[0].isdigit()} if kept.is_dir() else set()

    async def attach(self, pod: Place, *links: Link) -> list[Observed]:
        """Through the same seam as the server."""
        return await self.datapath.attach(pod.path, links)

    async def clean(self, pod: Place | None, *links: Link) -> None:
        """Detach, twice; nothing may be left, nor remembered."""
        for _ in range(2):
            await self.datapath.detach(pod.path if pod else None, links)
        assert self.cache.entries() == []
        assert self.leases() == set()
        assert pod is None or not pod.links() - {"lo", "eth0", "far0"}


@pytest.fixture
async def world(lab: Lab, tmp_path: Path) -> AsyncIterator[World]:
    """The node's namespace is entered by nsenter, as the server is in it already."""
    node = lab.place()
    # What kube-proxy and the cluster's CNI set on every node.
    node.run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    debug = Node(tmp_path)
    debug.plugin()
    bin_dirs = [str(components.build(components.CNI_PLUGINS)), str(tmp_path / "bin")]
    runner = Runner(bin_dirs, launcher=("nsenter", f"--net={node.path}", "--"))
    executor = Executor(runner, debug.cache, tmp_path / "net.d", 20)
    plugins = Plugins(executor, runner, f"{tmp_path}/dhcp.sock", node.path)
    try:
        yield World(lab, tmp_path, node, executor, debug.cache, Composite(lab.datapath(node), plugins))
    finally:
        await plugins.close()


def config(*plugins: dict[str, Any], version: str = "1.1.0") -> str:
    """A list of plugins."""
    return json.dumps({"cniVersion": version, "name": "net-a", "plugins": plugins})


def link(text: str, pod: int = 1, name: str = "net1", mac: str = "", routes: Any = (), **detail: Any) -> Link:
    """An interface that plugins are to make."""
    whose = {"namespace": "ns", "pod": f"p{pod}", "uid": f"u{pod}", "sandbox": f"sandbox{pod}"}
    own = CniDetail(network="net-a", config=text, **{**whose, **detail})
    return Link(kind="cni", name=name, host_name="", master="", mac=mac, mtu=1500, routes=routes, detail=own)


def _eth0(pod: Place) -> None:
    pod.ip("link", "add", "eth0", "type", "veth", "peer", "name", "far0")
    for name in ("eth0", "far0"):
        pod.ip("link", "set", name, "up")
    pod.ip("addr", "add", "192.0.2.2/24", "dev", "eth0")
    pod.ip("route", "add", "default", "via", "192.0.2.1")


def _ways(pod: Place) -> set[tuple[str, str]]:
    return {(one["dst"], one.get("gateway", "")) for one in json.loads(pod.ip("-j", "route"))}


def _defaults(pod: Place) -> list[str]:
    return [one["dev"] for one in json.loads(pod.ip("-j", "route", "show", "default"))]


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"])
async def test_bridge_in_every_version(world: World, version: str) -> None:
    text = config({"type": "bridge", "bridge": "br9", "isGateway": True, "ipam": world.ipam()}, version=version)
    pods = world.pod(), world.pod()
    wanted = [link(text, i) for i in (1, 2)]
    found = [(await world.attach(pod, one))[0] for pod, one in zip(pods, wanted, strict=True)]
    assert [str(one.addresses[0]) for one in found] == ["10.7.0.2/24", "10.7.0.3/24"]
    assert [one.gateways for one in found] == [(ip_address("10.7.0.1"),)] * 2
    assert found[0].mac != found[1].mac
    assert crosses(pods[0], pods[1], "10.7.0.3")
    assert crosses(pods[0], world.node, "10.7.0.1")
    assert world.leases() == {"10.7.0.2", "10.7.0.3"}
    again = await world.attach(pods[0], wanted[0])
    assert again == found[:1]
    for pod, one in zip(pods, wanted, strict=True):
        await world.datapath.detach(pod.path, [one])
    await world.clean(pods[0], wanted[0])


async def test_ptp_and_macvlan_and_host_device(world: World) -> None:
    far = world.pod()
    world.lab.cable(world.node, far)
    far.ip("addr", "add", "10.7.0.200/24", "dev", "up0")
    world.node.ip("link", "add", "spare0", "type", "veth", "peer", "name", "spare1")
    world.node.ip("link", "set", "spare1", "up")
    world.node.ip("addr", "add", "10.9.0.1/24", "dev", "spare1")
    ptp = link(config({"type": "ptp", "ipam": world.ipam("10.8.0.0/24")}), name="net1")
    macvlan = link(config({"type": "macvlan", "master": "up0", "ipam": world.ipam()}), name="net2")
    static = {"type": "static", "addresses": [{"address": "10.9.0.2/24"}]}
    device = link(config({"type": "host-device", "device": "spare0", "ipam": static}), name="net3")
    pod = world.pod()
    found = await world.attach(pod, ptp, macvlan, device)
    assert [one.name for one in found] == ["net1", "net2", "net3"]
    assert crosses(pod, far, "10.7.0.200")
    assert crosses(pod, world.node, "10.8.0.1")
    assert crosses(pod, world.node, "10.9.0.1")
    await world.clean(pod, ptp, macvlan, device)
    assert "spare0" in world.node.links()


async def test_tap_for_a_user_and_loopback(world: World) -> None:
    tap = link(config({"type": "tap", "multiQueue": True, "owner": 107, "group": 107, "ipam": world.ipam()}))
    pod = world.pod()
    pod.ip("link", "set", "lo", "down")
    loopback = link(config({"type": "loopback"}), name="lo")
    (found, lo) = await world.attach(pod, tap, loopback)
    assert str(found.addresses[0]) == "10.7.0.2/24"
    assert lo.up
    (shown,) = json.loads(pod.ip("-j", "-d", "link", "show", "net1"))
    data = shown["linkinfo"]["info_data"]
    assert (data["type"], data["multi_queue"], data["user"], data["group"]) == ("tap", True, 107, 107)
    await world.datapath.detach(pod.path, [loopback])
    await world.clean(pod, tap)


async def test_requests_reach_the_plugins(world: World) -> None:
    """MAC and address by capability, and by CNI_ARGS where nothing is declared."""
    ports = {"mac": True, "ips": True}
    declared = {"type": "bridge", "bridge": "br9", "capabilities": ports, "ipam": world.ipam()}
    carried = {"type": "bridge", "bridge": "br9", "ipam": {"type": "static"}}
    one = link(config(declared), 1, mac="02:00:00:00:00:51", ips=["10.7.0.51/24"])
    two = link(config(carried), 2, mac="02:00:00:00:00:52", ips=["10.7.0.52/24", "fd07::52/64"])
    pods = world.pod(), world.pod()
    found = [(await world.attach(pod, wanted))[0] for pod, wanted in zip(pods, (one, two), strict=True)]
    assert [one.mac for one in found] == ["02:00:00:00:00:51", "02:00:00:00:00:52"]
    assert [str(a) for one in found for a in one.addresses] == ["10.7.0.51/24", "10.7.0.52/24", "fd07::52/64"]
    assert crosses(pods[0], pods[1], "10.7.0.52")
    for pod, wanted in zip(pods, (one, two), strict=True):
        await world.datapath.detach(pod.path, [wanted])
    with pytest.raises(RequestError, match="macvlan does not declare the capability bandwidth"):
        limited = ShapingRecord(ingress_rate=1_000_000)
        await world.attach(pods[0], link(config({"type": "macvlan", "master": "up0"}), shaping=limited))
    await world.clean(pods[0], one)


@pytest.mark.parametrize("version", ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"])
async def test_chain_of_meta_plugins(world: World, version: str) -> None:
    """tuning, bandwidth and firewall behind a bridge, in every version that has chains (firewall speaks none before
    0.4.0); CHECK, which came with 0.4.0, finds what somebody changed."""
    text = config(
        {"type": "bridge", "bridge": "br9", "isGateway": True, "ipam": world.ipam()},
        {"type": "tuning", "capabilities": {"mac": True}, "sysctl": {KEY: "1"}, "mtu": 1400},
        {"type": "bandwidth", "capabilities": {"bandwidth": True}},
        *([{"type": "firewall", "backend": "iptables"}] if version >= "0.4.0" else []),
        version=version,
    )  # fmt: skip
    limits = ShapingRecord(ingress_rate=8_000_000, egress_rate=8_000_000)
    wanted = link(text, mac="02:00:00:00:00:77", shaping=limits)
    pod = world.pod()
    (found,) = await world.attach(pod, wanted)
    assert (found.mac, found.mtu) == ("02:00:00:00:00:77", 1400)
    assert pod.run("cat", "/proc/sys/net/ipv4/conf/net1/arp_ignore").strip() == "1"
    assert "tbf" in world.node.run("tc", "qdisc")
    if version >= "0.4.0":
        assert "10.7.0.2" in world.node.run("iptables", "-S", "CNI-FORWARD")
    assert crosses(world.node, pod, "10.7.0.2")
    if version >= "0.4.0":
        await world.executor.check("sandbox1", "net1")
        pod.ip("link", "set", "net1", "mtu", "1300")
        with pytest.raises(PluginError, match="cannot CHECK by the CNI plugin tuning"):
            await world.executor.check("sandbox1", "net1")
    await world.clean(pod, wanted)
    assert "10.7.0.2" not in world.node.run("iptables", "-S")


async def test_a_version_that_a_plugin_does_not_speak_is_refused_before_anything_runs(world: World) -> None:
    """It would refuse DEL, too, and what the others made could not be taken away."""
    bridge = {"type": "bridge", "bridge": "br9", "ipam": world.ipam()}
    wanted = link(config(bridge, {"type": "firewall"}, version="0.3.1"))
    pod = world.pod()
    with pytest.raises(PluginError, match=r"cannot use CNI network \S+: firewall speaks .*, not 0.3.1"):
        await world.attach(pod, wanted)
    assert "br9" not in world.node.links()
    await world.clean(pod, wanted)


async def test_sbr_gives_an_interface_a_table_of_its_own(world: World) -> None:
    text = config({"type": "bridge", "bridge": "br9", "isGateway": True, "ipam": world.ipam()}, {"type": "sbr"})
    pod = world.pod()
    await world.attach(pod, link(text))
    assert "from 10.7.0.2" in pod.ip("rule")
    assert crosses(world.node, pod, "10.7.0.2")
    await world.clean(pod, link(text))
    assert "10.7.0.2" not in pod.ip("rule")


@pytest.mark.parametrize("backend", ["iptables", "nftables"])
async def test_portmap_leads_a_port_of_the_node_to_the_pod(world: World, backend: str) -> None:
    outside = world.pod()
    world.lab.cable(world.node, outside)
    for place, address in ((world.node, "198.51.100.1/24"), (outside, "198.51.100.2/24")):
        place.ip("addr", "add", address, "dev", "up0")
    text = config(
        {"type": "bridge", "bridge": "br9", "isGateway": True, "isDefaultGateway": True, "ipam": world.ipam()},
        {"type": "portmap", "backend": backend, "capabilities": {"portMappings": True}},
    )
    wanted = link(text, ports=[PortRecord(host_port=7777, container_port=7777, protocol="UDP")])
    pod = world.pod()
    await world.attach(pod, wanted)
    assert reach.mapped(outside, pod, "198.51.100.1", "10.7.0.2")
    await world.clean(pod, wanted)


async def test_default_routes_stay_unless_the_list_says_so(world: World) -> None:
    gateway = {"type": "bridge", "bridge": "br9", "isGateway": True, "isDefaultGateway": True, "ipam": world.ipam()}
    pod = world.pod()
    _eth0(pod)
    before = pod.ip("route", "show", "default")
    unasked = link(config(gateway))
    await world.attach(pod, unasked)
    assert pod.ip("route", "show", "default") == before
    (kept,) = world.cache.entries()
    assert "0.0.0.0/0" not in kept.result
    await world.datapath.detach(pod.path, [unasked])
    asked = link(config(gateway), default_versions=[4], routes=(route("10.99.0.0/16", "10.7.0.1"),))
    await world.attach(pod, asked)
    assert _defaults(pod) == ["net1"]
    assert "10.99.0.0/16 via 10.7.0.1 dev net1" in pod.ip("route")
    await world.clean(pod, asked)
    lone = world.pod()
    await world.attach(lone, unasked)
    assert _defaults(lone) == ["net1"]
    await world.clean(lone, unasked)


async def test_default_route_without_a_gateway_fails_and_leaves_nothing(world: World) -> None:
    pod = world.pod()
    _eth0(pod)
    before = pod.ip("route")
    wanted = link(config({"type": "bridge", "bridge": "br9", "ipam": world.ipam()}), default_versions=[6])
    with pytest.raises(RequestError, match=r"^cannot lead the default route over net1: isDefaultGW6"):
        await world.attach(pod, wanted)
    assert pod.ip("route") == before
    await world.clean(pod, wanted)


async def test_failure_of_a_later_link_takes_the_earlier_ones_away(world: World) -> None:
    await labs.ready(world.datapath, labs.bridge())  # type: ignore[arg-type]
    native = labs.link(5, name="net1")
    good = link(config({"type": "bridge", "bridge": "br9", "ipam": world.ipam()}), name="net2")
    bad = link(config({"type": "macvlan", "master": "absent", "ipam": world.ipam()}), name="net3")
    pod = world.pod()
    with pytest.raises(PluginError, match="cannot ADD by the CNI plugin macvlan"):
        await world.attach(pod, native, good, bad)
    assert native.host_name not in world.node.links()
    await world.clean(pod, native, good, bad)
    found = await world.attach(pod, good, native)
    assert [one.name for one in found] == ["net2", "net1"]
    await world.clean(pod, good, native)


async def test_a_failing_ipam_leaves_no_lease(world: World) -> None:
    """The address is taken before the plugin behind it fails."""
    text = config(
        {"type": "bridge", "bridge": "br9", "ipam": world.ipam()},
        {"type": "tuning", "sysctl": {"net.ipv4.no.such.key": "1"}},
    )
    pod = world.pod()
    with pytest.raises(PluginError, match="plugin tuning"):
        await world.attach(pod, link(text))
    await world.clean(pod, link(text))


async def test_detach_after_the_namespace_is_gone(world: World) -> None:
    wanted = link(config({"type": "bridge", "bridge": "br9", "ipam": world.ipam()}))
    pod = world.pod()
    await world.attach(pod, wanted)
    pod.delete()
    await world.clean(None, wanted)


async def test_an_interface_that_somebody_removed_is_made_again(world: World) -> None:
    wanted = link(config({"type": "bridge", "bridge": "br9", "isGateway": True, "ipam": world.ipam()}))
    pod = world.pod()
    await world.attach(pod, wanted)
    pod.ip("link", "delete", "net1")
    with pytest.raises(CniError):
        await world.executor.check("sandbox1", "net1")
    (found,) = await world.attach(pod, wanted)
    assert found.addresses
    assert crosses(pod, world.node, "10.7.0.1")
    assert len(world.leases()) == 1
    await world.clean(pod, wanted)


async def test_check_mends_what_the_result_says_and_tells_the_rest(world: World) -> None:
    ipam = world.ipam(routes=[{"dst": "10.9.0.0/16"}, {"dst": "10.8.0.0/16", "gw": "10.7.0.9"}, {"dst": "0.0.0.0/0"}])
    wanted = link(config({"type": "bridge", "bridge": "br9", "ipam": ipam}), default_versions=[4])
    pod = world.pod()
    await world.attach(pod, wanted)
    routes = _ways(pod)

    async def found(repaired: bool) -> list[str]:
        findings = (await world.datapath.check(pod.path, [wanted])).findings
        return [one.what for one in findings if one.repaired == repaired]

    assert await found(True) == await found(False) == []
    pod.ip("addr", "del", "10.7.0.2/24", "dev", "net1")
    lost = [f"net1 had lost its route to {net}" for net in ("10.8.0.0/16", "10.9.0.0/16", "0.0.0.0/0")]
    assert sorted(await found(True)) == sorted(["net1 had lost its address 10.7.0.2/24", *lost])
    pod.ip("link", "set", "net1", "down")
    assert await found(True) == ["net1 was down", *lost]
    assert await found(True) == await found(False) == []
    assert _ways(pod) == routes
    pod.ip("link", "delete", "net1")
    assert await found(False) == ["net1 is gone"]
    await world.clean(pod, wanted)
    assert await found(False) == ["net1 is unknown"]


async def test_check_leaves_the_routes_that_a_plugin_has_moved(world: World) -> None:
    ipam = world.ipam(routes=[{"dst": "10.9.0.0/16"}])
    wanted = link(config({"type": "bridge", "bridge": "br9", "isGateway": True, "ipam": ipam}, {"type": "sbr"}))
    pod = world.pod()
    await world.attach(pod, wanted)
    for _ in range(2):
        findings = (await world.datapath.check(pod.path, [wanted])).findings
        assert [one.what for one in findings if one.repaired] == []
    assert "10.9.0.0/16" not in pod.ip("route")
    await world.clean(pod, wanted)


async def test_what_no_sandbox_has_any_more_is_taken_away(world: World) -> None:
    """No plugin of 1.9.1 implements GC (it succeeds and does nothing), so the cache must know what is left."""
    text = config({"type": "bridge", "bridge": "br9", "ipam": world.ipam()})
    pods = world.pod(), world.pod()
    for number, pod in enumerate(pods):
        await world.attach(pod, link(text, number))
    await world.executor.collect(text, "")
    assert world.leases() == {"10.7.0.2", "10.7.0.3"}
    assert await world.executor.sweep({"sandbox1"}) == ["net1 of Pod ns/p0 (net-a)"]
    assert world.leases() == {"10.7.0.3"}
    await world.clean(pods[1], link(text, 1))


async def test_node_says_what_it_lacks(world: World) -> None:
    def node_link(name: str, text: str) -> NodeLink:
        return NodeLink(kind="none", name=PLUGINS_PREFIX + name, plugins=text)

    there = node_link("there", config({"type": "bridge", "ipam": world.ipam()}))
    absent = node_link("absent", config({"type": "ovs"}))
    file = node_link("net-of-file", "{}")
    states = await world.datapath.ensure_node([there, absent, file])
    assert states[there.key].ready
    assert "cannot find the CNI plugin ovs" in states[absent.key].message
    assert "cannot find a CNI configuration with the name 'net-of-file'" in states[file.key].message


async def test_a_plugin_without_an_interface_is_an_entry(world: World) -> None:
    """istio-cni and its like set up a Pod without making an interface."""
    silent = {"type": "debug", "behave": {"ADD": {"print": {"cniVersion": "1.0.0"}}}}
    wanted = link(config(silent, version="1.0.0"), mac="")
    pod = world.pod()
    (found,) = await world.attach(pod, wanted)
    assert (found.name, found.kind, found.addresses, found.mac) == ("net1", "cni", (), "")
    assert await world.attach(pod, wanted) == [found]
    await world.clean(pod, wanted)


async def test_the_pods_status_has_what_the_plugins_gave(world: World, tmp_path: Path) -> None:
    whole = kni_world.World(tmp_path / "records", datapath=world.datapath)  # type: ignore[arg-type]
    text = config({"type": "bridge", "bridge": "br9", "isGateway": True, "ipam": world.ipam()}, {"type": "tuning"})
    whole.add(kni_world.network_config("plugins", cni={"config": text}, ipam=None))
    pod = world.pod()
    record = await whole.core.attach(kni_world.sandbox("plugins", netns=pod.path))
    assert record is not None
    (told,) = status.networks(record)
    assert (told["addresses"], told["gateways"], told["mtu"]) == (["10.7.0.2/24"], ["10.7.0.1"], 1500)
    assert told["mac"] in pod.ip("link", "show", "net0")
    whole.restart()
    assert await whole.core.attach(kni_world.sandbox("plugins", netns=pod.path)) == record
    await whole.core.detach(record.sandbox)
    assert (world.cache.entries(), world.leases(), whole.core.records()) == ([], set(), [])


async def test_the_namespace_must_be_there(world: World) -> None:
    wanted = link(config({"type": "bridge", "ipam": world.ipam()}))
    with pytest.raises(DatapathError):
        await world.datapath.attach("/run/netns/absent", [wanted])
    await world.clean(None, wanted)
