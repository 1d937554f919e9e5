"""Blocks: claiming parts of a pool for this node, and leasing addresses out of them.

A claim is the creation of an IPBlock whose name follows from pool and CIDR: the API server lets one node
win. Leases then come from memory, so that attaching waits for the API only when a node has nothing left.
Claims are made when a Pod is bound to the node (ahead of its sandbox) and when few addresses are left;
``claims`` knows what is ours and gives it back.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import itertools
import logging
import random
from collections.abc import Callable, Iterable, Iterator

from podnet_api import kni, pools
from podnet_api.errors import AlreadyExistsError, KubeError
from podnet_api.meta import ObjectMeta

from podnet_kni_server import faultpoints
from podnet_kni_server.block_api import BlockApi
from podnet_kni_server.claims import Claims
from podnet_kni_server.errors import NoAddressError
from podnet_kni_server.leases import Holder, Leases
from podnet_kni_server.members import Members

log = logging.getLogger(__name__)

LOW_WATER = 4
"""Fewer free addresses than this in the blocks of a pool: claim another ahead of need."""
_SPREAD = (1, 64, 1024)
"""Among so many of the lowest free blocks a try picks, after no, one and more lost races: a hundred nodes that start at
once all lose the first, and part then."""
_network = functools.lru_cache(maxsize=65536)(ipaddress.ip_network)


class Blocks:
    """This node's blocks. ``changed`` is called when what is free here has changed."""

    def __init__(self, node: str, leases: Leases, api: BlockApi, changed: Callable[[], None] = lambda: None) -> None:
        self._node = node
        self._leases = leases
        self._api = api
        self._claims = Claims(node, leases, api, changed, self)
        self._members = Members(node, leases, api, self._claims)
        self._locks: dict[tuple[str, int], asyncio.Lock] = {}
        self._expected: dict[tuple[str, int], set[tuple[str, str]]] = {}
        self._ahead: asyncio.Queue[tuple[pools.Pool, int]] = asyncio.Queue()

    def adopt(self) -> None:
        """Take over the blocks that the API says are ours: after a start, before any lease."""
        self._claims.adopt()

    def seen(self, old: kni.IPBlock | None, new: kni.IPBlock | None) -> None:
        """The watch of IPBlocks shows a change."""
        self._claims.seen(old, new)

    async def run(self) -> None:
        """Claim ahead of need and what was lost, and give idle blocks back, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._claim_ahead(), name="claim ahead")
            tasks.create_task(self._claims.run(), name="claims")

    async def tidy(self, now: float) -> None:
        """Give back the blocks that have been idle for long enough at loop time ``now``. Raises KubeError."""
        await self._claims.tidy(now)

    async def lease(self, pool: pools.Pool, version: int, holder: Holder) -> pools.Address:
        """An address for ``holder``, claiming a block when none is free here. Raises NoAddressError."""
        self._expected.get((pool.config, version), set()).discard((holder.pod, holder.interface))
        member = self._api.member(holder.pod, holder.interface) if pool.sticky else None
        if member is not None:
            return await self._lease_kept(pool, version, member, holder)
        while (address := self._leases.take(pool, version, holder)) is None:
            await self._claim(pool, version, self._leases.free(pool, version))
        if self.low(pool, version):
            self._ahead.put_nowait((pool, version))
        return address

    async def lease_exact(self, pool: pools.Pool, address: pools.Address, holder: Holder) -> None:
        """Lease a static address: its block must be ours or nobody's. Raises NoAddressError naming the holder."""
        block = pool.claim_of(address)
        if block is None:
            raise NoAddressError(f"cannot give {address} to Pod {holder.pod}: no range of {pool.config} gives it")
        if not pool.per_node and not self._holds(pool, address):
            await self._claim_exact(pool, block, address, holder)
        self._leases.take_exact(pool, address, holder)

    def _holds(self, pool: pools.Pool, address: pools.Address) -> bool:
        return any(address in block for block in self._leases.blocks(pool.config))

    async def _lease_kept(self, pool: pools.Pool, version: int, member: kni.Member, holder: Holder) -> pools.Address:
        """The address that is kept for a member of a StatefulSet; the first time, a new one."""
        async with self._lock(pool, version):
            kept = await self._members.find(pool, version, member)
            block = kept or await self._claim_any(pool, version, member)
        address = block.network_address
        self._leases.take_exact(pool, address, holder)
        return address

    async def expect(self, pool: pools.Pool, version: int, holder: Holder) -> None:
        """A Pod was bound to this node: claim ahead of its sandbox. Failures wait for the lease itself."""
        try:
            member = self._api.member(holder.pod, holder.interface) if pool.sticky else None
            if member is not None:
                async with self._lock(pool, version):
                    if not await self._members.find(pool, version, member):
                        await self._claim_any(pool, version, member)
                return
        except NoAddressError as error:
            log.info("%s", error)
            return
        waiting = self._expected.setdefault((pool.config, version), set())
        waiting.add((holder.pod, holder.interface))
        await self._prepare(pool, version, lambda: len(waiting))

    def forget(self, pod: str) -> None:
        """The Pod ``pod`` (namespace/name) is gone: if its sandbox never came, its address is not awaited."""
        for waiting in self._expected.values():
            waiting -= {entry for entry in waiting if entry[0] == pod}

    async def prepare(self, pool: pools.Pool, version: int, count: int = 1) -> None:
        """Claim ahead of need until ``count`` addresses are free here; failures wait for the lease itself."""
        await self._prepare(pool, version, lambda: count)

    async def _prepare(self, pool: pools.Pool, version: int, count: Callable[[], int]) -> None:
        """``count`` is asked again each time: those that are waited for may come meanwhile."""
        try:
            while (free := self._leases.free(pool, version)) < count():
                await self._claim(pool, version, free)
        except NoAddressError as error:
            log.info("%s", error)

    def low(self, pool: pools.Pool, version: int, without: int = 0) -> bool:
        """Whether, ``without`` so many free ones, another block should be claimed ahead of need. Single
        addresses are claimed per Pod."""
        whole = all(r.block < r.network.max_prefixlen for r in pool.of(version))
        return not pool.per_node and whole and self._leases.free(pool, version) - without < LOW_WATER

    def used_up(self, pool: pools.Pool, version: int) -> bool:
        """Whether no node can claim another block."""
        return self._choose(pool, version, set()) is None

    def _lock(self, pool: pools.Pool, version: int) -> asyncio.Lock:
        return self._locks.setdefault((pool.config, version), asyncio.Lock())

    async def _claim(self, pool: pools.Pool, version: int, seen_free: int) -> None:
        """Claim one block, unless somebody else in this process has done so since ``seen_free`` was read."""
        if pool.per_node:
            raise _exhausted(pool, version)
        async with self._lock(pool, version):
            if self._leases.free(pool, version) <= seen_free:
                await self._claim_any(pool, version)

    async def _claim_any(self, pool: pools.Pool, version: int, member: kni.Member | None = None) -> pools.Network:
        lost: set[pools.Network] = set()
        while True:
            block = self._choose(pool, version, lost)
            if block is None:
                raise _exhausted(pool, version)
            try:
                await self._create(pool, block, member)
                return block
            except AlreadyExistsError:
                lost.add(block)
            except KubeError as error:
                message = f"cannot lease an IPv{version} address of NetworkConfig {pool.config}: "
                raise NoAddressError(message + "this node's blocks are full and the API server is away") from error

    def _choose(self, pool: pools.Pool, version: int, lost: set[pools.Network]) -> pools.Network | None:
        """The lowest free block; after lost races one of the lowest few, at random."""
        free = _free_blocks(pool, version, self._taken(pool) | lost)
        found = list(itertools.islice(free, _SPREAD[min(len(lost), len(_SPREAD) - 1)]))
        return random.choice(found) if found else None

    def _taken(self, pool: pools.Pool) -> set[pools.Network]:
        known = {_network(b.spec.cidr) for b in self._api.known() if b.spec.network_config == pool.config}
        return known | self._claims.networks(pool.config)

    async def _create(self, pool: pools.Pool, block: pools.Network, member: kni.Member | None = None) -> None:
        name = pools.block_name(pool.config, block)
        spec = kni.IPBlockSpec(network_config=pool.config, cidr=str(block), node_name=self._node, holder=member)
        made = await self._api.create(kni.IPBlock(metadata=ObjectMeta(name=name), spec=spec))
        faultpoints.reached("claim.created")
        self._claims.take(made)

    async def _claim_exact(
        self, pool: pools.Pool, block: pools.Network, address: pools.Address, holder: Holder
    ) -> None:
        name = pools.block_name(pool.config, block)
        owner = next((b for b in self._api.known() if b.metadata.name == name), None)
        try:
            if owner is None:
                try:
                    await self._create(pool, block)
                    return
                except AlreadyExistsError:
                    owner = await self._api.read(name)
        except KubeError as error:
            message = f"cannot claim {block} of NetworkConfig {pool.config} for Pod {holder.pod}: {error}"
            raise NoAddressError(message) from error
        if owner is None or (owner.spec.node_name == self._node and owner.spec.holder is None):
            self._again(pool, address, holder, owner)
        else:
            raise _elsewhere(pool, address, block, holder, owner)

    def _again(self, pool: pools.Pool, address: pools.Address, holder: Holder, mine: kni.IPBlock | None) -> None:
        """A claim whose answer was lost is ours; one that vanished meanwhile may be tried for by the next sandbox."""
        if mine is None or not self._claims.take(mine):
            message = (
                f"cannot give {address} of NetworkConfig {pool.config} to Pod {holder.pod}: it is being given back"
            )
            raise NoAddressError(message)

    async def _claim_ahead(self) -> None:
        while True:
            pool, version = await self._ahead.get()
            if self.low(pool, version):
                await self.prepare(pool, version, LOW_WATER)


