"""Leases: which addresses of this node's blocks are given to which interface.

Pure and in memory; the checkpoints are what survives a restart (``adopt`` takes them back). The API is
asked for blocks by ``blocks``; nothing here waits for anything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from podnet_api.pools import COUNT_LIMIT, Address, Network, Pool

from podnet_kni_server.errors import NoAddressError


@dataclass(frozen=True)
class Holder:
    """Whose an address is: an interface of a sandbox. ``pod`` is namespace/name, for messages."""

    sandbox: str
    interface: str
    pod: str


class Leases:
    """Blocks and leases of this node, by NetworkConfig."""

    def __init__(self) -> None:
        self._blocks: dict[str, set[Network]] = defaultdict(set)
        self._held: dict[str, dict[Address, Holder]] = defaultdict(dict)

    def blocks(self, config: str) -> frozenset[Network]:
        """The blocks that this node holds of a pool."""
        return frozenset(self._blocks[config])

    def configs(self) -> list[str]:
        """NetworkConfigs that this node holds blocks of."""
        return [config for config, blocks in self._blocks.items() if blocks]

    def add_block(self, config: str, block: Network) -> None:
        """From now on leases may come from ``block``."""
        self._blocks[config].add(block)

    def remove_block(self, config: str, block: Network) -> bool:
        """Give up ``block``; False, and nothing happens, when an address of it is leased."""
        if any(address in block for address in self._held[config]):
            return False
        self._blocks[config].discard(block)
        return True

    def take(self, pool: Pool, version: int, holder: Holder) -> Address | None:
        """An address of family ``version`` for ``holder``: the one it has already, else the lowest free one
        of this node's blocks in the order of the ranges, else None."""
        held = self._held[pool.config]
        mine = next((a for a, h in held.items() if h == holder and a.version == version), None)
        if mine is not None:
            return mine
        address = next((a for a in self._candidates(pool, version) if a not in held), None)
        if address is not None:
            held[address] = holder
        return address

    def take_exact(self, pool: Pool, address: Address, holder: Holder) -> None:
        """Lease ``address``, which must lie in a block of this node. Raises NoAddressError when taken."""
        held = self._held[pool.config]
        other = held.get(address)
        if other is not None and other != holder:
            raise NoAddressError(
                f"cannot give {address} of NetworkConfig {pool.config} to Pod {holder.pod}: "
                f"Pod {other.pod} holds it; choose another address or remove that Pod"
            )
        held[address] = holder

    def adopt(self, config: str, address: Address, holder: Holder) -> None:
        """Take over a lease from a checkpoint."""
        self._held[config][address] = holder

    def release(self, sandbox: str) -> set[str]:
        """Free everything that ``sandbox`` holds; the NetworkConfigs concerned."""
        touched = set()
        for config, held in self._held.items():
            mine = [address for address, holder in held.items() if holder.sandbox == sandbox]
            for address in mine:
                del held[address]
            if mine:
                touched.add(config)
        return touched

    def used(self, config: str) -> int:
        """How many addresses of a pool are leased here."""
        return len(self._held[config])

    def free(self, pool: Pool, version: int) -> int:
        """How many addresses of a family can be leased without asking anybody."""
        size = pool.total(version) if pool.per_node else self._size(pool, version)
        taken = sum(1 for a in self._held[pool.config] if a.version == version and self._inside(pool, a))
        return min(COUNT_LIMIT, max(0, size - taken))

    def idle_blocks(self, config: str) -> list[Network]:
        """Blocks without a lease, highest first."""
        held = self._held[config]
        idle = [block for block in self._blocks[config] if not any(a in block for a in held)]
        return sorted(idle, key=lambda block: (block.version, int(block.network_address)), reverse=True)

    def _size(self, pool: Pool, version: int) -> int:
        return sum(pool.usable(block) for block in self._blocks[pool.config] if block.version == version)

    def _inside(self, pool: Pool, address: Address) -> bool:
        return pool.per_node or any(address in block for block in self._blocks[pool.config])

    def _candidates(self, pool: Pool, version: int) -> Iterator[Address]:
        """Addresses of this node's blocks, lowest first, range by range."""
        for one in pool.of(version):
            if pool.per_node:
                yield from one.addresses(one.network)
                continue
            mine = [b for b in self._blocks[pool.config] if b.version == version and b.overlaps(one.network)]
            for block in sorted(mine, key=lambda b: int(b.network_address)):
                yield from one.addresses(block)
