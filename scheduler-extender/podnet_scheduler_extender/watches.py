"""Watches: one kube Cache for each kind, connected to the State. Started and supervised by ``main``."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from podnet_api import kni, multinetwork
from podnet_api.kube import Cache, Client
from podnet_api.kube.cache import Listener
from podnet_api.kube.client import K

from podnet_scheduler_extender import slim
from podnet_scheduler_extender.cache import State


class _Watch(Protocol):
    """A Cache, whatever it keeps."""

    synced: asyncio.Event

    async def run(self) -> None: ...


class Watches:
    """The caches. Every change reaches ``state`` in the order in which the API server tells it."""

    def __init__(self, client: Client, state: State) -> None:
        self._client = client
        self._heard_at = time.monotonic()
        self._watches: dict[str, _Watch] = {}
        self._watch(multinetwork.PodNetwork, state.on_pod_network)
        self._watch(multinetwork.PodNetworkAttachment, state.on_attachment)
        self._watch(kni.AttachmentConfig, state.on_attachment_config)
        self._watch(kni.NetworkConfig, state.on_config)
        self._watch(kni.IPBlock, state.on_block)
        self._watch(kni.NodeNetwork, state.on_node)
        self._watch(slim.Pod, state.on_pod)

    def _watch(self, kind: type[K], tell: Listener[K]) -> None:
        cache = Cache(self._client, kind)
        cache.listen(tell)
        cache.listen(self._hear)
        self._watches[kind.resource.plural] = cache

    def _hear(self, _old: object, _new: object) -> None:
        self._heard_at = time.monotonic()

    def age(self) -> float:
        """Seconds since the API server last told of a change."""
        return time.monotonic() - self._heard_at

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Start the watches."""
        for name, watch in self._watches.items():
            tasks.create_task(watch.run(), name=f"watch {name}")

    def ready(self) -> bool:
        """Whether every cache has its first list."""
        return all(watch.synced.is_set() for watch in self._watches.values())

    async def synced(self) -> None:
        """Return once every cache has its first list."""
        for watch in self._watches.values():
            await watch.synced.wait()