def _free_blocks(pool: pools.Pool, version: int, taken: Iterable[pools.Network]) -> Iterator[pools.Network]:
    """Blocks that overlap none of ``taken``, lowest first. Blocks of another size may be about: a
    NetworkConfig's block size can have been another before."""
    same = [network for network in taken if network.version == version]
    for one in pool.of(version):
        larger = [network for network in same if network.prefixlen < one.block]
        gone = {network.supernet(new_prefix=one.block) for network in same if network.prefixlen >= one.block}
        for block in one.blocks():
            if block not in gone and not any(block.overlaps(network) for network in larger):
                yield block


def _elsewhere(
    pool: pools.Pool, address: pools.Address, block: pools.Network, holder: Holder, owner: kni.IPBlock
) -> NoAddressError:
    kept, node = owner.spec.holder, owner.spec.node_name
    head = f"cannot give {address} of NetworkConfig {pool.config} to Pod {holder.pod}: "
    if kept is not None:
        return NoAddressError(f"{head}it is kept for Pod {kept.namespace}/{kept.pod}, which was on node {node} last")
    if block.num_addresses == 1:
        return NoAddressError(f"{head}a Pod of node {node} holds it; choose another address or remove that Pod")
    advice = "exclude the address from the range, so that it can be asked for on any node"
    return NoAddressError(f"{head}node {node} holds block {block}; {advice}")


def _exhausted(pool: pools.Pool, version: int) -> NoAddressError:
    return NoAddressError(
        f"cannot lease an IPv{version} address of NetworkConfig {pool.config}: all {pool.total(version)} are in use; "
        "enlarge a range or remove a Pod"
    )
