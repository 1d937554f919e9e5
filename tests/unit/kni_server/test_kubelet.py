"""What the kubelet gave to a Pod, asked over a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.podresources import Kubelet, podresources_pb2, podresources_pb2_grpc


class Lister(podresources_pb2_grpc.PodResourcesListerServicer):
    """Two Pods, one of them with a device in each of two containers."""

    async def List(self, request: Any, context: Any) -> Any:
        made = [_container("nic", "0000:01:00.1"), _container("nic", "0000:01:00.2"), _container("gpu", "g1")]
        return podresources_pb2.ListPodResourcesResponse(
            pod_resources=[
                podresources_pb2.PodResources(name="p", namespace="ns", containers=made),
                podresources_pb2.PodResources(name="p", namespace="other", containers=[_container("nic", "x")]),
            ]
        )


def _container(resource: str, device: str) -> Any:
    devices = podresources_pb2.ContainerDevices(resource_name=f"example.com/{resource}", device_ids=[device])
    return podresources_pb2.ContainerResources(name=f"c-{device}", devices=[devices])


@pytest.fixture
async def socket(tmp_path: Path) -> AsyncIterator[str]:
    path = str(tmp_path / "kubelet.sock")
    server = grpc.aio.server()
    podresources_pb2_grpc.add_PodResourcesListerServicer_to_server(Lister(), server)  # type: ignore[no-untyped-call]
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    yield path
    await server.stop(None)


async def test_devices_of_all_containers_of_the_pod(socket: str) -> None:
    kubelet = Kubelet(socket)
    assert await kubelet.devices("ns/p", "example.com/nic") == ["0000:01:00.1", "0000:01:00.2"]
    assert await kubelet.devices("ns/p", "example.com/fpga") == []
    assert await kubelet.devices("ns/q", "example.com/nic") == []


async def test_a_kubelet_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nobody.sock"
    words = f"cannot learn from the kubelet .{path}. which device of example.com/nic Pod ns/p has: cannot list"
    with pytest.raises(DatapathError, match=words):
        await Kubelet(str(path)).devices("ns/p", "example.com/nic")
