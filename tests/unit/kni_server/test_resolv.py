"""The resolv.conf of Pods whose default route leads over a network with name servers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from podnet_api import core
from podnet_api.meta import ObjectMeta
from podnet_kni_server import events, hook, publish, resolv, status
from podnet_kni_server.datapath.fake import FakeDatapath
from podnet_kni_server.nri import errors, types
from podnet_kni_server.resolver import Resolver
from podnet_tests.kni_world import World, network_config, sandbox

KUBELET = "search ns.svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n"
OWN = resolv.Dns(("192.0.2.1", "192.0.2.2"), ("corp.example",), ("ndots:2", "edns0"))
LEADS = {"podNetworkName": "blue", "isDefaultGW4": True}
DNS: dict[str, Any] = {"nameservers": ["192.0.2.1"], "search": ["corp.example"], "options": ["edns0"]}


def test_the_clusters_servers_come_first_and_nothing_is_lost() -> None:
    text, left_out = resolv.merged(KUBELET, OWN, "ClusterFirst")
    assert text == (
        "search ns.svc.cluster.local cluster.local corp.example\n"
        "nameserver 10.96.0.10\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n"
        "options ndots:5 edns0\n"
    ), "an option that both give is the one of who comes first"
    assert left_out == ()


def test_with_the_nodes_policy_the_networks_come_first() -> None:
    text, left_out = resolv.merged(KUBELET + "nameserver 192.0.2.9\n", OWN, "Default")
    assert text.splitlines()[:4] == [
        "search corp.example ns.svc.cluster.local cluster.local",
        *(f"nameserver {server}" for server in ("192.0.2.1", "192.0.2.2", "10.96.0.10")),
    ]
    assert text.endswith("options ndots:2 edns0\n")
    assert left_out == ("192.0.2.9",)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", resolv.Dns()),
        ("# nameserver 1.1.1.1\n;search a\nnameserver\n", resolv.Dns()),
        ("domain a\nsearch b c b\n", resolv.Dns(search=("b", "c"))),
        ("nameserver fe80::1%eth0\nnameserver 10.0.0.1 trailing\n", resolv.Dns(("fe80::1%eth0", "10.0.0.1"))),
        ("options a:1\noptions a:2 b\n", resolv.Dns(options=("a:2", "b"))),
    ],
)
def test_reading(text: str, found: resolv.Dns) -> None:
    assert resolv.parse(text) == found
    assert resolv.parse(resolv.render(found)) == found


class Node:
    """A hook with the real files, and a runtime's resolv.conf."""

    def __init__(self, tmp_path: Path) -> None:
        self.world = World(tmp_path / "sandboxes")
        self.said: list[str] = []
        self.pod: core.Pod | None = core.Pod(metadata=ObjectMeta(name="p", namespace="ns", uid="uid-p"))
        self.theirs = tmp_path / "theirs" / "s1" / "resolv.conf"
        self.theirs.parent.mkdir(parents=True)
        self.theirs.write_text(KUBELET)
        publisher = publish.Publisher(None, FakeDatapath(), tmp_path / "status", str, lambda *_: None)  # type: ignore[arg-type]
        said = events.Events(self)
        resolver = Resolver(publisher.directory, lambda *_: self.pod, tmp_path, said)
        self.hook = hook.Hook(self.world.core, publisher, resolv=resolver.mount)
        self.events = said
        self.own = publisher.directory("s1") / "resolv.conf"

    async def event(self, about: core.Pod | core.Node, type_: str, reason: str, message: str, component: str) -> None:
        self.said.append(f"{reason}: {message}")

    def add(self, name: str = "blue", **dns: object) -> None:
        self.world.add(network_config(name, dns=dns or DNS))

    async def create(
        self, *entries: object, source: str = "", spec: dict[str, object] | None = None
    ) -> list[types.Mount]:
        """The mounts of resolv.conf of a new container."""
        if self.pod is not None:
            self.pod = core.Pod(metadata=self.pod.metadata, spec=msgspec.convert(spec or {}, core.PodSpec))
        annotations = sandbox(*entries).annotations
        network = types.Namespace("network", "/proc/self/ns/net")
        pod = types.PodSandbox("s1", "p", "ns", "uid-p", annotations=annotations, namespaces=(network,))
        told = types.Mount(resolv.PATH, "bind", source or str(self.theirs), ("rbind", "rprivate", "rw"))
        made = await self.hook.create_container(pod, types.Container("c1", "s1", "app", mounts=(told,)))
        while self.events._waiting:
            await self.events._write(self.events._waiting.popleft())
        return [mount for mount in made.mounts if mount.destination == resolv.PATH]


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


