"""The KNI service over a real socket: all seven RPCs under their public names, on a fake kernel; gRPC is loaded when
somebody asks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from podnet_api import kni, names
from podnet_api.knirpc import kni_pb2, kni_pb2_grpc
from podnet_kni_server import door, server
from podnet_tests.kni_world import World, network_config, sandbox


class Node:
    """What the service needs of the node agent."""

    def __init__(self) -> None:
        self.entries = [kni.NodeNetworkEntry(name="blue", ready=False, reason="UplinkDown", message="eth1 is down")]
        self.set_up_calls = 0

    async def set_up(self) -> None:
        self.set_up_calls += 1


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path / "sandboxes")
    made.add(network_config("blue"))
    return made


@pytest.fixture
def node() -> Node:
    return Node()


@contextlib.asynccontextmanager
async def opened(path: Path, world: World, node: Node) -> AsyncIterator[door.Door]:
    made = door.Door(path, lambda: lambda: server.Server(server.Service(world.core, node)))
    await made.start()
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await made.stop()


@pytest.fixture
async def running(tmp_path: Path, world: World, node: Node) -> AsyncIterator[door.Door]:
    async with opened(tmp_path / "kni" / "kni.sock", world, node) as made:
        yield made


@pytest.fixture
async def channel(tmp_path: Path, running: door.Door) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"unix:{tmp_path}/kni/kni.sock") as opened:
        yield opened


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> Any:
    return kni_pb2_grpc.KNIStub(channel)  # type: ignore[no-untyped-call]


def attach_request(*networks: str, **fields: Any) -> Any:
    annotations = dict(sandbox(*networks).annotations)
    isolation = kni_pb2.Isolation(path="/run/netns/s1", type="network")
    known: dict[str, Any] = {"name": "p", "namespace": "ns", "id": "s1", "pod_uid": "u", "annotations": annotations}
    return kni_pb2.AttachInterfaceRequest(**{**known, "isolation": isolation, **fields})


async def test_attach_query_detach(stub: Any, world: World) -> None:
    attached = await stub.AttachInterface(attach_request("default", "blue"))
    config = attached.ipconfigs["net1"]
    assert (list(config.ip), list(config.cidr), config.pod_network) == (["10.1.0.2"], ["10.1.0.2/24"], "blue")
    assert config.mtu == 1450
    assert list(config.gateway) == ["10.1.0.1"]
    by_name = await stub.QueryPodNetwork(kni_pb2.QueryPodNetworkRequest(name="p", namespace="ns"))
    assert by_name.ipconfigs["net1"] == config
    await stub.DetachInterface(kni_pb2.DetachInterfaceRequest(id="s1"))
    await stub.DetachInterface(kni_pb2.DetachInterfaceRequest(id="s1"))
    assert world.nothing_left()


async def test_query_reads_the_kernel_and_does_not_echo(stub: Any, world: World) -> None:
    await stub.AttachInterface(attach_request("blue"))
    world.datapath.namespaces["/run/netns/s1"].clear()
    answer = await stub.QueryPodNetwork(kni_pb2.QueryPodNetworkRequest(id="s1"))
    assert not answer.ipconfigs


@pytest.mark.parametrize(
    ("request_", "code", "words"),
    [
        (attach_request("red"), grpc.StatusCode.NOT_FOUND, "PodNetwork red does not exist"),
        (attach_request("blue", id=""), grpc.StatusCode.INVALID_ARGUMENT, "id is empty"),
        (
            attach_request(annotations={names.NETWORKS_ANNOTATION: "{"}),
            grpc.StatusCode.INVALID_ARGUMENT,
            names.NETWORKS_ANNOTATION,
        ),
        (attach_request("blue", isolation=None), grpc.StatusCode.FAILED_PRECONDITION, "no network namespace"),
    ],
)
async def test_errors_have_a_code_and_name_the_cause(
    stub: Any, request_: Any, code: grpc.StatusCode, words: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.AttachInterface(request_)
    assert caught.value.code() is code
    assert words in (caught.value.details() or "")


async def test_an_unknown_pod_is_not_found(stub: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.QueryPodNetwork(kni_pb2.QueryPodNetworkRequest(name="x", namespace="y"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_the_node_says_why_a_network_is_not_ready(stub: Any, node: Node) -> None:
    [network] = (await stub.QueryNodeNetworks(kni_pb2.QueryNodeNetworksRequest())).networks
    assert (network.name, network.ready, network.reason) == ("blue", False, "UplinkDown")
    await stub.SetupNodeNetwork(kni_pb2.SetupNodeNetworkRequest())
    assert node.set_up_calls == 1


@pytest.mark.needs("root")
async def test_namespaces_are_made_and_removed(stub: Any, tmp_path: Path) -> None:
    asked = kni_pb2.CreateNetworkRequest(name="p", uid="u1", namespace="ns", netns_path_prefix=str(tmp_path / "ns"))
    path = (await stub.CreateNetwork(asked)).netns_path
    assert (await stub.CreateNetwork(asked)).netns_path == path
    assert os.stat(path).st_ino != os.stat("/proc/self/ns/net").st_ino
    await stub.DeleteNetwork(kni_pb2.DeleteNetworkRequest(netns_path=path))
    await stub.DeleteNetwork(kni_pb2.DeleteNetworkRequest(netns_path=path))
    assert not Path(path).exists()


async def test_health_follows_readiness(channel: grpc.aio.Channel, running: door.Door) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    for ready, expected in ((False, "NOT_SERVING"), (True, "SERVING")):
        await running.serving(ready)
        answer = await health.Check(health_pb2.HealthCheckRequest())
        assert health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status) == expected


async def test_who_comes_first_is_served_and_all_after_it(tmp_path: Path, running: door.Door) -> None:
    """The first two connect before gRPC is there; what they said is carried over, and the rest finds gRPC itself."""
    await running.serving(True)
    path = tmp_path / "kni" / "kni.sock"
    before = path.stat().st_ino

    async def ask() -> Any:
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(f"unix:{path}", options=options) as channel:
            return (await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())).status

    assert set(await asyncio.gather(ask(), ask())) == {health_pb2.HealthCheckResponse.SERVING}
    assert path.stat().st_ino != before
    assert await ask() == health_pb2.HealthCheckResponse.SERVING


def test_grpc_is_not_loaded_before_somebody_asks() -> None:
    """It takes 12 MiB, and a node whose runtime has NRI may never need it."""
    words = "import sys, podnet_kni_server.main; sys.exit('grpc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", words], check=False).returncode == 0


@pytest.mark.parametrize("asked", [False, True])
async def test_only_root_reaches_the_socket(tmp_path: Path, running: door.Door, stub: Any, asked: bool) -> None:
    path = tmp_path / "kni" / "kni.sock"
    if asked:
        await stub.QueryNodeNetworks(kni_pb2.QueryNodeNetworksRequest())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_a_stale_socket_is_replaced_and_a_file_is_not(tmp_path: Path, world: World, node: Node) -> None:
    path = tmp_path / "kni.sock"
    for _ in range(2):
        async with opened(path, world, node):
            pass
        path.unlink(missing_ok=True)
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as stale:
            stale.bind(str(path))
    path.unlink(missing_ok=True)
    path.write_text("mine")
    with pytest.raises(door.SocketError, match="not a socket"):
        await door.Door(path, lambda: lambda: server.Server(server.Service(world.core, node))).start()
    assert path.read_text() == "mine"
