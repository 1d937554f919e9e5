"""Hot-plug from the list to the real kernel: the core, the plan and the datapath together."""

import json
from collections.abc import AsyncIterator
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

import pytest
from netns.lab import Lab, Place, bridge, ready
from podnet_kni_server import attach, containers, plug
from podnet_kni_server.checkpoint import Store
from podnet_kni_server.datapath.lent import Ledger
from podnet_kni_server.records import Record
from podnet_tests.kni_world import World, network_config, sandbox


class Scene:
    """A node with two bridges, and one Pod whose list changes."""

    def __init__(self, lab: Lab, directory: Path) -> None:
        self.world = World(directory / "world")
        self.node, self.pod = lab.place(), lab.place()
        self.far = lab.place()
        lab.cable(self.node, self.far)
        self.datapath = lab.datapath(self.node, Ledger(directory / "devices"))
        self.core = attach.Core(
            view=self.world,
            node=self.world,
            leases=self.world.leases,
            blocks=self.world.blocks,
            store=Store(directory / "sandboxes"),
            datapath=self.datapath,
        )

    async def open(self) -> None:
        """Networks blue and green, the cluster's own interface, and the Pod on blue."""
        for name, four, six in (("blue", "10.1.0", "fd00:1::/64"), ("green", "10.2.0", "fd00:2::/64")):
            ranges = [{"cidr": f"{four}.0/24", "gateway": f"{four}.1"}, {"cidr": six}]
            self.world.add(network_config(name, bridge={"name": f"br-{name}"}, ipam={"ranges": ranges}))
        await ready(self.datapath, bridge("br-blue", anti_spoof=True), bridge("br-green", anti_spoof=True))
        self.pod.ip("link", "add", "eth0", "type", "veth", "peer", "name", "far0")
        for name in ("eth0", "far0"):
            self.pod.ip("link", "set", name, "up")
        self.pod.ip("addr", "add", "192.0.2.2/24", "dev", "eth0")
        self.pod.ip("route", "add", "default", "via", "192.0.2.1")
        self.core.load()
        await self.core.attach(sandbox("default", "blue", netns=self.pod.path))

    async def edit(self, *entries: Any) -> Record:
        """The list becomes this."""
        plugger = plug.Plugger(self.core, self.world, self.datapath)
        outcome = await plugger.bring(sandbox("default", *entries, netns=self.pod.path))
        assert outcome is not None
        assert outcome.errors == []
        checked = await self.datapath.check(self.pod.path, attach.whole_links(outcome.record))
        assert (checked.findings, checked.outside) == ((), {}), "the kernel has what the record says"
        return outcome.record

    def default(self) -> list[tuple[str, str]]:
        """Where the IPv4 default route leads."""
        found = json.loads(self.pod.ip("-j", "route", "show", "default"))
        return [(one["gateway"], one["dev"]) for one in found]


@pytest.fixture
async def scene(lab: Lab, tmp_path: Path) -> AsyncIterator[Scene]:
    made = Scene(lab, tmp_path)
    await made.open()
    yield made
    await made.core.detach("s1")
    assert made.pod.links() == {"lo", "eth0", "far0"}
    assert not [name for name in made.node.links() if name.startswith("pnv")]
    assert not [made.world.leases.used(name) for name in ("blue", "green") if made.world.leases.used(name)]


def index(place: Place, name: str) -> int:
    return int(json.loads(place.ip("-j", "link", "show", name))[0]["ifindex"])


async def test_a_default_route_comes_and_goes_back(scene: Scene) -> None:
    before = index(scene.pod, "net1")
    await scene.edit("blue", {"podNetworkName": "green", "isDefaultGW4": True})
    assert scene.default() == [("10.2.0.1", "net2")]
    await scene.edit({"podNetworkName": "blue", "interfaceName": "net1"})
    assert scene.default() == [("192.0.2.1", "eth0")]
    assert index(scene.pod, "net1") == before, "the entry that did not change was not touched"


async def test_a_default_route_moves_from_one_network_to_another(scene: Scene) -> None:
    await scene.edit({"podNetworkName": "blue", "isDefaultGW4": True}, "green")
    assert scene.default() == [("10.1.0.1", "net1")]
    await scene.edit("blue", {"podNetworkName": "green", "isDefaultGW4": True})
    assert scene.default() == [("10.2.0.1", "net2")]


