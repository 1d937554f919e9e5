"""Asks the kubelet of this node; made by the server's start, called when a Pod takes a device of a resource."""

import grpc

from podnet_kni_server.datapath.errors import DatapathError
from podnet_kni_server.podresources import podresources_pb2, podresources_pb2_grpc

SOCKET = "/var/lib/kubelet/pod-resources/kubelet.sock"
_SECONDS = 1.0
"""The runtime's hook waits for the answer (2 s by default), so this must be well below."""
_MAX_ANSWER = 16 << 20
"""Bytes; what the kubelet's own clients allow."""


class Kubelet:
    """allocation.Allocation over the kubelet's socket. A channel for each question: a kubelet that restarts makes a
    new socket, and questions are rare."""

    def __init__(self, socket: str = SOCKET) -> None:
        self._socket = socket

    async def devices(self, pod: str, resource: str) -> list[str]:
        """See Allocation."""
        try:
            listed = await self._list()
        except grpc.aio.AioRpcError as error:
            text = f"cannot learn from the kubelet ({self._socket}) which device of {resource} Pod {pod} has"
            raise DatapathError(f"{text}: {error.details()}") from error
        return [
            device
            for one in listed.pod_resources
            if f"{one.namespace}/{one.name}" == pod
            for container in one.containers
            for devices in container.devices
            if devices.resource_name == resource
            for device in devices.device_ids
        ]

    async def _list(self) -> podresources_pb2.ListPodResourcesResponse:
        options = [("grpc.max_receive_message_length", _MAX_ANSWER)]
        async with grpc.aio.insecure_channel(f"unix:{self._socket}", options=options) as channel:
            stub = podresources_pb2_grpc.PodResourcesListerStub(channel)  # type: ignore[no-untyped-call]
            request = podresources_pb2.ListPodResourcesRequest()
            answer: podresources_pb2.ListPodResourcesResponse = await stub.List(request, timeout=_SECONDS)
            return answer
