"""The second hook: calls of a runtime, the cluster's own plugins (a debug plugin), a core with a fake kernel."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from podnet_api import names
from podnet_api.errors import PodnetError
from podnet_kni_server import without_nri
from podnet_kni_server.cni import default
from podnet_kni_server.cni.errors import CniError, Code
from podnet_kni_server.cni.executor import VALID_ATTACHMENTS
from podnet_kni_server.errors import AttachError
from podnet_kni_server.runtime_calls import Call, RuntimeCalls
from podnet_tests import kni_world
from podnet_tests.cni import Node

ARGS = "IgnoreUnknown=1;K8S_POD_NAMESPACE=ns;K8S_POD_NAME=web-0;K8S_POD_INFRA_CONTAINER_ID=s1;K8S_POD_UID=uid1"
CLUSTER = {"address": "10.244.1.7/24", "gateway": "10.244.1.1", "interface": 0}


class Runtime:
    """A runtime that calls, and everything behind."""

    def __init__(self, directory: Path) -> None:
        self.node = Node(directory)
        self.node.plugin()
        link = {"name": "eth0", "mac": "02:00:00:00:00:01", "sandbox": "/run/netns/s1"}
        made = {"cniVersion": "1.0.0", "interfaces": [link], "ips": [CLUSTER]}
        plugin = {"behave": {"ADD": {"print": made}}, "capabilities": {"portMappings": True}}
        text = self.node.config(plugin, version="1.0.0")
        (directory / "net.d/10-cluster.conflist").write_text(text)
        self.world = kni_world.World(directory / "records")
        self.known: dict[str, str] | None = None
        self.why = ""
        self.calls = RuntimeCalls(
            self.world.core, self.node.executor, directory / "net.d", self._annotations, lambda: self.why
        )

    def _annotations(self, namespace: str, name: str, uid: str) -> Mapping[str, str] | None:
        assert (namespace, name, uid) == ("ns", "web-0", "uid1")
        return self.known

    async def call(
        self, command: str, *entries: dict[str, Any], told: bool = True, config: Mapping[str, Any] | None = None
    ) -> Any:
        """As containerd does: annotations are a capability argument."""
        annotations = {names.NETWORKS_ANNOTATION: json.dumps(entries)} if entries else {}
        offered: dict[str, Any] = {default.ANNOTATIONS: annotations} if told else {}
        offered |= {"portMappings": [{"hostPort": 80}], "dns": {"searches": ["a"]}}
        whole: dict[str, object] = {
            "cniVersion": "1.0.0",
            "name": "podnet",
            "type": "podnet-cni",
            "runtimeConfig": offered,
        }
        whole |= config or {}
        return await self.calls.answer(Call(command, whole, "s1", "/run/netns/s1", "eth0", ARGS))


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    made = Runtime(tmp_path)
    made.world.add(kni_world.network_config("blue"))
    return made


PRIMARY = {"podNetworkName": "blue", "interfaceName": "eth0", "isDefaultGW4": True}


async def test_a_pod_without_networks_gets_the_clusters_own(runtime: Runtime) -> None:
    made = await runtime.call("ADD")
    assert made["ips"] == [CLUSTER]
    (called,) = runtime.node.calls()
    assert called["stdin"]["name"] == "net-a"
    assert called["stdin"]["runtimeConfig"] == {"portMappings": [{"hostPort": 80}]}
    assert called["env"]["CNI_IFNAME"] == "eth0"
    assert "K8S_POD_NAME=web-0;" in called["env"]["CNI_ARGS"]
    await runtime.call("CHECK")
    await runtime.call("DEL")
    assert runtime.node.commands() == ["ADD debug", "CHECK debug", "DEL debug"]
    assert runtime.node.cache.entries() == []


async def test_other_networks_are_attached_before_the_sandbox_is_made(runtime: Runtime) -> None:
    made = await runtime.call("ADD", {"podNetworkName": "default"}, {"podNetworkName": "blue"})
    assert made["ips"] == [CLUSTER]
    record = runtime.world.core.record("s1")
    assert record is not None
    assert record.pod_ips == ["10.244.1.7"]
    assert [one.link.name for one in record.interfaces] == ["net1"]
    await runtime.call("DEL")
    assert runtime.world.nothing_left()


async def test_a_network_takes_the_place_of_the_default_one(runtime: Runtime) -> None:
    made = await runtime.call("ADD", PRIMARY)
    assert runtime.node.calls() == []
    (ip,) = made["ips"]
    assert ip["address"].startswith("10.1.0.")
    assert ip["gateway"] == "10.1.0.1"
    assert made["routes"] == [{"dst": "0.0.0.0/0", "gw": "10.1.0.1"}]
    assert [(one["name"], one["sandbox"]) for one in made["interfaces"]] == [("eth0", "/run/netns/s1")]
    again = await runtime.call("ADD", PRIMARY)
    assert again == made
    await runtime.call("CHECK")
    await runtime.call("DEL")
    assert runtime.world.nothing_left()
    assert runtime.node.calls() == []


async def test_without_the_shim_that_is_refused(runtime: Runtime) -> None:
    with pytest.raises(AttachError, match="which needs the CNI shim on this node"):
        await runtime.world.core.attach(kni_world.sandbox(PRIMARY))
    assert runtime.world.nothing_left()


async def test_a_primary_without_an_address_is_refused(runtime: Runtime) -> None:
    runtime.world.add(kni_world.network_config("bare", ipam=None))
    with pytest.raises(CniError, match="bare gives no address, so it cannot take the place"):
        await runtime.call("ADD", {"podNetworkName": "bare", "interfaceName": "eth0"})
    assert runtime.world.nothing_left()


async def test_failure_takes_the_clusters_network_away_again(runtime: Runtime) -> None:
    with pytest.raises(PodnetError, match="PodNetwork absent does not exist"):
        await runtime.call("ADD", {"podNetworkName": "default"}, {"podNetworkName": "absent"})
    assert runtime.node.commands() == ["ADD debug", "DEL debug"]
    assert runtime.node.cache.entries() == []


async def test_annotations_that_the_runtime_does_not_tell(runtime: Runtime) -> None:
    with pytest.raises(CniError, match="is not known on this node yet") as caught:
        await runtime.call("ADD", told=False)
    assert caught.value.code == Code.TRY_AGAIN_LATER
    runtime.known = {names.NETWORKS_ANNOTATION: json.dumps([PRIMARY])}
    made = await runtime.call("ADD", told=False)
    assert made["ips"][0]["gateway"] == "10.1.0.1"


async def test_del_of_what_was_there_before_the_shim(runtime: Runtime) -> None:
    await runtime.call("DEL")
    (called,) = runtime.node.calls()
    assert called["env"]["CNI_COMMAND"] == "DEL"
    assert "prevResult" not in called["stdin"]


async def test_status(runtime: Runtime) -> None:
    await runtime.call("STATUS")
    runtime.why = "the caches are not filled yet"
    with pytest.raises(CniError, match="the caches are not filled yet") as caught:
        await runtime.call("STATUS")
    assert caught.value.code == Code.UNAVAILABLE
    runtime.why = ""
    for path in (runtime.node.directory / "net.d").iterdir():
        path.unlink()
    with pytest.raises(CniError, match="cannot find the cluster's own CNI configuration"):
        await runtime.call("STATUS")


async def test_gc_and_sweep(runtime: Runtime) -> None:
    await runtime.call("ADD")
    assert await runtime.node.executor.sweep(set()) == []
    await runtime.call("GC", config={VALID_ATTACHMENTS: [{"containerID": "s1", "ifname": "eth0"}]})
    assert len(runtime.node.cache.entries()) == 1
    await runtime.call("GC", config={VALID_ATTACHMENTS: []})
    assert runtime.node.cache.entries() == []
    assert runtime.node.commands() == ["ADD debug", "DEL debug"]


async def test_what_the_runtime_forgot_is_swept_after_a_while(runtime: Runtime) -> None:
    """The hook was taken away meanwhile: the cluster's own plugins had the DEL."""
    await runtime.call("ADD")
    (entry,) = runtime.node.cache.entries()
    runtime.node.cache.put(msgspec.structs.replace(entry, made=entry.made - 3600))
    assert await runtime.node.executor.sweep({"s1"}) == []
    assert await runtime.node.executor.sweep(set()) == ["eth0 of Pod ns/web-0 (net-a)"]
    assert runtime.node.cache.entries() == []


