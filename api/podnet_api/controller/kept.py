"""Addresses that are kept for members of StatefulSets which are no more.

A member that is scaled down, or whose StatefulSet is deleted, may be meant to come back a moment later; its
Pod, or the sandbox of it, may still be there. So its address goes when that has been so for a while and no
Pod has its name.
"""

from __future__ import annotations

import logging

from podnet_api import core, kni
from podnet_api.kube import Client

log = logging.getLogger(__name__)

UNNEEDED = 60.0
"""Seconds that a member must have been absent."""
_Key = tuple[str, str]
"""Namespace and name."""


class Keeper:
    """Remembers since when members are absent; a restart starts the time anew."""

    def __init__(self, client: Client, *, unneeded: float = UNNEEDED) -> None:
        self._client = client
        self._unneeded = unneeded
        self._since: dict[str, float] = {}

    async def look(self, now: float) -> None:
        """Delete what is kept for nobody any more. Raises KubeError."""
        blocks, _ = await self._client.list_all(kni.IPBlock)
        kept = {block.metadata.uid: block for block in blocks if block.spec.holder is not None}
        absent = await self._absent(kept) if kept else set()
        self._since = {uid: self._since.get(uid, now) for uid in absent}
        old = {uid for uid, since in self._since.items() if now - since >= self._unneeded}
        old |= await self._without_pool(kept) if kept else set()
        pods = await self._pods() if old else set()
        for uid in old:
            if _pod(kept[uid]) not in pods:
                await self._client.delete(kni.IPBlock, kept[uid].metadata.name, uid=uid)
                log.info("IPBlock %s deleted: it was kept for Pod %s/%s", kept[uid].metadata.name, *_pod(kept[uid]))

    async def _absent(self, kept: dict[str, kni.IPBlock]) -> set[str]:
        found, _ = await self._client.list_all(core.StatefulSet)
        sets = {(item.metadata.namespace, item.metadata.name): item for item in found}
        return {uid for uid, block in kept.items() if not _is_member(block, sets)}

    async def _without_pool(self, kept: dict[str, kni.IPBlock]) -> set[str]:
        """Those of a NetworkConfig that is gone: it was let go because nothing used it."""
        found, _ = await self._client.list_all(kni.NetworkConfig)
        configs = {config.metadata.name for config in found}
        return {uid for uid, block in kept.items() if block.spec.network_config not in configs}

    async def _pods(self) -> set[_Key]:
        pods, _ = await self._client.list_all(core.Pod)
        return {(pod.metadata.namespace, pod.metadata.name) for pod in pods}


def _is_member(block: kni.IPBlock, sets: dict[_Key, core.StatefulSet]) -> bool:
    holder = block.spec.holder
    found = sets.get((holder.namespace, holder.stateful_set)) if holder else None
    return holder is not None and found is not None and found.has(holder.pod)


def _pod(block: kni.IPBlock) -> _Key:
    holder = block.spec.holder
    return (holder.namespace, holder.pod) if holder else ("", "")
