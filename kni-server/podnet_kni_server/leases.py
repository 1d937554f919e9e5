"""Leases: which addresses of this node's blocks are given to which interface.

Pure and in memory; the checkpoints are what survives a restart (``adopt`` takes them back). The API is
asked for blocks by ``blocks``; nothing here waits for anything.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from podnet_api.pools import COUNT_LIMIT, Address, Network, Pool

from podnet_kni_server.errors import NoAddressError


@dataclass(frozen=True)
class Holder:
    """Whose an address is: an interface of a sandbox. ``pod`` is namespace/name, for messages."""

    sandbox: str
    interface: str
    pod: str


_Place = tuple[int, int, int]
"""Of a block: family, prefix length, the bits of that length."""


@dataclass
class _Book:
    """What this node has of one pool. ``used``: leases in each block, ``within`` in all of them by family; ``loose``:
    leases outside of blocks, by family (all those of a pool per node, and the addresses that are kept for members).
    ``room``: what all blocks of a family give, by the pool that says so; a thousand Pods that are bound at once ask."""

    blocks: dict[_Place, Network] = field(default_factory=dict)
    lengths: set[tuple[int, int]] = field(default_factory=set)
    held: dict[Address, Holder] = field(default_factory=dict)
    used: Counter[Network] = field(default_factory=Counter)
    within: Counter[int] = field(default_factory=Counter)
    loose: Counter[int] = field(default_factory=Counter)
    room: dict[int, tuple[Pool, int]] = field(default_factory=dict)

    def block_of(self, address: Address) -> Network | None:
        """The block of this node that holds ``address``."""
        for version, length in self.lengths:
            if version == address.version:
                found = self.blocks.get((version, length, int(address) >> (address.max_prefixlen - length)))
                if found is not None:
                    return found
        return None

    def take(self, address: Address, holder: Holder) -> None:
        """Lease; again is no harm."""
        if address not in self.held:
            self._count(address, 1)
        self.held[address] = holder

    def end(self, address: Address) -> None:
        """End a lease."""
        del self.held[address]
        self._count(address, -1)

    def count_again(self) -> None:
        """After blocks came or went."""
        self.lengths = {(version, length) for version, length, _ in self.blocks}
        self.used.clear()
        self.within.clear()
        self.loose.clear()
        self.room.clear()
        for address in self.held:
            self._count(address, 1)

    def free(self, pool: Pool, version: int) -> int:
        """What the blocks of a family still give."""
        known = self.room.get(version)
        if known is None or known[0] is not pool:
            mine = (block for block in self.blocks.values() if block.version == version)
            known = self.room[version] = (pool, sum(map(pool.usable, mine)))
        return known[1] - self.within[version]

    def _count(self, address: Address, sign: int) -> None:
        block = self.block_of(address)
        if block is None:
            self.loose[address.version] += sign
        else:
            self.used[block] += sign
            self.within[address.version] += sign


class Leases:
    """Blocks and leases of this node, by NetworkConfig."""

    def __init__(self) -> None:
        self._books: defaultdict[str, _Book] = defaultdict(_Book)

    def blocks(self, config: str) -> frozenset[Network]:
        """The blocks that this node holds of a pool."""
        return frozenset(self._books[config].blocks.values())

    def configs(self) -> list[str]:
        """NetworkConfigs that this node holds blocks of."""
        return [config for config, book in self._books.items() if book.blocks]

    def add_block(self, config: str, block: Network) -> None:
        """From now on leases may come from ``block``."""
        book = self._books[config]
        if _place(block) not in book.blocks:
            book.blocks[_place(block)] = block
            book.count_again()

    def remove_block(self, config: str, block: Network) -> bool:
        """Give up ``block``; False, and nothing happens, when an address of it is leased."""
        if self._books[config].used[block]:
            return False
        self.drop_block(config, block)
        return True

    def drop_block(self, config: str, block: Network) -> list[Holder]:
        """Lease nothing more from ``block``, which somebody else has now; those who still hold its addresses."""
        book = self._books[config]
        if book.blocks.pop(_place(block), None) is not None:
            book.count_again()
        return [holder for address, holder in book.held.items() if address in block]

    def take(self, pool: Pool, version: int, holder: Holder) -> Address | None:
        """An address of family ``version`` for ``holder``: the one it has already, else the lowest free one
        of this node's blocks in the order of the ranges, else None."""
        book = self._books[pool.config]
        mine = next((a for a, h in book.held.items() if h == holder and a.version == version), None)
        if mine is not None:
            return mine
        address = next((a for a in _candidates(book, pool, version) if a not in book.held), None)
        if address is not None:
            book.take(address, holder)
        return address

    def take_exact(self, pool: Pool, address: Address, holder: Holder) -> None:
        """Lease ``address``, which must be claimed by this node. Raises NoAddressError when taken."""
        book = self._books[pool.config]
        other = book.held.get(address)
        if other is not None and other != holder:
            raise NoAddressError(
                f"cannot give {address} of NetworkConfig {pool.config} to Pod {holder.pod}: "
                f"Pod {other.pod} holds it; choose another address or remove that Pod"
            )
        book.take(address, holder)

    def adopt(self, config: str, address: Address, holder: Holder) -> None:
        """Take over a lease from a checkpoint."""
        self._books[config].take(address, holder)

    def release(self, sandbox: str) -> set[str]:
        """Free everything that ``sandbox`` holds; the NetworkConfigs concerned."""
        touched = set()
        for config, book in self._books.items():
            mine = [address for address, holder in book.held.items() if holder.sandbox == sandbox]
            for address in mine:
                book.end(address)
            if mine:
                touched.add(config)
        return touched

    def release_of(self, holder: Holder, keep: Collection[Address] = ()) -> None:
        """Free what one interface holds, but for ``keep``."""
        for book in self._books.values():
            held = [a for a, h in book.held.items() if (h.sandbox, h.interface) == (holder.sandbox, holder.interface)]
            for address in held:
                if address not in keep:
                    book.end(address)

    def used(self, config: str) -> int:
        """How many addresses of a pool are leased here."""
        return len(self._books[config].held)

    def holder(self, config: str, address: Address) -> Holder | None:
        """Who has ``address``."""
        return self._books[config].held.get(address)

    def strays(self) -> Iterator[tuple[str, Address]]:
        """Leases outside of the blocks of this node, with their NetworkConfig."""
        for config, book in self._books.items():
            for address in list(book.held) if book.loose.total() else ():
                if book.block_of(address) is None:
                    yield config, address

    def free(self, pool: Pool, version: int) -> int:
        """How many addresses of a family can be leased without asking anybody."""
        book = self._books[pool.config]
        if pool.per_node:
            return min(COUNT_LIMIT, max(0, pool.total(version) - book.loose[version]))
        return min(COUNT_LIMIT, max(0, book.free(pool, version)))

    def idle_blocks(self, config: str) -> list[Network]:
        """Blocks without a lease, highest first."""
        book = self._books[config]
        idle = [block for block in book.blocks.values() if not book.used[block]]
        return sorted(idle, key=lambda block: (block.version, int(block.network_address)), reverse=True)


def _place(block: Network) -> _Place:
    return block.version, block.prefixlen, int(block.network_address) >> (block.max_prefixlen - block.prefixlen)


def _candidates(book: _Book, pool: Pool, version: int) -> Iterator[Address]:
    """Addresses of this node's blocks, lowest first, range by range."""
    for one in pool.of(version):
        if pool.per_node:
            yield from one.addresses(one.network)
            continue
        mine = [b for b in book.blocks.values() if b.version == version and b.overlaps(one.network)]
        for block in sorted(mine, key=lambda b: int(b.network_address)):
            if book.used[block] < one.usable(block):
                yield from one.addresses(block)