def test_the_configuration_comes_and_goes(tmp_path: Path) -> None:
    directory = tmp_path / "net.d"
    directory.mkdir()
    cluster = directory / "00-multus.conf"
    assert not default.publish(directory, "/run/kni/cni.sock")
    assert list(directory.iterdir()) == []
    cluster.write_text('{"cniVersion": "1.0.0", "name": "own", "type": "bridge"}')
    assert default.publish(directory, "/run/kni/cni.sock")
    assert sorted(path.name for path in directory.iterdir()) == [default.FILE, "00-multus.conf"]
    assert json.loads(default.cluster_text(directory))["name"] == "own"
    cluster.unlink()
    assert not default.publish(directory, "/run/kni/cni.sock")
    assert list(directory.iterdir()) == []


def test_install_and_uninstall(tmp_path: Path) -> None:
    source, programs, configurations = tmp_path / "built", tmp_path / "bin", tmp_path / "net.d"
    source.write_bytes(b"one")
    configurations.mkdir()
    default.install(source, programs)
    inode = (programs / default.PROGRAM).stat().st_ino
    default.install(source, programs)
    assert (programs / default.PROGRAM).stat().st_ino == inode
    source.write_bytes(b"two")
    default.install(source, programs)
    assert (programs / default.PROGRAM).read_bytes() == b"two"
    assert (programs / default.PROGRAM).stat().st_mode & 0o777 == 0o755
    default.uninstall(configurations, programs)
    assert list(programs.iterdir()) == []
    with pytest.raises(default.InstallError, match="cannot install"):
        default.install(tmp_path / "absent", programs)


async def test_without_nri_what_containers_would_need_is_refused(runtime: Runtime) -> None:
    directory = runtime.node.directory
    runtime.calls = RuntimeCalls(
        runtime.world.core, runtime.node.executor, directory / "net.d", runtime._annotations, lambda: "", alone=True
    )
    runtime.world.add(kni_world.network_config("switch", userspace={"protocol": "memif"}, ipam=None))
    with pytest.raises(CniError, match="net1 needs something in the containers, which takes a runtime with NRI"):
        await runtime.call("ADD", {"podNetworkName": "default"}, {"podNetworkName": "switch", "interfaceName": "net1"})
    assert runtime.world.nothing_left()
    assert await runtime.call("ADD", {"podNetworkName": "default"}, {"podNetworkName": "blue"})
    assert without_nri.alive(runtime.world.core.records()) == [], "there is no such namespace"
    record = msgspec.structs.replace(runtime.world.core.records()[0], netns="/proc/self/ns/net")
    assert without_nri.sandboxes([record], lambda *_: None) == {}, "nothing is known of what it wants"
    [sandbox] = without_nri.sandboxes([record], lambda *_: {"a": "b"}).values()
    assert (sandbox.pod, sandbox.annotations) == ("ns/web-0", {"a": "b"})
