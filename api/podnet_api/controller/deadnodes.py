"""Labels of dead nodes: that a network is ready there is no longer so, and nobody there can say it.

Kubernetes keeps Pods off such a node by itself; the labels are what people and programs look at. Only their value
changes, because the kubelet would end running Pods whose affinity asks for a key that is gone. A node that comes back
says itself what it has: its KNI server notices any change of its labels.
"""

from __future__ import annotations

import asyncio
import logging
from typing import ClassVar

from podnet_api import core, names
from podnet_api.errors import KubeError
from podnet_api.kube import Client
from podnet_api.meta import Model, ObjectMeta, Resource

log = logging.getLogger(__name__)

EVERY = 60.0
"""Seconds between two looks; a node must be found dead twice."""


class _Status(Model, frozen=True, kw_only=True):
    conditions: list[core.PodCondition] = []


class Node(Model, frozen=True, kw_only=True):
    """A Node, as far as it is needed here."""

    resource: ClassVar[Resource] = core.Node.resource

    metadata: ObjectMeta
    status: _Status = _Status()

    @property
    def dead(self) -> bool:
        """Whether its kubelet is not ready, or has not been heard of (the node lifecycle controller says Unknown)."""
        return any(one.type == "Ready" and one.status != "True" for one in self.status.conditions)

    @property
    def untrue(self) -> list[str]:
        """Keys of the labels that say that a network is ready."""
        labels = self.metadata.labels
        return [key for key in labels if key.startswith(names.NODE_LABEL_PREFIX) and labels[key] == _READY]


_READY = names.NODE_LABEL_VALUE


class Undertaker:
    """Remembers which nodes were dead when it last looked."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._dead: set[str] = set()

    async def run(self) -> None:
        """Look every minute until cancelled."""
        while True:
            try:
                await self.look()
            except KubeError as error:
                log.warning("%s; again in %.0f s", error, EVERY)
            await asyncio.sleep(EVERY)

    async def look(self) -> None:
        """Correct the labels of nodes that were dead before, too. Raises KubeError."""
        nodes, _ = await self._client.list_all(Node)
        dead = {node.metadata.uid: node for node in nodes if node.dead}
        for uid in dead.keys() & self._dead:
            await self._correct(dead[uid])
        self._dead = set(dead)

    async def _correct(self, node: Node) -> None:
        if not node.untrue:
            return
        meta = node.metadata
        labels = dict.fromkeys(node.untrue, names.NODE_LABEL_NOT_READY)
        patch = {"metadata": {"uid": meta.uid, "labels": labels}}
        await self._client.merge(Node.resource, meta.name, patch)
        log.info("node %s is dead: %d of its networks are not ready", meta.name, len(labels))
