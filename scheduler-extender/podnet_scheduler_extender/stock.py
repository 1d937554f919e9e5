"""Stock: what one NetworkConfig has in total, and what nodes and bound Pods hold of it.

Pure bookkeeping in memory. ``cache`` adds and takes away as the watches tell, each in constant time;
``filter`` reads. Addresses and ports belong to the NetworkConfig: PodNetworks that share one draw on the
same stock.
"""

from __future__ import annotations

from collections import Counter, defaultdict

from podnet_api import pools

from podnet_scheduler_extender.demand import Need
from podnet_scheduler_extender.lanes import Index, Lanes


class Family:
    """Addresses of one family. ``per_node``: every node has all of ``total`` for itself.

    Otherwise a node takes them in blocks of up to ``step`` addresses. ``held`` is what the blocks of a node
    give, ``used`` what its bound Pods need; a Pod is bound before its node claims a block for it. ``taken`` and
    ``spare`` are for ``filter``: what is used on each node, and what it has in its blocks beyond that.
    """

    def __init__(self, total: int, step: int, per_node: bool, index: Index) -> None:
        self.total = total
        self.step = step
        self.per_node = per_node
        self.held: Counter[str] = Counter()
        self.used: Counter[str] = Counter()
        self.reserved = 0
        """Sum of what all nodes withhold from the others, and of what is kept for Pods by name."""
        self.taken = Lanes(index)
        self.spare = Lanes(index)

    @property
    def common(self) -> int:
        """What no node has withheld yet."""
        return self.total - self.reserved

    def withheld(self, node: str, more: int = 0) -> int:
        """What ``node`` withholds from all others when ``more`` addresses are used there: its blocks, and
        whole blocks for what these do not cover yet."""
        held = self.held.get(node, 0)
        missing = self.used.get(node, 0) + more - held
        return held if missing <= 0 else held + -(-missing // self.step) * self.step

    def change(self, node: str, *, held: int = 0, used: int = 0) -> None:
        """Add to what ``node`` holds or uses."""
        before = self.withheld(node)
        _add(self.held, node, held)
        _add(self.used, node, used)
        self.reserved += self.withheld(node) - before
        self.show(node)

    def show(self, node: str) -> None:
        """Bring the lanes of ``node`` up to date."""
        if self.per_node:
            self.taken.put(node, self.used.get(node, 0))
        else:
            self.spare.put(node, self.withheld(node) - self.used.get(node, 0))

    def left(self, node: str) -> int:
        """What can still be used on ``node``, claims of Pods in flight aside."""
        if self.per_node:
            return self.total - self.used.get(node, 0)
        return self.common + self.withheld(node) - self.used.get(node, 0)


class Stock:
    """One NetworkConfig: its pool (None: it gives no addresses), attachments by node, addresses, blocks."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self.attached = Lanes(index)
        """``attachments``, for ``filter``."""
        self.pool: pools.Pool | None = None
        self.families: dict[int, Family] = {}
        self.attachments: Counter[str] = Counter()
        self.blocks: dict[pools.Network, str] = {}
        """Which node holds a block."""
        self.kept: set[pools.Network] = set()
        """Addresses that are kept for Pods by name, on no node in particular."""
        self.static: defaultdict[pools.Address, set[tuple[str, str]]] = defaultdict(set)
        """(uid, node) of the bound Pods that asked for an address by number."""
        self._used: dict[int, Counter[str]] = defaultdict(Counter)
        self._said: Counter[str] = Counter()
        self._leaving: Counter[str] = Counter()
        """Attachments that a node still has of Pods which are gone already."""

    def set_pool(self, pool: pools.Pool | None) -> None:
        """The NetworkConfig came, changed or went. Blocks and Pods may be known before it."""
        self.pool = pool
        self.families = (
            {} if pool is None else {version: _family(pool, version, self._index) for version in pool.versions}
        )
        for block, node in self.blocks.items():
            self._hold(block, node, 1)
        for block in self.kept:
            self._keep(block, 1)
        for version, family in self.families.items():
            for node, count in self._used[version].items():
                family.change(node, used=count)
            for node, count in self._leaving.items():
                family.change(node, used=count)

    def show(self, node: str) -> None:
        """Bring the lanes of ``node``, which may be a new one, up to date."""
        self.attached.put(node, self.in_use(node))
        for family in self.families.values():
            family.show(node)

    def in_use(self, node: str) -> int:
        """Attachments on ``node``, of bound Pods and of such as are gone but not detached yet."""
        return self.attachments.get(node, 0) + self._leaving.get(node, 0)

    def said(self, node: str) -> int:
        """What ``says`` was last told."""
        return self._said.get(node, 0)

    def says(self, node: str, used: int) -> None:
        """``node`` says that so many are attached there. A Pod that was deleted with grace period 0 is gone before
        its node has detached it; each attachment that no Pod accounts for may have an address of each family."""
        _add(self._said, node, used - self.said(node))
        self._settle(node)

    def _settle(self, node: str) -> None:
        leaving = max(0, self.said(node) - self.attachments.get(node, 0))
        more = leaving - self._leaving.get(node, 0)
        if more:
            _add(self._leaving, node, more)
            for family in self.families.values():
                family.change(node, used=more)
        self.attached.put(node, self.in_use(node))

    def add_block(self, block: pools.Network, node: str, *, kept: bool = False) -> None:
        """``node`` has claimed ``block``; ``kept``: for a Pod by name, which may go to any node with it."""
        self.remove_block(block)
        if kept:
            self.kept.add(block)
            self._keep(block, 1)
        else:
            self.blocks[block] = node
            self._hold(block, node, 1)

    def remove_block(self, block: pools.Network) -> None:
        """``block`` is free again."""
        node = self.blocks.pop(block, None)
        if node is not None:
            self._hold(block, node, -1)
        if block in self.kept:
            self.kept.remove(block)
            self._keep(block, -1)

    def _keep(self, block: pools.Network, sign: int) -> None:
        family = self.families.get(block.version)
        if family is not None and self.pool is not None:
            family.reserved += sign * self.pool.usable(block)

    def _hold(self, block: pools.Network, node: str, sign: int) -> None:
        family = self.families.get(block.version)
        if family is not None and self.pool is not None:
            family.change(node, held=sign * self.pool.usable(block))

    def add(self, uid: str, node: str, need: Need) -> None:
        """The Pod ``uid`` is on ``node`` and needs this."""
        self._use(node, need, 1)
        for address in need.static:
            self.static[address].add((uid, node))

    def remove(self, uid: str, node: str, need: Need) -> None:
        """The Pod ``uid`` needs this no more."""
        self._use(node, need, -1)
        for address in need.static:
            self.static[address].discard((uid, node))
            if not self.static[address]:
                del self.static[address]

    def _use(self, node: str, need: Need, sign: int) -> None:
        _add(self.attachments, node, sign * need.attachments)
        self._settle(node)
        for version, count in need.uses:
            _add(self._used[version], node, sign * count)
            if version in self.families:
                self.families[version].change(node, used=sign * count)


def _family(pool: pools.Pool, version: int, index: Index) -> Family:
    """Ranges may have blocks of several sizes: the largest is what a node may take next."""
    total = pool.total(version)
    sizes = [min(pools.COUNT_LIMIT, 1 << (r.network.max_prefixlen - r.block)) for r in pool.of(version)]
    return Family(total, max(1, min(max(sizes), total)), pool.per_node, index)


def _add(counter: Counter[str], key: str, count: int) -> None:
    """Like ``counter[key] += count``, but a zero leaves nothing behind: nodes and Pods come and go."""
    counter[key] += count
    if not counter[key]:
        del counter[key]
