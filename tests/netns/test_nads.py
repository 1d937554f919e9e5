"""NADs of every plugin that has a native form: podnet-compat translates, the core attaches, and the Pod has what the
plugin itself would have given it. What this machine's kernel lacks runs in the VM (`make vm`)."""

import json
import pathlib
from typing import Any

import pytest
from netns.lab import Lab, Place, crosses
from podnet_api import kni
from podnet_api.meta import ObjectMeta
from podnet_compat import datapath
from podnet_compat import nad as nads
from podnet_compat import pod as pods
from podnet_compat.annotation import parse
from podnet_compat.legacy import Nad, NadSpec
from podnet_compat.reader import Notes
from podnet_hack.localcluster import components
from podnet_kni_server import kinds
from podnet_kni_server.cni.attach import Plugins
from podnet_kni_server.cni.cache import Cache
from podnet_kni_server.cni.exec import Runner
from podnet_kni_server.cni.executor import Executor
from podnet_kni_server.composite import Composite
from podnet_tests.kni_world import World, pod_network, sandbox

IPAM = {"type": "host-local", "subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.9"}
CASES: dict[str, dict[str, Any]] = {
    "macvlan": {"type": "macvlan", "master": "up0", "mtu": 1400, "ipam": IPAM},
    "macvlan-private": {"type": "macvlan", "master": "up0", "mode": "private", "ipam": IPAM},
    "vlan": {"type": "vlan", "master": "up0", "vlanId": 100, "ipam": IPAM},
    "vlan-mtu": {"type": "vlan", "master": "up0", "vlanId": 4094, "mtu": 1300, "ipam": IPAM},
    "ipvlan": {"type": "ipvlan", "master": "up0", "ipam": IPAM},
    "ipvlan-l3": {"type": "ipvlan", "master": "up0", "mode": "l3", "mtu": 1400, "ipam": IPAM},
    "host-device": {"type": "host-device", "device": "dev0", "ipam": IPAM},
    "bridge": {"type": "bridge", "bridge": "br7", "isGateway": True, "mtu": 1400, "ipam": IPAM},
}
PLUGINS = pytest.mark.skipif(not components.available(), reason="needs the CNI plugins, or Go to build them")


def cases() -> list[Any]:
    """Each with the kind of link that it needs of the kernel."""
    own = {name: name.partition("-")[0] for name in CASES}
    return [
        pytest.param(name, marks=[] if kind in {"bridge", "host"} else [pytest.mark.needs(kind)])
        for name, kind in own.items()
    ]


class Node:
    """A node whose up0 leads to another namespace, with the KNI server's core; its plugins are those that are built."""

    def __init__(self, lab: Lab, directory: pathlib.Path) -> None:
        self.lab = lab
        self.place, far = lab.place(), lab.place()
        lab.cable(self.place, far)
        self.place.ip("link", "add", "dev0", "type", "veth", "peer", "name", "dev9")
        self.world = World(directory / "sandboxes", datapath=self._datapath(directory))  # type: ignore[arg-type]

    def _datapath(self, directory: pathlib.Path) -> Composite:
        cache = Cache(directory / "cache")
        cache.open()
        built = [str(components.build(components.CNI_PLUGINS))] if components.available() else []
        runner = Runner(built, launcher=("nsenter", f"--net={self.place.path}", "--"))
        executor = Executor(runner, cache, directory / "net.d", 20)
        plugins = Plugins(executor, runner, f"{directory}/dhcp.sock", self.place.path)
        return Composite(self.lab.datapath(self.place), plugins)

    async def attach(self, text: str, given: dict[str, dict[str, Any]], number: int = 1) -> Place:
        """A Pod with the annotation ``text``, of NADs ``given``."""
        known = {name: _nad(name, config) for name, config in given.items()}
        wanted = pods.Wanted("Pod test/p", "test", parse(text, "test", Notes()))
        made = pods.translate(wanted, lambda _, name: known.get(name))
        await self._ready([nads.translate(nad).config for nad in made.nads])
        for further in made.further:
            config = nads.translate(further.nad).config.metadata.name
            self.world.networks[further.name] = pod_network(further.name, config)
        pod = self.lab.place()
        listed = [
            {"podNetworkName": one.pod_network_name, "interfaceName": one.interface_name} for one in made.networks[1:]
        ]
        record = await self.world.core.attach(sandbox(*listed, id=f"s{number}", name=f"p{number}", netns=pod.path))
        assert record is not None
        return pod

    async def _ready(self, configs: list[kni.NetworkConfig]) -> None:
        """What the node needs of all of them, at once: what none needs goes."""
        found = {config.metadata.name: kinds.of_config(config) for config in configs}
        wanted = {one.metadata.name: kind.node(one, None, []) for one in configs if (kind := found[one.metadata.name])}
        states = await self.world.datapath.ensure_node(list(wanted.values()))
        assert all(state.ready for state in states.values()), states
        for config in configs:
            self.world.states[config.metadata.name] = states[wanted[config.metadata.name].key]
            self.world.add(config)

    def plugin(self, config: dict[str, Any], directory: pathlib.Path) -> Place:
        """A Pod to which the plugin itself has attached ``config``."""
        place, pod = components.build(components.CNI_PLUGINS), self.lab.place()
        whole = {"cniVersion": "1.0.0", "name": "x", **config, "ipam": {**config["ipam"], "dataDir": str(directory)}}
        environment = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "s9", "CNI_NETNS": pod.path, "CNI_IFNAME": "net1"}
        words = [f"{key}={value}" for key, value in {**environment, "CNI_PATH": place}.items()]
        self.place.run("env", *words, str(place / config["type"]), text=json.dumps(whole))
        return pod


