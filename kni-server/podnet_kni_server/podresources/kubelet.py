"""Asks the kubelet of this node; made by the server's start, called when a Pod takes a device of a resource.

Few nodes have such Pods, and gRPC takes 12 MiB: it is loaded for the first of them, in a thread.
"""

from __future__ import annotations

import asyncio
import importlib
from typing import TYPE_CHECKING

from podnet_kni_server.datapath.errors import DatapathError

if TYPE_CHECKING:
    from podnet_kni_server.podresources import podresources_pb2

SOCKET = "/var/lib/kubelet/pod-resources/kubelet.sock"
_CLIENT = "podnet_kni_server.podresources.client"


class Kubelet:
    """allocation.Allocation over the kubelet's socket."""

    def __init__(self, socket: str = SOCKET) -> None:
        self._socket = socket

    async def devices(self, pod: str, resource: str) -> list[str]:
        """See Allocation."""
        try:
            listed = await self._list()
        except DatapathError as error:
            text = f"cannot learn from the kubelet ({self._socket}) which device of {resource} Pod {pod} has"
            raise DatapathError(f"{text}: {error}") from error
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
        await asyncio.to_thread(importlib.import_module, _CLIENT)
        from podnet_kni_server.podresources import client

        return await client.listed(self._socket)
