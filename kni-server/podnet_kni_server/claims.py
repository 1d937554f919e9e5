"""Claims: which IPBlocks are this node's, and how they go back.

An address must never be leased by two nodes, so what is not certain counts against us: a block whose
deletion has been sent is leased no more, whatever the answer; a claim whose answer was lost is ours as soon
as the watch shows it. Blocks without a lease go back after a while (``idle``).
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import logging
from collections.abc import Callable
from typing import Protocol

import msgspec
from podnet_api import kni, pools
from podnet_api.errors import AlreadyExistsError, KubeError, UnreachableError
from podnet_api.meta import ObjectMeta

from podnet_kni_server import faultpoints, idle
from podnet_kni_server.block_api import BlockApi
from podnet_kni_server.leases import Leases

log = logging.getLogger(__name__)

TIDY_SECONDS = 2.0
_KEPT = 4
"""A block goes back only if a part of one, this much of it, remains free besides the low-water mark: one that went back
at the mark would be claimed again for the next Pod."""
_network = functools.lru_cache(maxsize=4096)(ipaddress.ip_network)


class Room(Protocol):
    """What a node can still lease of a pool, and claim (``blocks``)."""

    def low(self, pool: pools.Pool, version: int, without: int = 0) -> bool:
        """Whether, ``without`` so many free addresses, another block should be claimed ahead of need."""

    def used_up(self, pool: pools.Pool, version: int) -> bool:
        """Whether no node can claim another block."""


class Claims:
    """The IPBlocks of this node, by name."""

    def __init__(self, node: str, leases: Leases, api: BlockApi, changed: Callable[[], None], room: Room) -> None:
        self._node = node
        self._leases = leases
        self._api = api
        self._changed = changed
        self._room = room
        self._mine: dict[str, kni.IPBlock] = {}
        self._leaving: dict[str, kni.IPBlock] = {}
        self._idle = idle.Idle()
        self._lost: asyncio.Queue[kni.IPBlock] = asyncio.Queue()

    def adopt(self) -> None:
        """Take over what the API says is ours, and claim again what Pods of this node hold outside of that:
        somebody may have deleted a block while we were away."""
        for block in self._api.known():
            if block.spec.node_name == self._node:
                self.take(block)
        for config, address in self._leases.strays():
            pool = self._api.pool(config)
            network = pool.claim_of(address) if pool and not pool.per_node else None
            if network is not None and self._mine_at(config, network) is None:
                self._lost.put_nowait(_claim(config, network, self._node))

    def networks(self, config: str) -> set[pools.Network]:
        """All that is ours, or may still be, of a pool."""
        both = (*self._mine.values(), *self._leaving.values())
        return {_network(block.spec.cidr) for block in both if block.spec.network_config == config}

    def take(self, block: kni.IPBlock) -> bool:
        """``block`` is ours: leases may come from it, unless it is kept for somebody. False: it is on its way out."""
        name = block.metadata.name
        if name in self._leaving and self._leaving[name].metadata.uid == block.metadata.uid:
            return False
        new = name not in self._mine
        self._mine[name] = block
        if block.spec.holder is None:
            self._leases.add_block(*_spot(block))
        if new:
            log.info("claimed %s of NetworkConfig %s", block.spec.cidr, block.spec.network_config)
            self._changed()
        return True

    def seen(self, old: kni.IPBlock | None, new: kni.IPBlock | None) -> None:
        """The watch shows a change. A block that is ours without our doing is a claim whose answer was lost."""
        if new is not None and new.spec.node_name == self._node:
            self.take(new)
        elif new is not None and new.metadata.name in self._mine:
            self._moved(new)
        elif new is None and old is not None and self._is_mine(old):
            self._lost.put_nowait(old)

    def _is_mine(self, block: kni.IPBlock) -> bool:
        held = self._mine.get(block.metadata.name)
        return held is not None and held.metadata.uid == block.metadata.uid

    def _mine_at(self, config: str, network: pools.Network) -> kni.IPBlock | None:
        return self._mine.get(pools.block_name(config, network))

    def _moved(self, block: kni.IPBlock) -> None:
        """The member that the address is kept for runs on another node now."""
        del self._mine[block.metadata.name]
        holder = self._leases.holder(*_first(block))
        if holder is not None:
            text = "%s has gone to node %s, but Pod %s still has it"
            log.error(text, block.spec.cidr, block.spec.node_name, holder.pod)

    async def run(self) -> None:
        """Claim what was lost and give idle blocks back, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._give_back_idle(), name="give back")
            tasks.create_task(self._claim_lost(), name="claim lost")

    async def _claim_lost(self) -> None:
        """Somebody deleted a block of ours: claim it again before another node leases its addresses."""
        while True:
            block = await self._lost.get()
            try:
                await self._claim_again(block)
            except KubeError as error:
                log.warning("%s; trying again", error)
                await asyncio.sleep(TIDY_SECONDS)
                self._lost.put_nowait(block)

    async def _claim_again(self, block: kni.IPBlock) -> None:
        if block.spec.holder is not None and self._leases.holder(*_first(block)) is None:
            self._mine.pop(block.metadata.name, None)  # the controller let it go with the member that it was kept for
            return
        bare = msgspec.structs.replace(block, metadata=ObjectMeta(name=block.metadata.name))
        try:
            found: kni.IPBlock | None = await self._api.create(bare)
            log.warning("IPBlock %s was deleted, claimed it again", block.metadata.name)
        except AlreadyExistsError:
            found = await self._api.read(block.metadata.name)
        if found is None:
            self._lost.put_nowait(block)
        elif found.spec.node_name == self._node:
            self.take(found)
        else:
            self._give_up(block, found.spec.node_name)

    def _give_up(self, block: kni.IPBlock, node: str) -> None:
        self._mine.pop(block.metadata.name, None)
        holders = self._leases.drop_block(*_spot(block))
        pods = ", ".join(sorted({holder.pod for holder in holders})) or "none"
        log.error("node %s has IPBlock %s now; Pods that share its addresses: %s", node, block.metadata.name, pods)
        self._changed()

    async def _give_back_idle(self) -> None:
        while True:
            await asyncio.sleep(TIDY_SECONDS)
            try:
                await self.tidy(asyncio.get_running_loop().time())
            except KubeError as error:
                log.warning("cannot give a block back now: %s", error)

    async def tidy(self, now: float) -> None:
        """Give back the blocks that have been idle for long enough at loop time ``now``. Raises KubeError.

        What is undecided is settled first: while the API server is away at most one block is in doubt.
        """
        for block in list(self._leaving.values()):
            await self._delete(block)
        for config in self._leases.configs():
            unused = self._leases.idle_blocks(config)
            self._idle.look(config, self._leases.blocks(config), unused, now)
            for network in unused:
                pool = self._api.pool(config)
                if pool is None or self._is_spare(pool, network, now):
                    await self._give_back(config, network, now)

    def _is_spare(self, pool: pools.Pool, network: pools.Network, now: float) -> bool:
        """Whether it has been idle for long enough, and is not what was claimed ahead of need and still needed."""
        version, size = network.version, pool.usable(network)
        if not self._idle.rested(pool.config, network, now, lambda: self._room.used_up(pool, version)):
            return False
        single = network.prefixlen == network.max_prefixlen
        without = size + size // _KEPT
        return single or not self._leases.used(pool.config) or not self._room.low(pool, version, without)

    async def _give_back(self, config: str, network: pools.Network, now: float) -> None:
        """First stop leasing from it, then tell the others."""
        block = self._mine_at(config, network)
        if block is None or not self._leases.remove_block(config, network):
            return
        del self._mine[block.metadata.name]
        self._leaving[block.metadata.name] = block
        self._idle.gave(config, network, now)
        await self._delete(block)

    async def _delete(self, block: kni.IPBlock) -> None:
        """A deletion that was not sent, or refused, leaves the block ours; one without an answer leaves it in doubt."""
        try:
            await self._api.delete(block)
        except KubeError as error:
            if isinstance(error, UnreachableError) or 400 <= error.code < 500:
                del self._leaving[block.metadata.name]
                self.take(block)
            raise
        faultpoints.reached("claim.deleted")
        del self._leaving[block.metadata.name]
        log.info("gave back %s of NetworkConfig %s", block.spec.cidr, block.spec.network_config)
        self._changed()


def _claim(config: str, network: pools.Network, node: str) -> kni.IPBlock:
    spec = kni.IPBlockSpec(network_config=config, cidr=str(network), node_name=node)
    return kni.IPBlock(metadata=ObjectMeta(name=pools.block_name(config, network)), spec=spec)


def _first(block: kni.IPBlock) -> tuple[str, pools.Address]:
    """NetworkConfig and the address that is kept, the only one of such a block."""
    config, network = _spot(block)
    return config, network.network_address


def _spot(block: kni.IPBlock) -> idle.Spot:
    return block.spec.network_config, _network(block.spec.cidr)
