"""IPBlocks and NodeNetworks of nodes that are no more.

A node that was deleted may come back a moment later under the same name, and its containers may run on for
a while: what it held is kept until the node has been absent for some time and no Pod is bound to it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from podnet_api import core, kni, names
from podnet_api.controller import kept
from podnet_api.errors import KubeError
from podnet_api.kube import Client

log = logging.getLogger(__name__)

EVERY = 60.0
"""Seconds between two looks."""
ABSENT = 300.0
"""Seconds that a node must have been absent."""

Left = kni.IPBlock | kni.NodeNetwork


class Collector:
    """Remembers since when nodes are absent; a restart starts the time anew."""

    def __init__(self, client: Client, *, absent: float = ABSENT) -> None:
        self._client = client
        self._absent = absent
        self._keeper = kept.Keeper(client)
        self._since: dict[str, float] = {}

    async def run(self) -> None:
        """Look every minute until cancelled."""
        while True:
            try:
                now = asyncio.get_running_loop().time()
                await self.look(now)
                await self._keeper.look(now)
            except KubeError as error:
                log.warning("%s; again in %.0f s", error, EVERY)
            await asyncio.sleep(EVERY)

    async def look(self, now: float) -> None:
        """Delete what belongs to nodes that have been absent long enough. Raises KubeError."""
        left = await self._left()
        gone = _owners(left) - await self._nodes()
        self._since = {node: self._since.get(node, now) for node in gone}
        old = {node for node, since in self._since.items() if now - since >= self._absent}
        old -= await self._busy() if old else set()
        for item in left:
            if _owner(item) in old:
                await self._client.delete(type(item), item.metadata.name, uid=item.metadata.uid)
                log.info("%s %s deleted: node %s is no more", type(item).__name__, item.metadata.name, _owner(item))

    async def _left(self) -> list[Left]:
        """What is kept for a holder goes with the holder, not with a node; what compat holds is compat's."""
        blocks, _ = await self._client.list_all(kni.IPBlock)
        reports, _ = await self._client.list_all(kni.NodeNetwork)
        return [*(block for block in blocks if block.spec.holder is None and not _is_made(block)), *reports]

    async def _nodes(self) -> set[str]:
        nodes, _ = await self._client.list_all(core.Node)
        return {node.metadata.name for node in nodes}

    async def _busy(self) -> set[str]:
        pods, _ = await self._client.list_all(core.Pod)
        return {pod.spec.node_name for pod in pods if not pod.finished}


def _is_made(block: kni.IPBlock) -> bool:
    return names.GENERATED_BY_LABEL in block.metadata.labels


def _owners(left: Iterable[Left]) -> set[str]:
    return {_owner(item) for item in left}


def _owner(item: Left) -> str:
    return item.spec.node_name if isinstance(item, kni.IPBlock) else item.metadata.name