async def test_addresses_change_in_place(scene: Scene) -> None:
    scene.world.attachment_of("one", "blue", addresses=["10.1.0.50"])
    scene.world.attachment_of("two", "blue", addresses=["10.1.0.51", "fd00:1::51"])
    before = index(scene.pod, "net1")
    for name, wanted in (("one", {"10.1.0.50/24"}), ("two", {"10.1.0.51/24", "fd00:1::51/64"})):
        record = await scene.edit({"podNetworkAttachmentName": name})
        assert set(record.interfaces[0].link.addresses) >= wanted
        assert len(record.interfaces[0].link.addresses) == 2, "one of each family"
    assert index(scene.pod, "net1") == before
    record = await scene.edit("blue")
    assert record.interfaces[0].link.addresses == ["10.1.0.2/24", "fd00:1::1/64"]


UPLINK = {"uplink": {"interface": "up0"}}
KINDS: dict[str, dict[str, Any]] = {
    "macvlan": {"macvlan": {}, **UPLINK},
    "macvtap": {"macvtap": {"owner": 107}, **UPLINK},
    "vlan": {"vlan": {"vid": 100, "mode": "direct"}, **UPLINK},
    "ipvlan": {"ipvlan": {}, **UPLINK},
    "tap": {"tap": {"bridge": "br-blue"}},
    "routed": {"routed": {}},
    "hostDevice": {"hostDevice": {"name": "up0"}},
}
_NOTHING = frozenset(("tap", "routed", "hostDevice"))


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind in _NOTHING else pytest.mark.needs(kind)) for kind in KINDS]
)
async def test_addresses_change_in_place_whatever_the_kind(scene: Scene, kind: str) -> None:
    """Of what containers were given nothing is forgotten: one that starts again finds its device."""
    ranges = [{"cidr": "10.3.0.0/24"}, {"cidr": "fd00:3::/64"}]
    scene.world.add(network_config("other", **KINDS[kind], ipam={"ranges": ranges}))
    scene.world.attachment_of("some", "other", addresses=["10.3.0.50", "fd00:3::50"])
    scene.world.attachment_of("more", "other", addresses=["10.3.0.50", "10.3.0.51", "fd00:3::51"])
    first = await scene.edit("blue", {"podNetworkAttachmentName": "some"})
    before, devices = index(scene.pod, "net2"), containers.devices(first)
    assert bool(devices) == (kind in ("tap", "macvtap"))
    for name in ("more", "some"):
        record = await scene.edit("blue", {"podNetworkAttachmentName": name})
        wanted = scene.world.attachment_configs["ns", name].spec.addresses
        assert {text.partition("/")[0] for text in record.interfaces[1].link.addresses} == set(wanted)
        assert index(scene.pod, "net2") == before, "the link stayed"
        assert containers.devices(record) == devices
        assert record.interfaces[1].link.mac == first.interfaces[1].link.mac
    await scene.edit("blue")


async def test_addresses_change_in_place_with_all_that_a_link_has_on_top(scene: Scene) -> None:
    """Rates, a table of the network's own, kernel parameters and ports of the node stay, and follow the addresses."""
    ranges = [{"cidr": "10.1.0.0/24", "gateway": "10.1.0.1"}, {"cidr": "fd00:1::/64"}]
    datapath = {"name": "br-blue", "gateway": True}
    scene.world.add(network_config("blue", bridge=datapath, ipam={"ranges": ranges}, policyRouting=True))
    scene.node.run("sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
    gateways = (ip_interface("10.1.0.1/24"),)
    await ready(scene.datapath, bridge("br-blue", anti_spoof=True, gateways=gateways), bridge("br-green"))
    own = {
        "bandwidth": {"ingressRate": 10**8, "egressRate": 10**8},
        "portMappings": [{"hostPort": 8080, "containerPort": 80}],
        "sysctls": {"net.ipv4.conf.IFNAME.arp_ignore": "2"},
    }
    await scene.edit()
    wanted = {"one": ["10.1.0.50"], "two": ["10.1.0.51", "fd00:1::51"], "three": ["10.1.0.50", "fd00:1::51"]}
    for name, addresses in wanted.items():
        scene.world.attachment_of(name, "blue", addresses=addresses, **own)
    first = await scene.edit({"podNetworkAttachmentName": "one"})
    before = index(scene.pod, "net1")
    for name, address, gone in (("two", "10.1.0.51", "10.1.0.50"), ("three", "10.1.0.50", "10.1.0.51")):
        record = await scene.edit({"podNetworkAttachmentName": name})
        assert index(scene.pod, "net1") == before, "the link stayed"
        assert record.interfaces[0].link.extras is not None
        rules, ports = scene.pod.ip("rule"), scene.node.run("nft", "list", "table", "inet", "podnet_ports")
        for told in (rules, ports):
            assert address in told
            assert gone not in told
        assert "tbf" in scene.node.run("tc", "qdisc", "show", "dev", record.interfaces[0].link.host_name)
    assert first.interfaces[0].link.extras == record.interfaces[0].link.extras
