"""Watches: one kube Cache for each kind, connected to the State. Started and supervised by ``main``."""

from __future__ import annotations

import asyncio
import time

from podnet_api import kni, multinetwork
from podnet_api.kube import Cache, Client

from podnet_scheduler_extender import slim
from podnet_scheduler_extender.cache import State


class Watches:
    """The caches. Every change reaches ``state`` in the order in which the API server tells it."""

    def __init__(self, client: Client, state: State) -> None:
        self._networks = Cache(client, multinetwork.PodNetwork)
        self._attachments = Cache(client, multinetwork.PodNetworkAttachment)
        self._attachment_configs = Cache(client, kni.AttachmentConfig)
        self._configs = Cache(client, kni.NetworkConfig)
        self._blocks = Cache(client, kni.IPBlock)
        self._nodes = Cache(client, kni.NodeNetwork)
        self._pods = Cache(client, slim.Pod)
        self._networks.listen(state.on_pod_network)
        self._attachments.listen(state.on_attachment)
        self._attachment_configs.listen(state.on_attachment_config)
        self._configs.listen(state.on_config)
        self._blocks.listen(state.on_block)
        self._nodes.listen(state.on_node)
        self._pods.listen(state.on_pod)
        self._heard_at = time.monotonic()
        self._networks.listen(self._hear)
        self._attachments.listen(self._hear)
        self._attachment_configs.listen(self._hear)
        self._configs.listen(self._hear)
        self._blocks.listen(self._hear)
        self._nodes.listen(self._hear)
        self._pods.listen(self._hear)

    def _hear(self, _old: object, _new: object) -> None:
        self._heard_at = time.monotonic()

    def age(self) -> float:
        """Seconds since the API server last told of a change."""
        return time.monotonic() - self._heard_at

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Start the watches."""
        tasks.create_task(self._networks.run(), name="watch PodNetworks")
        tasks.create_task(self._attachments.run(), name="watch PodNetworkAttachments")
        tasks.create_task(self._attachment_configs.run(), name="watch AttachmentConfigs")
        tasks.create_task(self._configs.run(), name="watch NetworkConfigs")
        tasks.create_task(self._blocks.run(), name="watch IPBlocks")
        tasks.create_task(self._nodes.run(), name="watch NodeNetworks")
        tasks.create_task(self._pods.run(), name="watch Pods")

    def ready(self) -> bool:
        """Whether every cache has its first list."""
        return all(event.is_set() for event in self._events())

    async def synced(self) -> None:
        """Return once every cache has its first list."""
        for event in self._events():
            await event.wait()

    def _events(self) -> list[asyncio.Event]:
        return [
            self._networks.synced,
            self._attachments.synced,
            self._attachment_configs.synced,
            self._configs.synced,
            self._blocks.synced,
            self._nodes.synced,
            self._pods.synced,
        ]
