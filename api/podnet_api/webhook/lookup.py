"""Lookup: placement.Objects out of watch caches. Used by ``main`` with --hybrid only."""

from __future__ import annotations

import asyncio
from collections import Counter

from podnet_api import kni, multinetwork
from podnet_api.kube import Cache, Client


class Lookup:
    """``networks`` and ``attachments`` are fed by their owner, the two others by ``start``."""

    def __init__(
        self,
        client: Client,
        networks: Cache[multinetwork.PodNetwork],
        attachments: Cache[multinetwork.PodNetworkAttachment],
    ) -> None:
        self._networks = networks
        self._attachments = attachments
        self._configs = Cache(client, kni.NetworkConfig)
        self._attachment_configs = Cache(client, kni.AttachmentConfig)
        self._users: Counter[str] = Counter()
        networks.listen(self._count)

    def _count(self, old: multinetwork.PodNetwork | None, new: multinetwork.PodNetwork | None) -> None:
        if old is not None:
            self._users[kni.config_name(old)] -= 1
        if new is not None:
            self._users[kni.config_name(new)] += 1

    async def start(self, tasks: asyncio.TaskGroup) -> None:
        """Feed the caches; returns when they are filled."""
        tasks.create_task(self._configs.run(), name="watch NetworkConfigs")
        tasks.create_task(self._attachment_configs.run(), name="watch AttachmentConfigs")
        await self._configs.synced.wait()
        await self._attachment_configs.synced.wait()

    def pod_network(self, name: str) -> multinetwork.PodNetwork | None:
        """placement.Objects."""
        return self._networks.get(name)

    def sharing(self, config: str) -> int:
        """placement.Objects."""
        return self._users[config]

    def config(self, name: str) -> kni.NetworkConfig | None:
        """placement.Objects."""
        return self._configs.get(name)

    def attachment(self, namespace: str, name: str) -> multinetwork.PodNetworkAttachment | None:
        """placement.Objects."""
        return self._attachments.get(name, namespace)

    def attachment_config(self, namespace: str, name: str) -> kni.AttachmentConfig | None:
        """placement.Objects."""
        return self._attachment_configs.get(name, namespace)