def _nad(name: str, config: dict[str, Any]) -> Nad:
    return Nad(metadata=ObjectMeta(name=name, namespace="test"), spec=NadSpec(config=json.dumps(config)))


def seen(pod: Place) -> dict[str, Any]:
    """What a Pod can tell of its net1."""
    (link,) = json.loads(pod.ip("-json", "-details", "address", "show", "net1"))
    told = link.get("linkinfo", {})
    data = {key: value for key, value in told.get("info_data", {}).items() if key in {"mode", "id", "protocol"}}
    addresses = [(one["local"], one["prefixlen"]) for one in link["addr_info"] if one["scope"] == "global"]
    routes = [(one["dst"], one.get("gateway")) for one in json.loads(pod.ip("-json", "route", "show", "dev", "net1"))]
    return {
        "kind": told.get("info_kind"),
        "data": data,
        "mtu": link["mtu"],
        "addresses": addresses,
        "routes": sorted(routes),
        "up": "UP" in link["flags"],
    }


@PLUGINS
@pytest.mark.parametrize("name", cases())
async def test_the_pod_has_what_the_plugin_gives(lab: Lab, tmp_path: pathlib.Path, name: str) -> None:
    config = CASES[name]
    assert nads.translate(_nad("net", config)).config.spec.cni is None
    natively = seen(await Node(lab, tmp_path / "native").attach("net", {"net": config}))
    by_plugin = seen(Node(lab, tmp_path / "other").plugin(config, tmp_path / "store"))
    assert natively == by_plugin
    assert natively["addresses"] == [("10.1.0.9", 24)]


async def test_ptp_pods_reach_each_other_over_the_node(lab: Lab, tmp_path: pathlib.Path) -> None:
    """The plugin's peer is the node, as here; how the Pod's address is written differs (a /32)."""
    node = Node(lab, tmp_path)
    ptp = {"type": "ptp", "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}}
    one, two = [await node.attach("net", {"net": ptp}, number) for number in (1, 2)]
    ((address, length),) = seen(two)["addresses"]
    assert length == 32
    assert crosses(one, two, address)


@pytest.mark.needs("bond")
async def test_a_bond_of_two_networks(lab: Lab, tmp_path: pathlib.Path) -> None:
    """The plugin bond, with links in the container that earlier entries made."""
    part = {"type": "bridge", "bridge": "br7", "ipam": {}}
    links = [{"name": "net1"}, {"name": "net2"}]
    bond = {"type": "bond", "mode": "active-backup", "miimon": "100", "linksInContainer": True, "links": links,
            "failOverMac": 1, "ipam": IPAM}  # fmt: skip
    pod = await Node(lab, tmp_path).attach("part,part,bond@bond0", {"part": part, "bond": bond})
    (link,) = json.loads(pod.ip("-json", "-details", "address", "show", "bond0"))
    data = link["linkinfo"]["info_data"]
    assert (data["mode"], data["miimon"]) == ("active-backup", 100)
    assert [one["local"] for one in link["addr_info"] if one["scope"] == "global"] == ["10.1.0.9"]
    masters = {one["ifname"]: one.get("master") for one in json.loads(pod.ip("-json", "link"))}
    assert (masters["net1"], masters["net2"]) == ("bond0", "bond0")


TAP = {"type": "tap", "ipam": {"type": "static", "addresses": [{"address": "10.1.0.9/24"}]}}
VRF = {
    "cniVersion": "1.0.0",
    "plugins": [{"type": "macvlan", "master": "up0", "ipam": TAP["ipam"]}, {"type": "vrf", "vrfname": "red"}],
}


@PLUGINS
async def test_a_tap_is_left_to_its_plugin(lab: Lab, tmp_path: pathlib.Path) -> None:
    found = seen(await Node(lab, tmp_path).attach("net", {"net": TAP}))
    assert (found["kind"], found["addresses"]) == ("tun", [("10.1.0.9", 24)])


@PLUGINS
@pytest.mark.needs("macvlan", "vrf")
async def test_a_chained_vrf_is_left_to_its_plugin(lab: Lab, tmp_path: pathlib.Path) -> None:
    pod = await Node(lab, tmp_path).attach("net", {"net": VRF})
    (link,) = json.loads(pod.ip("-json", "link", "show", "net1"))
    assert (link["master"], seen(pod)["kind"]) == ("red", "macvlan")


def test_plugins_are_what_the_table_names() -> None:
    """So that a case is not forgotten when a plugin becomes native."""
    shown = {config["type"] for config in CASES.values()} | {"ptp", "bond"}
    elsewhere = {"cnv-bridge", "sriov", "userspace"}
    assert shown | elsewhere == set(datapath.MAKERS)
