"""The objects of the API that this node works from, held in watch caches.

The hot path reads them here and never asks the API server.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable

import msgspec
from podnet_api import core, kni, multinetwork, names, pools
from podnet_api.errors import ConflictError, NotFoundError
from podnet_api.kube import Cache, Client

from podnet_kni_server import hostports, node_resources
from podnet_kni_server.details import PortRecord
from podnet_kni_server.errors import NoAddressError


class Objects:
    """asked.View and block_api.BlockApi over the API server."""

    def __init__(self, client: Client, node: str) -> None:
        self._client = client
        self.node = node
        self.networks = Cache(client, multinetwork.PodNetwork)
        self.attachments = Cache(client, multinetwork.PodNetworkAttachment)
        self.configs = Cache(client, kni.NetworkConfig)
        self.attachment_configs = Cache(client, kni.AttachmentConfig)
        self.blocks = Cache(client, kni.IPBlock)
        self.nodes = Cache(client, core.Node)
        self.pods = Cache(client, hostports.Pod, fieldSelector=f"spec.nodeName={node}")

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Begin to feed the caches."""
        tasks.create_task(self.networks.run(), name="watch PodNetworks")
        tasks.create_task(self.attachments.run(), name="watch PodNetworkAttachments")
        tasks.create_task(self.configs.run(), name="watch NetworkConfigs")
        tasks.create_task(self.attachment_configs.run(), name="watch AttachmentConfigs")
        tasks.create_task(self.blocks.run(), name="watch IPBlocks")
        tasks.create_task(self.nodes.run(), name="watch Nodes")
        tasks.create_task(self.pods.run(), name="watch Pods")

    async def synced(self) -> None:
        """Return once every cache has its first list."""
        await self.networks.synced.wait()
        await self.attachments.synced.wait()
        await self.configs.synced.wait()
        await self.attachment_configs.synced.wait()
        await self.blocks.synced.wait()
        await self.nodes.synced.wait()
        await self.pods.synced.wait()

    def on_network_change(self, call: Callable[[], None]) -> None:
        """Call ``call`` when what this node must have may have changed."""
        self.networks.listen(lambda old, new: call())
        self.configs.listen(lambda old, new: call())
        self.nodes.listen(lambda old, new: call() if _differs(old, new) else None)

    def on_asked_change(self, call: Callable[[], None]) -> None:
        """Call ``call`` when the Pods of this node ask for more or less of what it counts."""
        of_pod = node_resources.of_pod
        self.pods.listen(lambda old, new: call() if of_pod(old) != of_pod(new) else None)

    def on_list_change(self, call: Callable[[], None]) -> None:
        """Call ``call`` when something that a Pod's list may name changed."""
        self.networks.listen(lambda old, new: call())
        self.attachments.listen(lambda old, new: call())
        self.configs.listen(lambda old, new: call())
        self.attachment_configs.listen(lambda old, new: call())

    def pod_network(self, name: str) -> multinetwork.PodNetwork | None:
        """asked.View."""
        return self.networks.get(name)

    def attachment(self, namespace: str, name: str) -> multinetwork.PodNetworkAttachment | None:
        """asked.View."""
        return self.attachments.get(name, namespace)

    def network_config(self, name: str) -> kni.NetworkConfig | None:
        """asked.View."""
        return self.configs.get(name)

    def attachment_config(self, namespace: str, name: str) -> kni.AttachmentConfig | None:
        """asked.View."""
        return self.attachment_configs.get(name, namespace)

    def npwg_name(self, network: str) -> str:
        """What NPWG tools call a network: its NetworkAttachmentDefinition, if it was made from one."""
        found = self.networks.get(network)
        source = found.metadata.annotations.get(names.SOURCE_ANNOTATION, "") if found else ""
        return source.rpartition(" ")[2] or network

    def pool(self, config: str) -> pools.Pool | None:
        """block_api.BlockApi. Validation names what cannot be read; nothing is leased of it."""
        found = self.configs.get(config)
        try:
            return pools.pool_of(found) if found else None
        except ValueError:
            return None

    def member(self, pod: str, interface: str) -> kni.Member | None:
        """block_api.BlockApi."""
        namespace, _, name = pod.partition("/")
        found = self.pods.get(name, namespace)
        if found is None:
            raise NoAddressError(f"cannot lease a sticky address to Pod {pod}: this node has not seen the Pod yet")
        owners = [o for o in found.metadata.owner_references if o.controller and o.kind == "StatefulSet"]
        if not owners:
            return None
        return kni.Member(namespace=namespace, stateful_set=owners[0].name, pod=name, interface=interface)

    def port_holder(self, port: PortRecord) -> str:
        """extras.Policy."""
        return hostports.holder(self.pods, port)

    def known(self) -> Iterable[kni.IPBlock]:
        """block_api.BlockApi."""
        return self.blocks

    async def create(self, block: kni.IPBlock) -> kni.IPBlock:
        """block_api.BlockApi."""
        made = await self._client.create(block)
        self.blocks.learn(made)
        return made

    async def move(self, block: kni.IPBlock, node: str) -> kni.IPBlock:
        """block_api.BlockApi."""
        meta = block.metadata
        patch = {"metadata": {"resourceVersion": meta.resource_version}, "spec": {"nodeName": node}}
        moved = await self._client.merge(kni.IPBlock.resource, meta.name, patch)
        made = msgspec.json.decode(moved, type=kni.IPBlock)
        self.blocks.learn(made)
        return made

    async def delete(self, block: kni.IPBlock) -> None:
        """block_api.BlockApi. Conflict: another object has the name by now."""
        with contextlib.suppress(ConflictError):
            await self._client.delete(kni.IPBlock, block.metadata.name, uid=block.metadata.uid)

    async def read(self, name: str) -> kni.IPBlock | None:
        """block_api.BlockApi."""
        try:
            return await self._client.get(kni.IPBlock, name)
        except NotFoundError:
            return None

    async def listed(self, config: str) -> list[kni.IPBlock]:
        """block_api.BlockApi."""
        blocks, _ = await self._client.list_all(kni.IPBlock, fieldSelector=f"spec.networkConfig={config}")
        return blocks


def _differs(old: core.Node | None, new: core.Node | None) -> bool:
    """Nodes change every few seconds (heartbeats); only labels, addresses and our resources matter here."""
    if old is None or new is None:
        return True
    changed = old.metadata.labels != new.metadata.labels or old.internal_ips != new.internal_ips
    return changed or node_resources.ours(old) != node_resources.ours(new)