async def test_a_network_with_the_default_route_is_in_the_file(node: Node) -> None:
    node.add()
    [mount] = await node.create(LEADS)
    assert mount == types.Mount(resolv.PATH, "bind", str(node.own), ("rbind", "rprivate", "rw"))
    assert (
        node.own.read_text() == resolv.merged(KUBELET, resolv.Dns(("192.0.2.1",), ("corp.example",), ("edns0",)), "")[0]
    )
    assert node.theirs.read_text() == KUBELET
    inode = node.own.stat().st_ino
    node.theirs.write_text("nameserver 10.96.0.10\n")
    await node.create(LEADS)
    assert node.own.read_text().splitlines()[0] == "search corp.example", "shorter, and nothing of before at its end"
    assert node.own.stat().st_ino == inode, "a container that has it mounted sees it"


@pytest.mark.parametrize(
    ("entry", "spec"),
    [
        ({"podNetworkName": "blue"}, {}),
        (LEADS, {"dnsPolicy": "None"}),
        (LEADS, {"dnsConfig": {"options": [{"name": "ndots"}]}}),
    ],
    ids=["no default route", "dnsPolicy None", "dnsConfig"],
)
async def test_otherwise_it_stays_the_kubelets(node: Node, entry: object, spec: dict[str, object]) -> None:
    node.add()
    assert await node.create(entry, spec=spec) == []
    assert not node.own.exists()


async def test_name_servers_that_are_to_be_told_alone(node: Node) -> None:
    """Those of networks made from NADs: the kubelet writes resolv.conf without asking plugins."""
    node.add(**DNS, resolvConf=False)
    assert await node.create(LEADS) == []
    assert not node.own.exists()
    [interface] = node.world.core.records()[0].interfaces
    assert (interface.default_versions, interface.nameservers) == ([4], ["192.0.2.1"])


async def test_a_file_of_the_users_stays(node: Node) -> None:
    node.add()
    assert await node.create(LEADS, source="/var/lib/kubelet/pods/u/volume-subpaths/resolv.conf") == []


async def test_what_finds_no_place_is_said(node: Node) -> None:
    node.add(nameservers=["192.0.2.1", "192.0.2.2", "192.0.2.3"])
    await node.create(LEADS)
    await node.create(LEADS)
    assert node.said == ["DNSLeftOut: a resolver asks 3 name servers; left out: 192.0.2.3"], "once"


async def test_a_container_does_not_start_without(node: Node) -> None:
    node.add()
    with pytest.raises(errors.HookRefused, match="mount its directory there under the same path"):
        await node.create(LEADS, source="/nowhere/s1/resolv.conf")
    node.pod = None
    with pytest.raises(errors.HookRefused, match="not known on this node yet"):
        await node.create(LEADS)


async def test_a_file_below_the_nodes_root(node: Node) -> None:
    node.add()
    assert await node.create(LEADS, source="/theirs/s1/resolv.conf")


async def test_an_attachment_has_its_own_servers(node: Node) -> None:
    node.add()
    node.world.attachment_of("mine", "blue", dns={"nameservers": ["192.0.2.7"]})
    await node.create({"podNetworkAttachmentName": "mine", "isDefaultGW4": True})
    assert "192.0.2.7" in node.own.read_text()
    assert "192.0.2.1" not in node.own.read_text()
    record = node.world.core.record("s1")
    assert record is not None
    assert status.networks(record)[0]["nameservers"] == ["192.0.2.7"]


async def test_options_are_in_the_npwg_status(node: Node) -> None:
    node.add()
    await node.create(LEADS)
    record = node.world.core.record("s1")
    assert record is not None
    assert status.npwg(record, str, None)[1]["dns"] == DNS


async def test_a_network_in_place_of_the_default_one_leads(node: Node) -> None:
    node.add()
    entry = {"podNetworkName": "blue", "interfaceName": "eth0"}
    record = await node.world.core.attach(sandbox(entry, bare=True))
    assert record is not None
    assert resolv.wanted(record).nameservers == ("192.0.2.1",)
