"""Filter: which of the nodes that kube-scheduler asks about can take a Pod, and why the others cannot.

Pure. ``extender`` calls ``judge`` for /filter, ``preempt`` for /preempt, ``explain`` for waiting Pods.

Each check is made for all nodes at once (see ``lanes``). Only where blocks of addresses come to an end while
Pods are in flight is there a look at single nodes, and only at those that a bound from above and one from below
leave open.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from podnet_api import pools

from podnet_scheduler_extender import lanes, refusals
from podnet_scheduler_extender.demand import Demand, Need, Resolution
from podnet_scheduler_extender.lanes import Chosen, Selection
from podnet_scheduler_extender.ledger import Claims, Ledger
from podnet_scheduler_extender.refusals import Refusal
from podnet_scheduler_extender.snapshot import Snapshot
from podnet_scheduler_extender.stock import Family, Stock

_FEW, _PARTS = 4, 8
"""Of the nodes with one place a Pod is told an eighth, but at least four."""


@dataclass(frozen=True)
class Verdict:
    """The nodes that can take the Pod, and the others by the reason why they cannot.

    Nodes stand here by their lanes: thousands of names take as long as all of the checks. ``chosen`` are those that
    fit and have a NodeNetwork. ``last`` is the mask of those that have no room for another Pod like this besides.
    """

    chosen: Chosen
    lost: dict[Refusal, Selection]
    last: int = 0
    whole: Collection[str] | None = None
    """The nodes that were asked about, where all of them fit."""
    asked: bytes = b""
    """Where none fits: those that were asked about, as flags."""

    @functools.cached_property
    def fitting(self) -> list[str]:
        """The nodes that can take the Pod."""
        return self.chosen.index.names(self.chosen.flags) if self.whole is None else list(self.whole)

    @property
    def fits(self) -> bool:
        """Whether there is one."""
        return 1 in self.chosen.flags if self.whole is None else bool(self.whole)

    @property
    def refused(self) -> dict[str, Refusal]:
        """Why each of the other nodes cannot."""
        index = self.chosen.index
        return {node: why for why, lost in self.lost.items() for node in (*index.names(lost.flags), *lost.unknown)}


def judge(resolution: Resolution, nodes: Collection[str], snapshot: Snapshot, ledger: Ledger) -> Verdict:
    """The verdict on each of ``nodes``. A claim of the Pod itself must have been dropped before."""
    index = snapshot.index
    if resolution.faults:
        asked = index.select(nodes)
        return Verdict(Chosen(index), {resolution.faults[0].refusal: asked} if nodes else {}, asked=asked.flags)
    if not resolution.demand.networks:
        return Verdict(Chosen(index), {}, whole=nodes)
    asked = index.select(nodes)
    sieve = _Sieve(lanes.mask_of(asked.flags), snapshot, ledger)
    sieve.demand(resolution.demand)
    if not sieve.lost and not asked.unknown:
        return Verdict(Chosen(index, asked.flags), {}, sieve.last, nodes)
    refused = {refusals.NOT_ON_NODE: Selection(b"", asked.unknown)} if asked.unknown else {}
    for why, lost in sieve.lost.items():
        unknown = asked.unknown if why is refusals.NOT_ON_NODE else []
        refused[why] = Selection(lanes.flags_of(lost, len(index)), unknown)
    return Verdict(Chosen(index, lanes.flags_of(sieve.left, len(index))), refused, sieve.last, asked=asked.flags)


def narrowed(verdict: Verdict, start: int) -> Verdict:
    """The verdict with a part of the nodes on which this Pod would take the last place, from lane ``start`` on.

    A Pod in flight counts on all its candidates: if it were told every such node, no other could be placed until
    the watch shows where it went. Nodes with more room are kept, all of them.
    """
    most = max(_FEW, verdict.last.bit_count() // _PARTS)
    if verdict.last.bit_count() <= most:
        return verdict
    index = verdict.chosen.index
    kept = lanes.some(verdict.last, most, start % len(index), len(index))
    flags = lanes.flags_of(lanes.mask_of(verdict.chosen.flags) & ~verdict.last | kept, len(index))
    return Verdict(Chosen(index, flags), verdict.lost, verdict.last)


class _Sieve:
    """``left`` are the nodes that no check has refused yet, ``lost`` the others, ``roomy`` those that could take
    two such Pods; all are masks."""

    def __init__(self, asked: int, snapshot: Snapshot, ledger: Ledger) -> None:
        self.left = asked
        self.lost: dict[Refusal, int] = {}
        self._snapshot = snapshot
        self._ledger = ledger
        self._count = len(snapshot.index)
        self._ones = lanes.ones(self._count)
        self.roomy = self._ones

    def demand(self, demand: Demand) -> None:
        """All checks, in the order in which a refusal counts."""
        there = self._ones
        for network in demand.networks:
            there &= self._snapshot.places[network].ready.packed if network in self._snapshot.places else 0
        self._keep(there, refusals.NOT_ON_NODE)
        for need in demand.needs:
            self._need(need)

    def _keep(self, good: int, refusal: Refusal) -> None:
        """Refuse those that are left and not in ``good``."""
        kept = self.left & good
        if kept != self.left:
            self.lost[refusal] = self.lost.get(refusal, 0) | self.left ^ kept
            self.left = kept

    def _need(self, need: Need) -> None:
        stock = self._snapshot.stocks.get(need.config) or Stock(self._snapshot.index)
        claims = self._ledger.on(need.config)
        if need.network in self._snapshot.places:
            capacity = self._snapshot.places[need.network].capacity.packed
            self._room(
                capacity, stock.attached.packed + claims.packed_attachments, need.attachments, refusals.NO_ATTACHMENTS
            )
        for version, count in need.leased:
            family = stock.families.get(version)
            if family is not None and family.per_node:
                total = min(family.total, lanes.LARGEST) * self._ones
                self._room(total, family.taken.packed + claims.packed_addresses[version], count, refusals.NO_ADDRESSES)
            elif family is not None:
                self._keep(self._addresses(family, version, count, claims), refusals.NO_ADDRESSES)
        for address in need.static:
            self._static(stock, address, claims)

    def _room(self, total: int, taken: int, count: int, refusal: Refusal) -> None:
        """Refuse the nodes that have less than ``count`` left of what each has for itself. Mostly all have room for
        two, and so for one."""
        two = lanes.at_least(total, taken + 2 * count * self._ones, self._count)
        self.roomy &= two
        if self.left & two != self.left:
            self._keep(lanes.at_least(total, taken + count * self._ones, self._count), refusal)

    @property
    def last(self) -> int:
        """Those that are left and could not take two."""
        return self.left ^ self.left & self.roomy

    def _addresses(self, family: Family, version: int, count: int, claims: Claims) -> int:
        """The nodes that can still give ``count`` addresses, however the claims turn out."""
        claimed = claims.addresses[version]
        missing = count - family.common
        sure = self._spare(family, missing + claimed * family.step)
        maybe = self._spare(family, missing + claimed) & self.left & ~sure
        return sure | self._one_by_one(family, version, count, claims, maybe) if maybe else sure

    def _spare(self, family: Family, least: int) -> int:
        """The nodes that have ``least`` addresses to themselves, beyond what all nodes may take."""
        if least <= 0:
            return self._ones
        return lanes.at_least(family.spare.packed, least * self._ones, self._count) if least <= lanes.LARGEST else 0

    def _one_by_one(self, family: Family, version: int, count: int, claims: Claims, doubtful: int) -> int:
        """Those of the ``doubtful`` nodes that can."""
        index = self._snapshot.index
        worst = _Worst(family, claims.addresses[version], index.by_name(claims.packed_addresses[version]))
        names = index.names(lanes.flags_of(doubtful, self._count))
        good = [node for node in names if family.left(node) - count >= worst.on(node)]
        return lanes.mask_of(index.select(good).flags)

    def _static(self, stock: Stock, address: pools.Address, claims: Claims) -> None:
        pool = stock.pool
        if pool is None:
            return
        bound = [node for _, node in stock.static.get(address, ())]
        flying = [nodes for nodes, other in claims.by_uid.values() if address in other.static]
        if pool.per_node:
            self._keep(~(self._only(bound) | self._any(flying)), refusals.ADDRESS_TAKEN)
            return
        if bound or flying:
            self._keep(0, refusals.ADDRESS_TAKEN)
        block = pool.claim_of(address)
        if block in stock.kept:
            self._keep(0, refusals.ADDRESS_TAKEN)
        owner = stock.blocks.get(block) if block is not None else None
        if owner is not None:
            self._keep(self._only([owner]), refusals.ADDRESS_ELSEWHERE)

    def _only(self, nodes: Sequence[str]) -> int:
        return lanes.mask_of(self._snapshot.index.select(nodes).flags)

    def _any(self, candidates: Sequence[Chosen]) -> int:
        found = 0
        for nodes in candidates:
            found |= lanes.mask_of(nodes.flags)
        return found


class _Worst:
    """The most that claims can take from a node of a pool that all nodes share.

    A claim that ends on another node takes at most a whole block there, and all claims together at most what
    their nodes would withhold if each of them got all of its claims; one that ends here takes a single address.
    """

    def __init__(self, family: Family, claimed: int, by_node: dict[str, int]) -> None:
        self._step = family.step
        self._claimed = claimed
        self._growth = {node: family.withheld(node, count) - family.withheld(node) for node, count in by_node.items()}
        self._sum = sum(self._growth.values())

    def on(self, node: str) -> int:
        """At most this many addresses."""
        elsewhere = self._sum - self._growth.get(node, 0)
        return min(self._claimed * self._step, elsewhere + max(0, self._claimed - -(-elsewhere // self._step)))
