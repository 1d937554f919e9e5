"""The second hook with a runtime's own library: libcni (cnitool) calls the shim, the shim calls the server."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

import pytest
from netns import lab as labs
from netns.lab import Lab, Place, crosses
from podnet_api import names
from podnet_hack import shim
from podnet_hack.localcluster import components
from podnet_kni_server.cni import default
from podnet_kni_server.cni.exec import Runner
from podnet_kni_server.cni.executor import Executor
from podnet_kni_server.datapath.kernel import KernelDatapath
from podnet_kni_server.runtime_calls import RuntimeCalls
from podnet_kni_server.second_hook import Listener
from podnet_tests import kni_world
from podnet_tests.cni import Node

pytestmark = [
    pytest.mark.needs("go"),
    pytest.mark.skipif(not components.available(), reason="needs Go, or what it built"),
]
RANGE = {"ranges": [{"cidr": "10.1.0.0/24", "gateway": "10.1.0.1"}]}


@dataclass
class Runtime:
    """libcni on a node, which finds its configuration as a runtime does."""

    node: Place
    pod: Place
    directory: Path
    world: kni_world.World
    executor: Executor

    def call(self, command: str, *entries: dict[str, Any]) -> Any:
        """One command of cnitool; its result. It takes the first configuration, as runtimes do."""
        first = min(path.name for path in (self.directory / "net.d").iterdir())
        name = json.loads((self.directory / "net.d" / first).read_text())["name"]
        listed = {names.NETWORKS_ANNOTATION: json.dumps(entries)} if entries else {}
        env = {
            **os.environ,
            "NETCONFPATH": str(self.directory / "net.d"),
            "CNI_PATH": f"{components.build(components.CNI_PLUGINS)}:{self.directory}/bin",
            "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAMESPACE=ns;K8S_POD_NAME=web-0;K8S_POD_UID=u1",
            "CAP_ARGS": json.dumps({default.ANNOTATIONS: listed}),
        }
        words = ["nsenter", f"--net={self.node.path}", "--", str(components.build(components.CNITOOL) / "cnitool")]
        done = subprocess.run(
            [*words, command, name, self.pod.path], env=env, capture_output=True, text=True, timeout=60
        )
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        return json.loads(done.stdout) if done.stdout.strip() else None

    async def ask(self, command: str, *entries: dict[str, Any]) -> Any:
        """The same, while the server serves in this loop."""
        return await asyncio.to_thread(self.call, command, *entries)


@pytest.fixture
async def runtime(lab: Lab, tmp_path: Path) -> AsyncIterator[Runtime]:
    node, pod = lab.place(), lab.place()
    kept = Node(tmp_path)
    default.install(shim.build(), tmp_path / "bin")
    launcher = ("nsenter", f"--net={node.path}", "--")
    runner = Runner([str(components.build(components.CNI_PLUGINS))], launcher=launcher)
    executor = Executor(runner, kept.cache, tmp_path / "net.d", 20)
    ipam = {"type": "host-local", "subnet": "10.244.1.0/24", "dataDir": str(tmp_path / "ipam")}
    plugin = {"type": "bridge", "bridge": "cni0", "isDefaultGateway": True, "ipam": ipam}
    cluster = {"cniVersion": "1.0.0", "name": "cluster", "plugins": [plugin]}
    (tmp_path / "net.d/10-cluster.conflist").write_text(json.dumps(cluster))
    datapath: KernelDatapath = lab.datapath(node)
    await labs.ready(datapath, labs.bridge("pn-blue", gateways=(ip_interface("10.1.0.1/24"),)))
    world = kni_world.World(tmp_path / "records", datapath=datapath)  # type: ignore[arg-type]
    world.add(kni_world.network_config("blue", ipam=RANGE, mtu=1400))
    calls = RuntimeCalls(world.core, executor, tmp_path / "net.d", lambda *_: None, lambda: "")
    listener = Listener(tmp_path / "cni.sock", calls)
    await listener.start()
    assert default.publish(tmp_path / "net.d", str(tmp_path / "cni.sock"))
    try:
        yield Runtime(node, pod, tmp_path, world, executor)
    finally:
        await listener.stop()


PRIMARY = {"podNetworkName": "blue", "interfaceName": "eth0", "isDefaultGW4": True}


async def test_the_clusters_own_network_and_one_more(runtime: Runtime) -> None:
    made = await runtime.ask("add", {"podNetworkName": "default"}, {"podNetworkName": "blue"})
    assert made["ips"][0]["address"] == "10.244.1.2/24"
    assert {"eth0", "net1"} <= runtime.pod.links()
    assert "default via 10.244.1.1 dev eth0" in runtime.pod.ip("route")
    assert crosses(runtime.pod, runtime.node, "10.1.0.1")
    assert crosses(runtime.pod, runtime.node, "10.244.1.1")
    await runtime.ask("check", {"podNetworkName": "default"}, {"podNetworkName": "blue"})
    await runtime.ask("del")
    assert runtime.pod.links() == {"lo"}
    assert runtime.executor.entries() == []
    assert runtime.world.core.records() == []


async def test_a_network_takes_the_place_of_the_default_one(runtime: Runtime) -> None:
    made = await runtime.ask("add", PRIMARY)
    (address,) = made["ips"]
    assert address["address"].startswith("10.1.0.")
    assert runtime.pod.links() == {"lo", "eth0"}
    assert "default via 10.1.0.1 dev eth0" in runtime.pod.ip("route")
    assert crosses(runtime.node, runtime.pod, address["address"].partition("/")[0])
    await runtime.ask("check", PRIMARY)
    await runtime.ask("status")
    await runtime.ask("del", PRIMARY)
    assert runtime.pod.links() == {"lo"}
    assert runtime.world.core.records() == []


async def test_withdrawn_the_cluster_cleans_up_what_the_shim_began(runtime: Runtime) -> None:
    await runtime.ask("add")
    kept = runtime.directory / "ipam/cluster"
    assert (kept / "10.244.1.2").exists()
    default.withdraw(runtime.directory / "net.d")
    await runtime.ask("del")
    assert not (kept / "10.244.1.2").exists()
    assert runtime.pod.links() == {"lo"}
    await runtime.ask("add")
    assert default.publish(runtime.directory / "net.d", str(runtime.directory / "cni.sock"))
    await runtime.ask("del")
    assert not (kept / "10.244.1.2").exists()
    assert runtime.pod.links() == {"lo"}
