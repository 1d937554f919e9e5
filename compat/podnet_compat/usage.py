"""Which networks and attachments live Pods use: a fresh list of the Pods, read only before something is deleted.

``maker`` and ``collector`` ask. There is no watch of Pods: they are many, and deletions are few. Whoever asks while a
list is being read waits for the next one, together with all others who do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from podnet_api import core, multinetwork, names, networks
from podnet_api.kube import Client


@dataclass(frozen=True)
class Usage:
    """PodNetworks by name and PodNetworkAttachments by namespace and name that Pods name in their lists."""

    networks: frozenset[str]
    attachments: frozenset[tuple[str, str]]


async def now(client: Client, attachments: Iterable[multinetwork.PodNetworkAttachment]) -> Usage:
    """What is used now; ``attachments`` tell which networks are used through them. Raises KubeError."""
    pods, _ = await client.list_all(core.Pod)
    return of(pods, attachments)


class Pods:
    """The Pods, read for all who ask at once."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = asyncio.Lock()
        self._next: asyncio.Future[tuple[core.Pod, ...]] | None = None

    async def used(self, attachments: Iterable[multinetwork.PodNetworkAttachment]) -> Usage:
        """What is used now; as ``now``. The list was begun after the question. Raises KubeError."""
        if self._next is None:
            self._next = asyncio.ensure_future(self._read())
        return of(await asyncio.shield(self._next), attachments)

    async def _read(self) -> tuple[core.Pod, ...]:
        async with self._lock:
            self._next = None
            pods, _ = await self._client.list_all(core.Pod)
            return tuple(pod for pod in pods if names.NETWORKS_ANNOTATION in pod.metadata.annotations)


def of(pods: Iterable[core.Pod], attachments: Iterable[multinetwork.PodNetworkAttachment]) -> Usage:
    """What ``pods`` use."""
    used, through = set[str](), set[tuple[str, str]]()
    for pod in pods:
        for network in () if pod.finished else _listed(pod):
            used.add(network.pod_network_name)
            through.add((pod.metadata.namespace, network.pod_network_attachment_name))
    for item in attachments:
        if (item.metadata.namespace, item.metadata.name) in through:
            used.add(item.spec.pod_network_name)
    return Usage(frozenset(used - {""}), frozenset(key for key in through if key[1]))


def _listed(pod: core.Pod) -> tuple[networks.Network, ...]:
    """The list as far as it can be read: what it names counts even if something else in it is wrong."""
    text = pod.metadata.annotations.get(names.NETWORKS_ANNOTATION)
    return networks.check(text)[0] if text else ()
