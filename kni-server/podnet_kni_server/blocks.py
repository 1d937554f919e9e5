"""Blocks: claiming parts of a pool for this node, and giving them back.

A claim is the creation of an IPBlock whose name follows from pool and CIDR: the API server lets one node
win. Leases then come from memory, so that attaching waits for the API only when a node has nothing left.

Claims are made when a Pod is bound to the node (ahead of its sandbox) and when few addresses are left;
blocks without a lease go back after a while, single addresses soon.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from podnet_api import kni, pools
from podnet_api.errors import AlreadyExistsError, KubeError
from podnet_api.meta import ObjectMeta

from podnet_kni_server.errors import NoAddressError
from podnet_kni_server.leases import Holder, Leases

log = logging.getLogger(__name__)

LOW_WATER = 4
"""Fewer free addresses than this in the blocks of a pool: claim another ahead of need."""
IDLE_SECONDS = 60.0
IDLE_SECONDS_SINGLE = 10.0
_TIDY_SECONDS = 2.0
_SPREAD = 8
"""After a lost race the next try picks among this many free blocks, so that racing nodes part."""


class BlockApi(Protocol):
    """Where IPBlocks are kept. The API server, or ``FakeBlockApi``."""

    def known(self) -> Iterable[kni.IPBlock]:
        """All blocks, from a watch cache."""

    async def create(self, block: kni.IPBlock) -> None:
        """Raises AlreadyExistsError when somebody has it, KubeError when nothing is known."""

    async def delete(self, name: str) -> None:
        """No error when it is gone."""

    def pool_exists(self, config: str) -> bool:
        """Whether the NetworkConfig ``config`` is there."""


class FakeBlockApi:
    """BlockApi in memory, shared by as many simulated nodes as a test wants."""

    def __init__(self) -> None:
        self.blocks: dict[str, kni.IPBlock] = {}
        self.down = False
        self.writes = 0
        self.deleted_pools: set[str] = set()

    def known(self) -> Iterable[kni.IPBlock]:
        return list(self.blocks.values())

    async def create(self, block: kni.IPBlock) -> None:
        self._write()
        await asyncio.sleep(0)
        if block.metadata.name in self.blocks:
            raise AlreadyExistsError(f"cannot create IPBlock {block.metadata.name}: it exists", 409)
        self.blocks[block.metadata.name] = block

    async def delete(self, name: str) -> None:
        self._write()
        self.blocks.pop(name, None)

    def pool_exists(self, config: str) -> bool:
        return config not in self.deleted_pools

    def _write(self) -> None:
        if self.down:
            raise KubeError("cannot reach the API server: it is down")
        self.writes += 1


class Blocks:
    """This node's blocks. ``changed`` is called when what is free here has changed."""

    def __init__(self, node: str, leases: Leases, api: BlockApi, changed: Callable[[], None] = lambda: None) -> None:
        self._node = node
        self._leases = leases
        self._api = api
        self._changed = changed
        self._locks: dict[tuple[str, int], asyncio.Lock] = {}
        self._idle_since: dict[tuple[str, pools.Network], float] = {}
        self._pools: dict[str, pools.Pool] = {}
        self._ahead: asyncio.Queue[tuple[pools.Pool, int]] = asyncio.Queue()
        self._lost: asyncio.Queue[kni.IPBlock] = asyncio.Queue()

    def adopt(self) -> None:
        """Take over the blocks that the API says are ours: after a start, before any lease."""
        for block in self._api.known():
            if block.spec.node_name == self._node:
                self._leases.add_block(block.spec.network_config, ipaddress.ip_network(block.spec.cidr))

    async def lease(self, pool: pools.Pool, version: int, holder: Holder) -> pools.Address:
        """An address for ``holder``, claiming a block when none is free here. Raises NoAddressError."""
        while (address := self._leases.take(pool, version, holder)) is None:
            await self._claim(pool, version, self._leases.free(pool, version))
        if self.low(pool, version):
            self._ahead.put_nowait((pool, version))
        return address

    async def lease_exact(self, pool: pools.Pool, address: pools.Address, holder: Holder) -> None:
        """Lease a static address: its block must be ours or nobody's. Raises NoAddressError naming the holder."""
        held_range = pool.range_of(address)
        if held_range is None:
            raise NoAddressError(f"cannot give {address} to Pod {holder.pod}: no range of {pool.config} gives it")
        if not pool.per_node and not any(address in b for b in self._leases.blocks(pool.config)):
            await self._claim_exact(pool, held_range.block_at(int(address)), holder)
        self._leases.take_exact(pool, address, holder)

    async def prepare(self, pool: pools.Pool, version: int, count: int = 1) -> None:
        """Claim ahead of need until ``count`` addresses are free here; failures wait for the lease itself."""
        self._pools[pool.config] = pool
        try:
            while (free := self._leases.free(pool, version)) < count:
                await self._claim(pool, version, free)
        except NoAddressError as error:
            log.info("%s", error)

    def low(self, pool: pools.Pool, version: int) -> bool:
        """Whether another block should be claimed ahead of need. Single addresses are claimed per Pod."""
        whole = all(r.block < r.network.max_prefixlen for r in pool.of(version))
        return not pool.per_node and whole and self._leases.free(pool, version) < LOW_WATER

    async def _claim(self, pool: pools.Pool, version: int, seen_free: int) -> None:
        """Claim one block, unless somebody else in this process has done so since ``seen_free`` was read."""
        self._pools[pool.config] = pool
        if pool.per_node:
            raise _exhausted(pool, version)
        async with self._locks.setdefault((pool.config, version), asyncio.Lock()):
            if self._leases.free(pool, version) > seen_free:
                return
            await self._claim_any(pool, version)

    async def _claim_any(self, pool: pools.Pool, version: int) -> None:
        lost: set[pools.Network] = set()
        while True:
            block = self._choose(pool, version, lost)
            if block is None:
                raise _exhausted(pool, version)
            try:
                await self._create(pool, block)
                return
            except AlreadyExistsError:
                lost.add(block)
            except KubeError as error:
                message = f"cannot lease an IPv{version} address of NetworkConfig {pool.config}: "
                raise NoAddressError(message + "this node's blocks are full and the API server is away") from error

    def _choose(self, pool: pools.Pool, version: int, lost: set[pools.Network]) -> pools.Network | None:
        """The lowest free block; after a lost race one of the lowest few, at random."""
        taken = self._taken(pool) | lost
        found: list[pools.Network] = []
        for block in _blocks(pool, version):
            if block not in taken and not _overlaps(block, taken):
                found.append(block)
                if len(found) > (_SPREAD if lost else 0):
                    break
        return random.choice(found) if found else None

    def _taken(self, pool: pools.Pool) -> set[pools.Network]:
        known = {ipaddress.ip_network(b.spec.cidr) for b in self._api.known() if b.spec.network_config == pool.config}
        return known | set(self._leases.blocks(pool.config))

    async def _create(self, pool: pools.Pool, block: pools.Network) -> None:
        name = pools.block_name(pool.config, block)
        spec = kni.IPBlockSpec(network_config=pool.config, cidr=str(block), node_name=self._node)
        await self._api.create(kni.IPBlock(metadata=ObjectMeta(name=name), spec=spec))
        log.info("claimed %s of NetworkConfig %s", block, pool.config)
        self._leases.add_block(pool.config, block)
        self._changed()

    async def _claim_exact(self, pool: pools.Pool, block: pools.Network, holder: Holder) -> None:
        self._pools[pool.config] = pool
        owner = next((b for b in self._api.known() if b.metadata.name == pools.block_name(pool.config, block)), None)
        if owner is not None and owner.spec.node_name != self._node:
            raise NoAddressError(
                f"cannot give an address of {block} of NetworkConfig {pool.config} to Pod {holder.pod}: "
                f"node {owner.spec.node_name} holds that block"
            )
        try:
            await self._create(pool, block)
        except AlreadyExistsError as error:
            message = f"cannot claim {block} of NetworkConfig {pool.config} for Pod {holder.pod}: another node has it"
            raise NoAddressError(message) from error
        except KubeError as error:
            message = f"cannot claim {block} of NetworkConfig {pool.config} for Pod {holder.pod}: {error}"
            raise NoAddressError(message) from error

    async def run(self) -> None:
        """Claim ahead of need and what was lost, and give idle blocks back, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._claim_ahead(), name="claim ahead")
            tasks.create_task(self._give_back_idle(), name="give back")
            tasks.create_task(self._claim_lost(), name="claim lost")

    def lost(self, block: kni.IPBlock) -> None:
        """The API says that ``block`` is gone. If we did not give it back it must be claimed again, before
        another node leases its addresses a second time."""
        mine = block.spec.node_name == self._node
        if mine and ipaddress.ip_network(block.spec.cidr) in self._leases.blocks(block.spec.network_config):
            self._lost.put_nowait(block)

    async def _claim_lost(self) -> None:
        while True:
            block = await self._lost.get()
            again = kni.IPBlock(metadata=ObjectMeta(name=block.metadata.name), spec=block.spec)
            try:
                await self._api.create(again)
                log.warning("somebody deleted IPBlock %s, claimed it again", block.metadata.name)
            except AlreadyExistsError:
                log.error("somebody deleted IPBlock %s, and another has it now: stop leasing", block.metadata.name)
                self._leases.remove_block(block.spec.network_config, ipaddress.ip_network(block.spec.cidr))
            except KubeError as error:
                log.warning("%s; trying again", error)
                await asyncio.sleep(_TIDY_SECONDS)
                self._lost.put_nowait(block)

    async def _claim_ahead(self) -> None:
        while True:
            pool, version = await self._ahead.get()
            if self.low(pool, version):
                await self.prepare(pool, version, LOW_WATER)

    async def _give_back_idle(self) -> None:
        while True:
            await asyncio.sleep(_TIDY_SECONDS)
            try:
                await self.tidy(asyncio.get_running_loop().time())
            except KubeError as error:
                log.warning("cannot give a block back now: %s", error)

    async def tidy(self, now: float) -> None:
        """Give back the blocks that have been idle for long enough at loop time ``now``."""
        for config in self._leases.configs():
            idle = self._leases.idle_blocks(config)
            self._forget_busy(config, idle)
            for block in idle:
                since = self._idle_since.setdefault((config, block), now)
                if not self._api.pool_exists(config) or (
                    now - since >= _patience(block) and not self._is_reserve(config, block)
                ):
                    await self._give_back(config, block)

    def _is_reserve(self, config: str, block: pools.Network) -> bool:
        """Whether ``block`` is what was claimed ahead of need, and still is needed."""
        pool = self._pools.get(config)
        if pool is None or not self._leases.used(config) or block.prefixlen == block.max_prefixlen:
            return False
        return self._leases.free(pool, block.version) - pool.usable(block) < LOW_WATER

    def _forget_busy(self, config: str, idle: list[pools.Network]) -> None:
        for key in [key for key in self._idle_since if key[0] == config and key[1] not in idle]:
            del self._idle_since[key]

    async def _give_back(self, config: str, block: pools.Network) -> None:
        """First stop leasing from it, then tell the others; if telling fails it is still ours."""
        if not self._leases.remove_block(config, block):
            return
        try:
            await self._api.delete(pools.block_name(config, block))
        except KubeError:
            self._leases.add_block(config, block)
            raise
        self._idle_since.pop((config, block), None)
        log.info("gave back %s of NetworkConfig %s", block, config)
        self._changed()


def _patience(block: pools.Network) -> float:
    return IDLE_SECONDS_SINGLE if block.prefixlen == block.max_prefixlen else IDLE_SECONDS


def _blocks(pool: pools.Pool, version: int) -> Iterator[pools.Network]:
    for one in pool.of(version):
        yield from one.blocks()


def _overlaps(block: pools.Network, taken: set[pools.Network]) -> bool:
    """Blocks of another size may be about: a NetworkConfig's block size can have been another before."""
    return any(
        other.prefixlen != block.prefixlen and other.version == block.version and other.overlaps(block)
        for other in taken
    )


def _exhausted(pool: pools.Pool, version: int) -> NoAddressError:
    return NoAddressError(
        f"cannot lease an IPv{version} address of NetworkConfig {pool.config}: all {pool.total(version)} are in use; "
        "enlarge a range or remove a Pod"
    )
